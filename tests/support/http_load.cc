#include "tests/support/http_load.h"

#include <poll.h>

namespace quintet::testing {
namespace {

using std::chrono::steady_clock;

// How long a caller waits for what is to come.
constexpr std::chrono::seconds kCallerPatience{60};

}  // namespace

HttpLoad::HttpLoad(const Address& address, const Options& options) : options_(options) {
  LoadClient::Plan plan{.reconnects = false,
                        .requests_per_connection = options.requests_per_connection,
                        .think_time = options.think_time,
                        .patience = options.patience};
  for (size_t i = 0; i < options.connections; ++i) {
    plan.reconnects = i < options.reconnecting;
    clients_.push_back(std::make_unique<LoadClient>(address, plan, counts_));
  }
  thread_ = std::thread([this] { Run(); });
}

HttpLoad::~HttpLoad() { Stop(); }

void HttpLoad::Run() {
  const auto end = steady_clock::now() + options_.max_duration;
  std::vector<pollfd> polled(clients_.size());
  for (;;) {
    const auto now = steady_clock::now();
    const bool ending = stop_ || now >= end;
    const auto stopping = [&] { return ending || counts_.requests >= options_.max_requests; };
    bool open = false;
    for (size_t i = 0; i < clients_.size(); ++i) {
      clients_[i]->Advance(now, stopping());
      open = open || !clients_[i]->closed();
      polled[i] = clients_[i]->Interest();
    }
    const bool ended = stopping() && !open;
    Publish(ended);
    if (ended) return;
    ::poll(polled.data(), polled.size(), static_cast<int>(kTick.count()));
    for (size_t i = 0; i < clients_.size(); ++i) {
      if (polled[i].revents != 0) clients_[i]->OnEvents(polled[i].revents);
    }
  }
}

void HttpLoad::Publish(bool ended) {
  const std::lock_guard<std::mutex> lock(mutex_);
  published_ = counts_;
  ended_ = ended;
  changed_.notify_all();
}

bool HttpLoad::WaitForRequests(uint64_t count) {
  const uint64_t goal = report().answered + count;
  return WaitUntil([goal](const Report& now) { return now.answered >= goal; });
}

bool HttpLoad::WaitUntil(const std::function<bool(const Report&)>& done) {
  std::unique_lock<std::mutex> lock(mutex_);
  changed_.wait_for(lock, kCallerPatience, [&] { return ended_ || done(published_); });
  return done(published_);
}

HttpLoad::Report HttpLoad::report() const {
  const std::lock_guard<std::mutex> lock(mutex_);
  return published_;
}

HttpLoad::Report HttpLoad::Stop() {
  stop_ = true;
  if (thread_.joinable()) thread_.join();
  return report();
}

}  // namespace quintet::testing
