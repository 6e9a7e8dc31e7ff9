// One stream connection: a non-blocking state machine between a backend and a session.
#ifndef QUINTET_NET_CONNECTION_H_
#define QUINTET_NET_CONNECTION_H_

#include <sys/uio.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>

#include "net/address.h"
#include "net/byte_queue.h"
#include "net/connection_group.h"
#include "net/file_output.h"
#include "net/session.h"
#include "net/unique_fd.h"
#include "reactor/backend.h"
#include "reactor/source.h"
#include "reactor/timer_wheel.h"

namespace quintet {

// The states, and what leads from one to the next (asserted at each step):
//
//   state       meaning                              next
//   ----------  -----------------------------------  ---------------------------------------------
//   Connecting  connect in progress                  Open (connected), Closing (failed, too late)
//   Open        both directions                      PeerClosed (EOF), Flushing (Close()), Closing
//   PeerClosed  EOF seen; output still legal         Flushing (Close()), Closing
//   Flushing    no more input; the rest is sent      Lingering (all sent; if EOF was seen before,
//                                                    Closing), Closing (error)
//   Lingering   FIN sent; input is discarded         Closing (EOF, deadline, cap, error)
//   Closing     Backend::Close() called              Closed (kClosed)
//   Closed      OnClosed() told; about to be freed
//
// Abort(), End(), a socket error, a stalled write and a session that throws lead from every state
// but the last two to Closing.
//
// What a session asks for takes effect when its callback has returned: Settle() is the one place
// that sends, arms, disarms and changes state. So nothing is re-entered, and all output of one
// callback leaves in one send.
class Connection final : public Source, public Transport, private Timer {
 public:
  enum class State : uint8_t {
    kConnecting,
    kOpen,
    kPeerClosed,
    kFlushing,
    kLingering,
    kClosing,
    kClosed,
  };

  State state() const { return state_; }
  // Why it is closing or closed; kNone before.
  CloseReason close_reason() const { return reason_; }
  Session& session() { return *session_; }

  // Transport, for the session and for whoever got the pointer from a ConnectionGroup.
  void Write(std::string_view bytes) override;
  void WriteFile(std::shared_ptr<const UniqueFd> file, uint64_t offset, uint64_t length) override;
  size_t output_bytes() const override {
    return sending_.size() + filling_.size() + (files_ != nullptr ? files_->bytes() : 0);
  }
  bool output_blocked() const override { return output_blocked_; }
  void Close() override;
  void Abort(CloseReason reason) override;
  bool ending() const override { return output_ended() || abort_reason_ != CloseReason::kNone; }
  void PauseReading() override;
  void ResumeReading() override;
  bool reading_paused() const override { return paused_; }
  void SetDeadline(TimePoint deadline) override;
  TimePoint now() const override { return loop_.now(); }
  bool stopping() const override { return group_ == nullptr || group_->stopping(); }
  absl::StatusOr<Address> PeerAddress() const override;
  void SetPeerAddress(const Address& address) override;
  absl::StatusOr<Address> LocalAddress() const override;
  EventLoop* loop() override { return &loop_; }
  std::shared_ptr<Executor> executor() override;

  // Asks the session to come to an end: OnDrain() before the loop waits again.
  void Drain();
  // Ends at once: with FIN where that takes nothing away from the peer, because the session is idle
  // (kDrained) or everything was sent (kLingerTimeout), else with a reset (kAborted).
  void End();

 private:
  friend class ConnectionGroup;

  Connection(ConnectionGroup& group, int fd, std::unique_ptr<Session> session, State state);
  ~Connection() override;

  // ConnectionGroup's part.
  void Open();
  void StartConnecting(const Address& address, Duration timeout);
  void Orphan();

  void OnCompletion(const Completion& completion) override;
  void OnTimer(TimePoint now) override;

  // Completions.
  void OnConnected(int32_t result);
  void OnReceived(const Completion& completion);
  void OnSent(int32_t result);
  // The kernel has taken the first `bytes` of `output`.
  void OnTaken(ByteQueue& output, size_t bytes) {
    output.Consume(bytes, pool());
    if (group_ == nullptr) return;
    ConnectionCounters::Add(group_->counters().bytes_out, bytes);
  }
  void OnTakenFromFile(size_t bytes);
  void OnBackendClosed();
  void Deliver(std::span<const std::byte> data);

  // Settling.
  void WriteBehindFiles(std::string_view bytes);
  void ScheduleSettle();
  void Settle();
  bool CallbackPossible() const;
  bool InputDue() const;
  // Blocked until the session is told otherwise.
  bool DrainedDue() const {
    return opened_ && output_blocked_ && group_ != nullptr && !close_requested_ &&
           output_bytes() <= group_->options().output_low_mark;
  }
  void CallSessionWhereDue();
  bool SendMatters() const;
  void Flush();
  void FlushFilling();
  bool FlushFiles();
  void StartSending();
  void DropFiles();
  void FinishClose();
  void UpdateReceiving();
  void UpdateTimer();
  void StartClosing(CloseReason reason, CloseMode mode);
  void SetState(State next);
  bool idle() const;
  bool closing() const { return state_ >= State::kClosing; }
  bool output_ended() const { return close_requested_ || closing(); }
  // Whether what is written goes anywhere.
  bool takes_output() const {
    return !output_ended() && group_ != nullptr && abort_reason_ == CloseReason::kNone;
  }

  // Runs a callback of the session; one that throws closes this connection and harms nothing else.
  template <typename Callback>
  void CallSession(Callback&& callback);
  void OnSessionThrew(const char* what);

  // Not now(), the time of the turn: a callback of this turn may have taken longer than a deadline.
  TimePoint present() const { return loop_.clock().Now(); }
  BlockPool* pool() { return group_ != nullptr ? &group_->pool() : nullptr; }

  EventLoop& loop_;
  ConnectionGroup* group_;  // null once the group is gone
  Connection* next_in_group_ = nullptr;
  Connection* previous_in_group_ = nullptr;
  std::unique_ptr<Session> session_;
  // Until the connect has ended where it goes to, and the kernel may read it. Then the peer's, if
  // SetPeerAddress() named it.
  std::unique_ptr<const Address> address_;

  // Output in two parts: one that the kernel may be reading, left alone, and one that fills.
  ByteQueue sending_;
  ByteQueue filling_;
  // What comes behind both, from the first range of a file on; null where there is none. A send in
  // flight is of `sending_`, or, where that is empty, of the first range.
  std::unique_ptr<FileOutput> files_;
  // Input that the session has not consumed, or that came while it was paused.
  ByteQueue unread_;

  TimePoint session_deadline_ = kNever;
  // Of the operation that the state waits for: connect, write stall, linger.
  TimePoint io_deadline_ = kNever;
  uint32_t lingered_bytes_ = 0;  // no more than it can hold

  // A byte more would cost an idle connection sixteen.
  State state_;
  CloseReason reason_ : 5 = CloseReason::kNone;
  bool in_callback_ : 1 = false;
  bool settle_scheduled_ : 1 = false;
  bool receiving_ : 1 = false;                         // armed at the backend
  CloseReason abort_reason_ : 5 = CloseReason::kNone;  // asked for, not yet carried out
  bool send_in_flight_ : 1 = false;
  bool send_is_lazy_ : 1 = false;  // its success may be told late
  bool opened_ : 1 = false;
  bool paused_ : 1 = false;      // by the session
  bool wants_more_ : 1 = false;  // it did not consume all it was shown last
  bool eof_seen_ : 1 = false;
  bool eof_told_ : 1 = false;
  bool close_requested_ : 1 = false;
  bool output_blocked_ : 1 = false;
  bool drain_due_ : 1 = false;     // OnDrain() is to be called
  bool deadline_due_ : 1 = false;  // OnDeadline() is to be called
};
static_assert(sizeof(Connection) <= 216, "what is idle is to be small");

}  // namespace quintet

#endif  // QUINTET_NET_CONNECTION_H_
