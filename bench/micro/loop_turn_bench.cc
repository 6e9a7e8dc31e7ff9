// What a turn of the loop costs when there is nothing to do, when a descriptor is ready, and per
// completion.
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <memory>
#include <utility>

#include "bench/micro/outcome.h"
#include "bench/micro/per_backend.h"
#include "benchmark/benchmark.h"
#include "reactor/event_loop.h"

namespace quintet::bench {
namespace {

// The floor of a turn: one wait of the kernel's that finds nothing.
void EmptyTurn(benchmark::State& state, BackendKind kind) {
  const auto loop = MakeLoop(state, kind);
  if (loop == nullptr) return;
  for (auto _ : state) benchmark::DoNotOptimize(loop->RunOnce(Duration::zero()));
  state.SetItemsProcessed(state.iterations());
}
[[maybe_unused]] const bool empty_turn = RegisterPerBackend("EmptyTurn", EmptyTurn);

// Sixteen watched descriptors, of which one is ready in each turn.
void TurnWithReadyDescriptor(benchmark::State& state, BackendKind kind) {
  constexpr int kDescriptors = 16;
  int fds[kDescriptors];
  for (int& fd : fds) fd = ::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
  {
    const auto loop = MakeLoop(state, kind);
    WatcherPtr watchers[kDescriptors];
    int64_t seen = 0;
    for (int i = 0; i < kDescriptors && loop != nullptr; ++i) {
      auto watcher =
          loop->Watch(fds[i], Readiness::kReadable, Trigger::kLevel, [&seen, &fds, i](Readiness) {
            uint64_t value = 0;
            if (::read(fds[i], &value, sizeof(value)) == sizeof(value)) ++seen;
          });
      if (!watcher.ok()) {
        Fail(state, watcher.status().ToString());
        break;
      }
      watchers[i] = *std::move(watcher);
    }
    const uint64_t one = 1;
    int next = 0;
    for (auto _ : state) {
      if (::write(fds[next], &one, sizeof(one)) != sizeof(one)) Fail(state, "write");
      next = (next + 1) % kDescriptors;
      loop->RunOnce(std::chrono::seconds(1));
    }
    state.SetItemsProcessed(seen);
  }
  for (const int fd : fds) ::close(fd);
}
[[maybe_unused]] const bool ready_turn =
    RegisterPerBackend("TurnWithReadyDescriptor", TurnWithReadyDescriptor);

// What is to be reached there: the same system calls without a loop.
void ReadyDescriptorFloor(benchmark::State& state) {
  const int fd = ::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
  uint64_t value = 1;
  for (auto _ : state) {
    if (::write(fd, &value, sizeof(value)) != sizeof(value)) Fail(state, "write");
    if (::read(fd, &value, sizeof(value)) != sizeof(value)) Fail(state, "read");
  }
  ::close(fd);
}
BENCHMARK(ReadyDescriptorFloor)->Name("WriteAndReadOnly");

class CountingSource final : public Source {
 public:
  void OnCompletion(const Completion& completion) override { bytes += completion.result; }
  int64_t bytes = 0;
};

// Delivers `batch` completions after each wait, and asks no kernel.
class BatchBackend final : public Backend {
 public:
  BatchBackend(Source& source, int64_t batch) : source_(source), batch_(batch) {}

  BackendKind kind() const override { return BackendKind::kSim; }
  absl::Status BindToThread() override { return absl::OkStatus(); }
  absl::Status Add(Source&) override { return absl::OkStatus(); }
  void StartAccept(Source&) override {}
  void StopAccept(Source&) override {}
  void FinishAccept(Source&, Backlog) override {}
  void StartRecv(Source&) override {}
  void StopRecv(Source&) override {}
  void StartSend(Source&, std::span<const iovec>) override {}
  void StartSendFile(Source&, const FileRange&) override {}
  void ShutdownSend(Source&) override {}
  void StartConnect(Source&, const sockaddr*, socklen_t) override {}
  absl::Status Watch(Source&, Readiness, Trigger) override { return absl::OkStatus(); }
  void Close(Source&, CloseMode) override {}
  void Wait(TimePoint) override { left_ = batch_; }
  bool Next(Completion* completion) override {
    if (left_ == 0) return false;
    --left_;
    *completion = {.source = &source_, .data = {}, .result = 1, .op = Op::kRecv};
    return true;
  }
  void Wake() override {}
  size_t attached_sources() const override { return 0; }
  void CloseAll() override {}
  void Validate() const override {}

 private:
  Source& source_;
  const int64_t batch_;
  int64_t left_ = 0;
};

// The loop's own part: a turn, and each completion on its way from Next() to its source.
void Dispatch(benchmark::State& state) {
  CountingSource source;
  SteadyClock clock;
  const auto loop =
      EventLoop::CreateWith(std::make_unique<BatchBackend>(source, state.range(0)), clock);
  for (auto _ : state) loop->RunOnce(std::chrono::seconds(1));
  state.SetItemsProcessed(source.bytes);
}
BENCHMARK(Dispatch)->ArgName("completions")->Arg(1)->Arg(16)->Arg(512);

}  // namespace
}  // namespace quintet::bench
