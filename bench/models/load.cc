// The load of ./dev bench models, in the closed and in the open model.
//
// usage: model_load PORT CLIENTS keep|close RATE SECONDS
//
// keep   each client has one connection for all its requests; before the run each asks once, so
// that
//        the server has made for it what it makes for a connection
// close  each request has a connection of its own
// RATE   requests per second of all clients together, due at random times fixed before the run, for
//        latencies, which count from then (see bench/http/paced_load.cc, "coordinated omission").
//        0: a client asks again as soon as it was answered, for the peak
//
// Unlike paced_load it may meet servers that do not answer all clients, and counts that.
//
// Prints "ready", and begins at a line of standard input. Then prints one JSON object, and holds
// its connections until the end of standard input. So the server can be looked at while it does
// nothing, before the run and behind it. Times are in seconds, latencies in microseconds.
#include "bench/harness/load.h"

#include <time.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <deque>
#include <iostream>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "bench/models/clients.h"

namespace quintet::bench {
namespace {

// A model may never serve some of the clients.
constexpr auto kSettleTime = std::chrono::milliseconds(1500);
// Behind the run, until what was asked in it is answered.
constexpr auto kQuietTime = std::chrono::milliseconds(300);
constexpr auto kRetryPause = std::chrono::milliseconds(10);
constexpr int kPollMs = 10;

struct Arguments {
  uint16_t port;
  size_t clients;
  bool keep;
  double rate;
  double seconds;
};

double CpuSeconds() {
  timespec now{};
  ::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) / 1e9;
}

double InSeconds(Clock::duration duration) {
  return std::chrono::duration<double>(duration).count();
}

// What both models of load have: clients, and who of them was ever answered.
class Load : public Clients::Events {
 public:
  explicit Load(const Arguments& arguments)
      : arguments_(arguments),
        clients_(arguments.port, arguments.clients, arguments.keep, *this),
        served_(arguments.clients) {}

  void Settle() {
    const Clock::time_point end = Clock::now() + kSettleTime;
    for (size_t i = 0; i < clients_.count(); ++i) clients_.Ask(i);
    while (served_count_ < clients_.count() && Clock::now() < end) PollAndRetry();
  }

  // Takes what came while the program waited for its signal.
  void CatchUp() {
    while (clients_.Poll(0)) {
    }
  }

  virtual void Run() = 0;
  virtual void Print() = 0;

 protected:
  void OnReply(size_t client) override {
    if (!served_[client]) ++served_count_;
    served_[client] = true;
  }
  void OnFree(size_t client, bool answered) override {
    if (!answered) Fail(client);
  }

  // Asks again, but not at once: who refuses now would refuse in a tight loop.
  void Fail(size_t client) {
    ++failures_;
    retries_.emplace_back(Clock::now() + kRetryPause, client);
  }

  void PollAndRetry() {
    clients_.Poll(kPollMs);
    while (!retries_.empty() && retries_.front().first <= Clock::now()) {
      const size_t client = retries_.front().second;
      retries_.pop_front();
      if (clients_.free(client)) clients_.Ask(client);
    }
  }

  const Arguments arguments_;
  Clients clients_;
  size_t failures_ = 0;
  size_t served_count_ = 0;

 private:
  std::vector<bool> served_;
  std::deque<std::pair<Clock::time_point, size_t>> retries_;
};

class ClosedLoad final : public Load {
 public:
  using Load::Load;

  void Run() override {
    failures_ = 0;
    asking_ = true;
    const double cpu_before = CpuSeconds();
    const Clock::time_point start = Clock::now();
    const Clock::time_point end = start + Seconds(arguments_.seconds);
    for (size_t i = 0; i < clients_.count(); ++i) {
      if (clients_.free(i)) clients_.Ask(i);
    }
    while (Clock::now() < end) PollAndRetry();
    seconds_ = InSeconds(Clock::now() - start);
    requests_ = replies_;
    cpu_seconds_ = CpuSeconds() - cpu_before;
    asking_ = false;
    const Clock::time_point quiet = Clock::now() + kQuietTime;
    while (clients_.busy() > 0 && Clock::now() < quiet) clients_.Poll(kPollMs);
  }

  void Print() override {
    std::printf(
        "{\"seconds\": %.6f, \"requests\": %zu, \"answered\": %zu, \"served\": %zu, "
        "\"failures\": %zu, \"cpu_seconds\": %.6f}\n",
        seconds_, requests_, replies_, served_count_, failures_, cpu_seconds_);
  }

 private:
  void OnReply(size_t client) override {
    Load::OnReply(client);
    if (counting()) ++replies_;
  }
  void OnFree(size_t client, bool answered) override {
    Load::OnFree(client, answered);
    if (answered && asking_) clients_.Ask(client);
  }
  // From the beginning of the run on.
  bool counting() const { return asking_ || seconds_ > 0; }

  bool asking_ = false;
  double seconds_ = 0;
  double cpu_seconds_ = 0;
  size_t requests_ = 0;  // answered within the seconds
  size_t replies_ = 0;   // also those that came in the quiet time
};

class PacedLoad final : public Load {
 public:
  explicit PacedLoad(const Arguments& arguments) : Load(arguments), requests_(arguments.clients) {}

  void Run() override {
    running_ = true;
    failures_ = 0;
    const Clock::time_point start = Clock::now();
    count_from_ = start + Seconds(arguments_.seconds * kWarmUpShare);
    const Clock::time_point end = start + Seconds(arguments_.seconds);
    DueTimes due_times(arguments_.rate, start);
    Clock::time_point due = due_times.due();
    size_t next = 0;
    for (;;) {
      const Clock::time_point now = Clock::now();
      while (due <= now && due < end) {
        Issue(next, due, now);
        next = next + 1 == clients_.count() ? 0 : next + 1;
        due_times.Next();
        due = due_times.due();
      }
      if ((due >= end && owed_ == 0) || now > end + kGrace) break;
      clients_.Poll(0);  // never sleeps
    }
  }

  void Print() override {
    std::printf(
        "{\"requests\": %zu, \"unanswered\": %zu, \"p50\": %.1f, \"p99\": %.1f, \"max\": %.1f, "
        "\"lag_p99\": %.1f, \"held_back\": %zu}\n",
        latencies_.size(), owed_ + failures_, latencies_.Quantile(0.5), latencies_.Quantile(0.99),
        latencies_.Quantile(1), lags_.Quantile(0.99), held_back_);
  }

 private:
  struct Request {
    bool asked = false;                     // else the client is still busy from before the run
    Clock::time_point due;                  // of the one under way
    std::deque<Clock::time_point> waiting;  // of those behind it
  };

  void Issue(size_t client, Clock::time_point due, Clock::time_point now) {
    ++owed_;
    if (!clients_.free(client)) {
      ++held_back_;
      requests_[client].waiting.push_back(due);
      return;
    }
    if (due >= count_from_) lags_.Add(now - due);
    AskDue(client, due);
  }

  void AskDue(size_t client, Clock::time_point due) {
    requests_[client].asked = true;
    requests_[client].due = due;
    clients_.Ask(client);
  }

  void OnReply(size_t client) override {
    Load::OnReply(client);
    if (!requests_[client].asked) return;
    const Clock::time_point due = requests_[client].due;
    if (due >= count_from_) latencies_.Add(Clock::now() - due);
  }

  void OnFree(size_t client, bool answered) override {
    if (!running_) return Load::OnFree(client, answered);
    Request& request = requests_[client];
    if (std::exchange(request.asked, false)) {
      --owed_;
      if (!answered) ++failures_;
    }
    if (request.waiting.empty()) return;
    const Clock::time_point due = request.waiting.front();
    request.waiting.pop_front();
    AskDue(client, due);
  }

  bool running_ = false;
  Clock::time_point count_from_;
  std::vector<Request> requests_;
  size_t owed_ = 0;
  size_t held_back_ = 0;  // requests that found their client busy
  Durations latencies_;
  Durations lags_;
};

int Main(const Arguments& arguments) {
  if (arguments.clients == 0 || arguments.seconds <= 0 || arguments.rate < 0) {
    Die("clients and seconds must be above 0");
  }
  std::unique_ptr<Load> load;
  if (arguments.rate > 0) {
    load = std::make_unique<PacedLoad>(arguments);
  } else {
    load = std::make_unique<ClosedLoad>(arguments);
  }
  if (arguments.keep) load->Settle();
  std::cout << "ready" << std::endl;
  std::string line;
  if (!std::getline(std::cin, line)) return 1;
  load->CatchUp();
  load->Run();
  load->Print();
  std::fflush(stdout);
  std::getline(std::cin, line);
  return 0;
}

}  // namespace
}  // namespace quintet::bench

int main(int argc, char** argv) {
  const std::string_view mode = argc == 6 ? argv[3] : "";
  if (mode != "keep" && mode != "close") {
    std::fprintf(stderr, "usage: %s PORT CLIENTS keep|close RATE SECONDS\n", argv[0]);
    return 2;
  }
  return quintet::bench::Main({.port = static_cast<uint16_t>(std::atoi(argv[1])),
                               .clients = static_cast<size_t>(std::atoi(argv[2])),
                               .keep = mode == "keep",
                               .rate = std::atof(argv[4]),
                               .seconds = std::atof(argv[5])});
}
