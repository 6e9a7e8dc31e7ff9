// A thread for each connection.
#include <errno.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <memory>
#include <mutex>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "net/errno_status.h"
#include "net/models/model.h"
#include "net/models/worker_per_connection.h"
#include "net/unique_fd.h"

namespace quintet {
namespace {

class ConnectionThreads final : public ConnectionWorkers {
 public:
  // `ended` is an eventfd(2).
  ConnectionThreads(ModelCore& core, UniqueFd ended)
      : core_(core), ended_fd_(std::move(ended)), threads_(core.counters().places()) {}

  absl::Status Start(size_t place, Socket& socket) override;
  int fd() const override { return ended_fd_.get(); }
  TimePoint next() const override { return kNever; }
  void Collect(absl::FunctionRef<void(size_t place)> on_ended) override;
  void Kill() override {}  // who is in a callback cannot be stopped, and is waited for

 private:
  void OnEnd(size_t place);

  ModelCore& core_;
  const UniqueFd ended_fd_;
  std::vector<std::thread> threads_;  // by place
  std::mutex mutex_;
  std::vector<size_t> ended_;  // guarded by mutex_; places whose threads are to be joined
};

absl::Status ConnectionThreads::Start(size_t place, Socket& socket) {
  try {
    // The number, not the socket: it stays the caller's where there is no thread to give it to.
    threads_[place] = std::thread([this, place, fd = socket.fd()] {
      core_.Serve(Socket(fd), place, core_.board());
      OnEnd(place);
    });
  } catch (const std::system_error& error) {
    return absl::ResourceExhaustedError(absl::StrCat("cannot start a thread: ", error.what()));
  }
  [[maybe_unused]] const int fd = socket.Release();
  return absl::OkStatus();
}

// The last thing that a thread does.
void ConnectionThreads::OnEnd(size_t place) {
  const std::lock_guard lock(mutex_);
  ended_.push_back(place);
  const uint64_t one = 1;
  [[maybe_unused]] const ssize_t written = ::write(ended_fd_.get(), &one, sizeof(one));
}

void ConnectionThreads::Collect(absl::FunctionRef<void(size_t place)> on_ended) {
  uint64_t count;
  [[maybe_unused]] const ssize_t bytes = ::read(ended_fd_.get(), &count, sizeof(count));
  std::vector<size_t> ended;
  {
    const std::lock_guard lock(mutex_);
    swap(ended, ended_);
  }
  for (const size_t place : ended) {
    threads_[place].join();
    on_ended(place);
  }
}

class ThreadModel final : public Model {
 public:
  explicit ThreadModel(ModelCore& core) : core_(core) {}

  absl::Status Run() override {
    UniqueFd ended(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC));
    if (!ended.valid()) return ErrnoStatus(errno, "eventfd");
    ConnectionThreads threads(core_, std::move(ended));
    WorkerPerConnection(core_, threads).Run();
    return absl::OkStatus();
  }

 private:
  ModelCore& core_;
};

}  // namespace

std::unique_ptr<Model> CreateThreadModel(ModelCore& core) {
  return std::make_unique<ThreadModel>(core);
}

}  // namespace quintet
