// The contract of Backend on io_uring, natively: multishot accept and receive, provided buffers,
// all submissions of a turn in the one system call that also waits.
//
// One source, seen from outside (the table of one operation stands in uring_source.h):
//
//   idle --(Start, Watch)--> wanted --(Wait)--> in flight --(completion queue)--> completion
//     ^                        ^                   |
//     |                        +--(ended itself)---+
//     +--(Stop: cancel at the next Wait)-----------+
//   any --(Close)--> closing: cancel all, reap until nothing is in flight, close(2) --> kClosed
//
// The order matters at the end: close(2) neither cancels an armed receive nor sends FIN while the
// kernel holds the file for it, and a cancelled operation may still succeed.
#ifndef QUINTET_REACTOR_URING_BACKEND_H_
#define QUINTET_REACTOR_URING_BACKEND_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "reactor/backend.h"
#include "reactor/backend_factory.h"
#include "reactor/buffer_ring.h"
#include "reactor/clock.h"
#include "reactor/completion_store.h"
#include "reactor/log.h"
#include "reactor/slot_queue.h"
#include "reactor/source_table.h"
#include "reactor/uring_files.h"
#include "reactor/uring_ring.h"
#include "reactor/uring_source.h"

namespace quintet {

class UringBackend final : public Backend {
 public:
  // How long an operation rests that met ENOBUFS or ENOMEM, and the ring itself when it cannot take
  // submissions: long enough not to spin, short enough not to be noticed.
  static constexpr Duration kExhaustionRetry = std::chrono::milliseconds(10);
  // Sets up the ring, disabled until BindToThread(), and its buffers. `clock` must outlive the
  // backend. Errors: InvalidArgument for sizes that make no sense; Unavailable with step and errno.
  static absl::StatusOr<std::unique_ptr<UringBackend>> Create(const UringOptions& options,
                                                              const LogFunction& log, Clock& clock);
  ~UringBackend() override;

  BackendKind kind() const override { return BackendKind::kIoUring; }
  absl::Status BindToThread() override;
  absl::Status Add(Source& source) override;
  void StartAccept(Source& source) override;
  void StopAccept(Source& source) override { Unwant(source, UringOp::kAccept); }
  void FinishAccept(Source& source, Backlog backlog) override;
  void StartRecv(Source& source) override;
  void StopRecv(Source& source) override { Unwant(source, UringOp::kRecv); }
  void StartSend(Source& source, std::span<const iovec> buffers) override;
  void StartLazySend(Source& source, std::span<const iovec> buffers) override;
  void ExpectSend(Source& source) override;
  void StartSendFile(Source& source, const FileRange& range) override;
  size_t SendFileNow(Source& source, const FileRange& range) override;
  void ShutdownSend(Source& source) override;
  void StartConnect(Source& source, const sockaddr* address, socklen_t length) override;
  absl::Status Watch(Source& source, Readiness interest, Trigger trigger) override;
  bool StartFile(FileRequest& request, FileDone& done) override;
  void EndFiles() override;
  void Close(Source& source, CloseMode mode) override;
  // Where the thread of BindToThread() has ended and another one tears the loop down: ends the ring
  // and with it everything in flight, so that each kClosed can be delivered.
  void Wait(TimePoint deadline) override;
  bool Next(Completion* completion) override;
  void Wake() override;
  size_t attached_sources() const override { return table_.size(); }
  void CloseAll() override;
  void Validate() const override;

  const UringRing& ring() const { return *ring_; }

 private:
  // Stands among the undelivered completions of a source where it is to look for connections, or
  // where there is room to send from a file.
  static constexpr int32_t kLook = INT32_MIN;

  UringBackend(const LogFunction& log, Clock& clock, int wake_fd)
      : log_(log), clock_(clock), wake_fd_(wake_fd) {}

  absl::Status SetUp(const UringOptions& options);
  SourceId IdOf(uint32_t slot) const { return {slot, table_.generation(slot)}; }
  void CheckThread() const;
  void LogOnce(std::string_view message);

  // What the user asks for (uring_backend.cc).
  UringSource& Find(Source& source) { return table_[table_.SlotOf(source)]; }
  void Want(Source& source, UringOp op);
  void Unwant(Source& source, UringOp op);
  void FinishClose(uint32_t slot);
  void ReleaseLastBuffer();
  void AbandonIfOrphaned();
  void Abandon();

  // Towards the kernel (uring_submission.cc).
  void MarkDirty(uint32_t slot);
  void Submit();
  bool Reconcile(uint32_t slot);
  bool HaveRoom();
  void Arm(uint32_t slot, UringOp op);
  void ArmSend(uint32_t slot, io_uring_sqe* sqe);
  static void ArmPoll(UringSource& source, io_uring_sqe* sqe);
  void ArmWake();
  void ArmFence();
  void SubmitFiles();
  void Delay(uint32_t slot, UringOp op);
  void EndDelays();
  void FeedStarved();
  int Enter(const UringRing::EnterOptions& options);
  void Rest(TimePoint deadline);

  // From the kernel (uring_completion.cc).
  uint32_t Harvest();
  void ConcludeQuietSends();
  void ConcludeQuietSendsBefore(uint32_t position);
  void ConcludeQuietSend(uint32_t slot, bool sent);
  void OnCqe(const io_uring_cqe& cqe);
  void EndOperation(UringSource& source, UringOp op);
  void OnLateCqe(UringOp op, const io_uring_cqe& cqe);
  void OnCancelFailed(SourceId id);
  void OnWake(int32_t result, bool more);
  void OnFile(SourceId id, int32_t result);
  void OnAccept(uint32_t slot, int32_t result);
  void OnRecv(uint32_t slot, const io_uring_cqe& cqe);
  void OnSend(uint32_t slot, int32_t result);
  void OnRoom(uint32_t slot, int32_t result);
  void OnPoll(uint32_t slot, int32_t result, bool more);
  void Queue(uint32_t slot, Op op, int32_t result, uint16_t buffer = CompletionStore::kNoBuffer);
  bool Deliver(uint32_t slot, Completion* completion);
  bool AcceptOne(uint32_t slot, Completion* completion);
  bool SendRange(uint32_t slot, Completion* completion);
  void DropQueued(UringSource& source);

  const LogFunction log_;
  Clock& clock_;
  const int wake_fd_;

  // The ring goes first, then the memory the kernel knew through it.
  std::unique_ptr<BufferRing> buffers_;
  std::unique_ptr<UringRing> ring_;
  std::vector<msghdr> messages_;  // of the submission at the same place of the queue
  UringFiles files_;

  SourceTable<UringSource> table_;
  CompletionStore queued_;
  SlotQueue turns_;    // sources with undelivered completions
  SlotQueue dirty_;    // sources whose wanted and in-flight sets may differ
  SlotQueue starved_;  // sources that wait for a receive buffer
  SlotQueue delayed_;  // sources with an operation that rests until `retry_at_`
  TimePoint retry_at_ = kNever;

  struct QuietSend {
    SourceId id;
    uint32_t position;  // among the submissions
  };
  std::vector<QuietSend> quiet_sends_;   // submitted or about to be, the oldest first
  size_t in_flight_ = 0;                 // operations of all sources
  std::optional<uint16_t> last_buffer_;  // behind the completion returned last
  uint32_t lost_completions_ = 0;        // as of the last look
  uint32_t fence_position_ = 0;
  bool fence_wanted_ = false;
  bool fence_in_flight_ = false;
  bool may_send_quietly_ = false;
  bool send_expected_ = false;  // somebody waits for a quiet send that the kernel has not taken
  bool bound_ = false;
  bool abandoned_ = false;
  bool wake_armed_ = false;
  bool wake_delayed_ = false;
  bool woken_ = false;
  bool logged_error_ = false;
};

}  // namespace quintet

#endif  // QUINTET_REACTOR_URING_BACKEND_H_
