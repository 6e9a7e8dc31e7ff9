#include "net/files/disk.h"

namespace quintet::files {
namespace {

class LoopDisk final : public Disk {
 public:
  LoopDisk(EventLoop& loop, absl::AnyInvocable<void()> wake) : Disk(std::move(wake)), loop_(loop) {}

 private:
  void DoStart(FileRequest request, Done done) override {
    loop_.StartFile(std::move(request),
                    [self = shared_from_this(), this, done = std::move(done)](
                        int64_t result) mutable { Finish(std::move(done), result); });
  }

  EventLoop& loop_;
};

class BlockingDisk final : public Disk {
 public:
  explicit BlockingDisk(absl::AnyInvocable<void()> wake) : Disk(std::move(wake)) {}

  bool in_place() const override { return true; }

 private:
  void DoStart(FileRequest request, Done done) override {
    const int64_t result = PerformFileRequest(request);
    Finish(std::move(done), result);
  }
};

}  // namespace

std::shared_ptr<Disk> Disk::Create(EventLoop* loop, absl::AnyInvocable<void()> wake) {
  if (loop == nullptr) return std::make_shared<BlockingDisk>(std::move(wake));
  return std::make_shared<LoopDisk>(*loop, std::move(wake));
}

void Disk::Start(FileRequest request, Done done) {
  ++starting_;
  DoStart(std::move(request), std::move(done));
  --starting_;
  if (detached_ && starting_ == 0) RunFinished();
}

void Disk::Finish(Done done, int64_t result) {
  finished_.push_back({std::move(done), result});
  if (starting_ > 0 || running_) return;
  if (detached_) return RunFinished();
  wake_();
}

void Disk::RunFinished() {
  if (running_ || finished_.empty()) return;
  const auto self = shared_from_this();  // a completion may be the last who holds it
  // Also where a completion throws.
  struct Running {
    explicit Running(bool& flag) : running(flag) { running = true; }
    ~Running() { running = false; }
    bool& running;
  } running(running_);
  while (!finished_.empty()) {
    std::vector<Finished> batch;
    batch.swap(finished_);
    for (Finished& finished : batch) std::exchange(finished.done, nullptr)(finished.result);
  }
}

void Disk::Detach() {
  detached_ = true;
  wake_ = nullptr;
  RunFinished();
}

}  // namespace quintet::files
