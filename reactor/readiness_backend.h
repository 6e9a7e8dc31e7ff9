// The contract of Backend on top of select, poll and epoll.
//
// Pollers know system calls; everything that is policy is here, once: what is registered, which
// source has its turn, what is retried, what is stale.
//
// One source's slot, seen from outside:
//
//   idle --(Start, Watch)--> armed --(event)--> ready --(turn: one system call)--> completion
//     ^                        ^                  |
//     |                        +---(EAGAIN)-------+
//     +--(Stop, end of file, error)
//   any --(Close: out of the set, close(2), all at once)--> closing --(turn)--> kClosed, slot free
//
// Ready slots wait in one first-in first-out queue; each turn makes at most one I/O call and goes
// to the tail if there is more to do, so nobody starves. Level-triggered, readiness is forgotten
// after the call, since the kernel will tell it again; edge-triggered, it is kept until EAGAIN, or
// until a read that was short while no hang-up was announced (epoll(7), "Q9": the socket is drained
// then).
//
// A descriptor is in the kernel's set only while somebody can act on what it reports, because
// POLLHUP and POLLERR cannot be masked and would wake the loop without end.
#ifndef QUINTET_REACTOR_READINESS_BACKEND_H_
#define QUINTET_REACTOR_READINESS_BACKEND_H_

#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "absl/status/statusor.h"
#include "reactor/backend.h"
#include "reactor/log.h"
#include "reactor/poller.h"
#include "reactor/source_table.h"

namespace quintet {

class ReadinessBackend final : public Backend {
 public:
  // A backend of kind kSelect, kPoll, kEpollLt or kEpollEt. `clock` must outlive it. Unavailable
  // when a descriptor that it needs cannot be made.
  static absl::StatusOr<std::unique_ptr<Backend>> Create(BackendKind kind, Clock& clock);
  ~ReadinessBackend() override;

  BackendKind kind() const override { return poller_->kind(); }
  absl::Status BindToThread() override;
  absl::Status Add(Source& source) override;
  void StartAccept(Source& source) override;
  void StopAccept(Source& source) override { Disarm(source, kAccepting); }
  void FinishAccept(Source& source, Backlog backlog) override;
  void ShareAccept(Source& source) override;
  void StartRecv(Source& source) override { Arm(source, kReceiving); }
  void StopRecv(Source& source) override { Disarm(source, kReceiving); }
  void StartSend(Source& source, std::span<const iovec> buffers) override;
  size_t SendNow(Source& source, std::span<const iovec> buffers) override;
  void StartSendFile(Source& source, const FileRange& range) override;
  size_t SendFileNow(Source& source, const FileRange& range) override;
  void ShutdownSend(Source& source) override;
  void StartConnect(Source& source, const sockaddr* address, socklen_t length) override;
  absl::Status Watch(Source& source, Readiness interest, Trigger trigger) override;
  void Close(Source& source, CloseMode mode) override;
  void Wait(TimePoint deadline) override;
  bool Next(Completion* completion) override;
  void Wake() override;
  size_t attached_sources() const override { return table_.size(); }
  void CloseAll() override;
  void Validate() const override;

 private:
  // What a slot waits for, and what it has to report.
  enum Flag : uint32_t {
    kAccepting = 1 << 0,        // armed
    kReceiving = 1 << 1,        // armed
    kSending = 1 << 2,          // a send met EAGAIN
    kConnecting = 1 << 3,       // a connect is in progress
    kWatching = 1 << 4,         // Watch() was called
    kSendDone = 1 << 5,         // `result` is to be delivered
    kConnectDone = 1 << 6,      // `result` is to be delivered
    kClosing = 1 << 7,          // kClosed is to be delivered
    kQueued = 1 << 8,           // in the ready queue
    kDirty = 1 << 9,            // in dirty_
    kBackingOff = 1 << 10,      // in backing_off_: met ENOBUFS or ENOMEM
    kUnwanted = 1 << 11,        // an edge came that nobody could use: shrink the registration
    kRecvBeforeSend = 1 << 12,  // the last turn went to sending
    kRecvEnded = 1 << 13,       // end of file or an error was delivered
    kSendFailed = 1 << 14,      // SendNow() met the error in `result`: StartSend() delivers it
    kAcceptDone = 1 << 15,      // the last kAccept is to be delivered, behind `accepts_left`
    kAcceptShared = 1 << 16,    // ShareAccept() was called
    kAcceptedSome = 1 << 17,    // since the socket was told to be ready
    kSendsFile = 1 << 18,       // what is sent is `range`, not `buffers`
  };
  struct Slot {
    union {
      const iovec* buffers = nullptr;
      const FileRange* range;
    };
    uint32_t buffer_count = 0;
    int32_t result = 0;
    uint32_t next = SourceId::kNoSlot;  // in the ready queue
    uint32_t flags = 0;
    Readiness registered = Readiness::kNone;
    Readiness ready = Readiness::kNone;
    Readiness watched = Readiness::kNone;
    Trigger trigger = Trigger::kLevel;
    uint16_t accepts_left = 0;  // before kAcceptDone

    bool Is(unsigned mask) const { return (flags & mask) != 0; }
    void Set(unsigned mask) { flags |= mask; }
    void Clear(unsigned mask) { flags &= ~mask; }
  };
  static_assert(sizeof(Slot) <= 32);

  ReadinessBackend(std::unique_ptr<Poller> poller, int wake_fd, Clock& clock);

  // For assertions: on the thread of BindToThread(), or it has ended.
  bool MayBeUsedHere() const;
  void CheckThread() const;

  // Registration.
  static Readiness Wanted(const Slot& slot);
  static Readiness Target(const Slot& slot);
  int Register(uint32_t index, Slot& slot, Readiness target);
  void MarkDirty(uint32_t index);
  void ApplyDirty();
  void Arm(Source& source, Flag direction);
  void Disarm(Source& source, Flag direction);

  // Turns.
  static bool CanRead(const Slot& slot);
  static bool CanWrite(const Slot& slot);
  static bool Runnable(const Slot& slot);
  void Enqueue(uint32_t index);
  bool TakeTurn(uint32_t index, Completion* completion);
  bool Accept(uint32_t index, Completion* completion);
  bool FinishAccepting(uint32_t index, Completion* completion);
  bool Receive(uint32_t index, Completion* completion);
  void BeginSend(uint32_t index);
  bool TrySend(uint32_t index);
  int64_t Transmit(int fd, std::span<const iovec> buffers);
  int64_t TransmitFile(int fd, const FileRange& range);
  static size_t NoteFailure(Slot& slot, int64_t sent);
  void FinishConnect(uint32_t index);

  // Waiting.
  void Harvest();
  void BackOff(uint32_t index);
  void EndBackOff();
  Duration TimeoutUntil(TimePoint deadline) const;

  const std::unique_ptr<Poller> poller_;
  const int wake_fd_;
  Clock& clock_;
  pid_t thread_ = 0;  // of BindToThread(); 0 before
  SourceTable<Slot> table_;

  uint32_t queue_head_ = SourceId::kNoSlot;
  uint32_t queue_tail_ = SourceId::kNoSlot;
  std::vector<uint32_t> dirty_;
  std::vector<SourceId> backing_off_;
  TimePoint back_off_until_ = kNever;
  bool woken_ = false;
  std::vector<ReadyEvent> events_;
  // The one receive buffer of the loop: an idle connection owns none.
  std::vector<std::byte> scratch_;
};

}  // namespace quintet

#endif  // QUINTET_REACTOR_READINESS_BACKEND_H_
