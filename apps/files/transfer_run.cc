#include "apps/files/transfer_run.h"

#include <algorithm>
#include <utility>

namespace quintet::files::app {
namespace {

// For local disks, after Ctrl-C: what is not written then is fetched again by a resume.
constexpr std::chrono::seconds kWritePatience{2};

class Run {
 public:
  Run(Remote& remote, const TransferPlan& plan, const Report& report)
      : remote_(remote), plan_(plan), display_(report.quiet) {}

  ExitCode ToEnd(OnInterrupt on_interrupt) {
    for (size_t slot = 0; slot < std::min(plan_.parallel, plan_.count); ++slot) {
      const std::optional<ClientError> error = remote_.Connect(slot);
      if (remote_.interrupted()) return Interrupted(on_interrupt);
      if (error.has_value()) {
        if (slot == 0) {
          Fail(FailureOf(*error, error->ToString()));
          return code_;
        }
        // The server does not want more of them.
        break;
      }
      slots_.emplace_back();
      StartNext(slot);
    }
    const TimerHandle timer = remote_.loop().RunEvery(ProgressDisplay::kPeriod, [this] { Draw(); });
    const bool done = remote_.RunUntil([this] { return running_ == 0; });
    remote_.loop().Cancel(timer);
    if (!done) return Interrupted(on_interrupt);
    if (next_ < plan_.count && code_ == ExitCode::kSuccess) code_ = ExitCode::kConnection;
    return code_;
  }

 private:
  struct Slot {
    std::shared_ptr<Transfer> transfer;  // null: none any more
  };

  void StartNext(size_t slot) {
    slots_[slot].transfer.reset();
    ClientSession* const session = remote_.session(slot);
    if (session == nullptr || next_ == plan_.count) return;
    slots_[slot].transfer = plan_.make(next_++);
    ++running_;
    slots_[slot].transfer->Start(*session, [this, slot, alive = std::weak_ptr<const bool>(alive_)](
                                               const std::optional<TransferFailure>& failure) {
      if (alive.expired()) return;
      --running_;
      ended_bytes_ += slots_[slot].transfer->bytes();
      if (failure.has_value() && !disconnecting_) Fail(*failure);
      if (disconnecting_) {
        slots_[slot].transfer.reset();
      } else {
        StartNext(slot);
      }
    });
  }

  void Fail(const TransferFailure& failure) {
    if (code_ == ExitCode::kSuccess) code_ = failure.code;
    display_.Clear();
    Report::Error(failure.text);
  }

  ExitCode Interrupted(OnInterrupt on_interrupt) {
    display_.Clear();
    disconnecting_ = true;
    if (on_interrupt == OnInterrupt::kDisconnect) {
      remote_.Disconnect();
      // Each is told that, and then writes what it has.
      EventLoop& loop = remote_.loop();
      const TimePoint deadline = AddSaturated(loop.clock().Now(), kWritePatience);
      while (running_ > 0 && loop.clock().Now() < deadline) loop.RunOnce(kWritePatience);
    }
    for (Slot& slot : slots_) {
      if (slot.transfer != nullptr) slot.transfer->Cancel();
    }
    return ExitCode::kInterrupted;
  }

  void Draw() {
    uint64_t bytes = ended_bytes_;
    uint64_t total = 0;
    const Transfer* shown = nullptr;
    for (const Slot& slot : slots_) {
      if (slot.transfer == nullptr) continue;
      shown = slot.transfer.get();
      bytes += shown->bytes();
      total = shown->total();
    }
    if (shown == nullptr) return;
    if (plan_.count > 1) total = plan_.total_bytes;
    display_.Update(shown->name(), bytes, total, remote_.loop().now());
  }

  Remote& remote_;
  const TransferPlan& plan_;
  ProgressDisplay display_;
  std::vector<Slot> slots_;
  size_t next_ = 0;     // of the plan
  size_t running_ = 0;  // transfers that are not over
  uint64_t ended_bytes_ = 0;
  bool disconnecting_ = false;
  // Known to what transfers call later, which may be too late.
  const std::shared_ptr<const bool> alive_ = std::make_shared<const bool>(true);
  ExitCode code_ = ExitCode::kSuccess;
};

}  // namespace

ExitCode RunTransfers(Remote& remote, const TransferPlan& plan, const Report& report,
                      OnInterrupt on_interrupt) {
  if (plan.count == 0) return ExitCode::kSuccess;
  return Run(remote, plan, report).ToEnd(on_interrupt);
}

}  // namespace quintet::files::app
