#include "net/connection.h"

#include <errno.h>

#include <algorithm>
#include <array>
#include <cassert>
#include <utility>

#include "absl/strings/str_cat.h"
#include "net/socket.h"
#include "reactor/catch_all.h"
#include "reactor/errno_class.h"

namespace quintet {
namespace {

using State = Connection::State;

constexpr unsigned Bit(State state) { return 1U << static_cast<unsigned>(state); }

// For each state the states that may follow: the table above the class.
constexpr std::array<unsigned, 7> kFollowers = {
    Bit(State::kOpen) | Bit(State::kClosing),
    Bit(State::kPeerClosed) | Bit(State::kFlushing) | Bit(State::kClosing),
    Bit(State::kFlushing) | Bit(State::kClosing),
    Bit(State::kLingering) | Bit(State::kClosing),
    Bit(State::kClosing),
    Bit(State::kClosed),
    0,
};

// Kept input that a session is shown at once: as much as one receive of a readiness backend brings.
constexpr size_t kDeliveredBytes = 64 << 10;

}  // namespace

Connection::Connection(ConnectionGroup& group, int fd, std::unique_ptr<Session> session,
                       State state)
    : Source(fd),
      loop_(group.loop()),
      group_(&group),
      session_(std::move(session)),
      state_(state) {}

Connection::~Connection() {
  DropFiles();
  sending_.Clear(pool());
  filling_.Clear(pool());
  unread_.Clear(pool());
}

void Connection::SetState(State next) {
  assert((kFollowers[static_cast<size_t>(state_)] & Bit(next)) != 0 && "forbidden transition");
  state_ = next;
}

template <typename Callback>
void Connection::CallSession(Callback&& callback) {
  assert(!in_callback_ && "a session was called from inside its own callback");
  in_callback_ = true;
  CatchAll(callback, [this](const char* what) { OnSessionThrew(what); });
  in_callback_ = false;
}

void Connection::OnSessionThrew(const char* what) {
  if (loop_.log()) loop_.log()(LogLevel::kError, absl::StrCat("a session threw: ", what));
  if (abort_reason_ == CloseReason::kNone) abort_reason_ = CloseReason::kSessionError;
}

// ---- What the group does ----

void Connection::Open() {
  opened_ = true;
  session_->Attach(*this);
  CallSession([this] { session_->OnOpen(); });
  Settle();
}

void Connection::StartConnecting(const Address& address, Duration timeout) {
  session_->Attach(*this);
  if (timeout > Duration::zero()) io_deadline_ = AddSaturated(present(), timeout);
  address_ = std::make_unique<const Address>(address);
  loop_.backend().StartConnect(*this, address_->data(), address_->size());
  UpdateTimer();
}

void Connection::Orphan() {
  // Blocks go back to the pool while it is there, but for the one that the kernel may be reading.
  if (!send_in_flight_) sending_.Clear(pool());
  filling_.Clear(pool());
  if (!send_in_flight_ || !sending_.empty()) DropFiles();
  if (!in_callback_) unread_.Clear(pool());
  group_ = nullptr;
  Abort(CloseReason::kAborted);
}

// ---- Transport ----

void Connection::Close() {
  if (output_ended()) return;
  close_requested_ = true;
  ScheduleSettle();
}

void Connection::Abort(CloseReason reason) {
  if (closing()) return;
  if (abort_reason_ == CloseReason::kNone) abort_reason_ = reason;
  // Never tells the session here, so at once is safe, and frees the descriptor soonest.
  if (!in_callback_) StartClosing(abort_reason_, CloseMode::kReset);
}

void Connection::PauseReading() {
  paused_ = true;
  ScheduleSettle();
}

void Connection::ResumeReading() {
  paused_ = false;
  ScheduleSettle();
}

void Connection::SetDeadline(TimePoint deadline) {
  session_deadline_ = deadline;
  deadline_due_ = false;
  // Later deadlines are noticed when the timer fires for the earlier one.
  if (!in_callback_ && !closing()) UpdateTimer();
}

absl::StatusOr<Address> Connection::PeerAddress() const {
  if (address_ != nullptr) return *address_;
  // The number may be somebody else's by now.
  if (closing()) return absl::UnavailableError("the connection is closed");
  return PeerAddressOf(fd());
}

absl::StatusOr<Address> Connection::LocalAddress() const {
  return closing() ? absl::UnavailableError("the connection is closed") : LocalAddressOf(fd());
}

void Connection::SetPeerAddress(const Address& address) {
  assert(state_ != State::kConnecting);
  address_ = std::make_unique<const Address>(address);
}

std::shared_ptr<Executor> Connection::executor() {
  if (group_ != nullptr) return group_->executor();
  return std::make_shared<LoopExecutor>(nullptr);
}

void Connection::Drain() {
  drain_due_ = true;
  ScheduleSettle();
}

void Connection::End() {
  if (state_ == State::kLingering) {
    // The peer may still be reading what the kernel holds: no reset.
    StartClosing(CloseReason::kLingerTimeout, CloseMode::kClose);
  } else if (idle()) {
    StartClosing(CloseReason::kDrained, CloseMode::kClose);
  } else {
    Abort(CloseReason::kAborted);
  }
}

bool Connection::idle() const {
  return state_ == State::kOpen && opened_ && !in_callback_ && !ending() && output_bytes() == 0 &&
         unread_.empty() && session_->idle();
}

// ---- Completions ----

void Connection::OnCompletion(const Completion& completion) {
  switch (completion.op) {
    case Op::kConnect:
      OnConnected(completion.result);
      break;
    case Op::kRecv:
      OnReceived(completion);
      break;
    case Op::kSend:
      OnSent(completion.result);
      break;
    case Op::kClosed:
      OnBackendClosed();
      return;
    case Op::kAccept:
    case Op::kReady:
    case Op::kFile:
      assert(false && "not an operation of a connection");
      break;
  }
  Settle();
}

void Connection::OnConnected(int32_t result) {
  address_.reset();
  if (result < 0) {
    StartClosing(CloseReason::kConnectFailed, CloseMode::kClose);
    return;
  }
  io_deadline_ = kNever;
  SetState(State::kOpen);
  opened_ = true;
  CallSession([this] { session_->OnOpen(); });
}

void Connection::OnReceived(const Completion& completion) {
  if (completion.result > 0) {
    if (group_ != nullptr) {
      ConnectionCounters::Add(group_->counters().bytes_in,
                              static_cast<uint64_t>(completion.result));
    }
    if (state_ == State::kLingering) {
      lingered_bytes_ += static_cast<uint32_t>(
          std::min<size_t>(completion.data.size(), UINT32_MAX - lingered_bytes_));
      return;
    }
    // Bytes that the kernel had moved before receiving was stopped by Close(): nobody wants them.
    if (state_ != State::kOpen) return;
    Deliver(completion.data);
    return;
  }
  receiving_ = false;
  if (completion.result == 0) {
    eof_seen_ = true;
    if (state_ == State::kOpen) SetState(State::kPeerClosed);
    return;
  }
  if (state_ == State::kLingering) {
    // Everything was sent and FIN as well; how the peer leaves is its own affair.
    StartClosing(reason_, CloseMode::kClose);
  } else {
    StartClosing(IsReset(-completion.result) ? CloseReason::kPeerReset : CloseReason::kError,
                 CloseMode::kClose);
  }
}

// Hands `data` to the session as far as it takes it, and keeps the rest. Above the high mark all of
// it is kept: a multishot receive brings up to a ring of buffers after it was told to stop.
void Connection::Deliver(std::span<const std::byte> data) {
  size_t consumed = 0;
  if (!paused_ && !output_blocked_ && unread_.empty()) {
    CallSession([&] { consumed = session_->OnData(data); });
    assert(consumed <= data.size());
    if (abort_reason_ != CloseReason::kNone || close_requested_) return;
    paused_ = paused_ || consumed < data.size();
    wants_more_ = consumed < data.size();
  }
  if (consumed == data.size() || group_ == nullptr) return;
  const auto rest = data.subspan(consumed);
  unread_.Append({reinterpret_cast<const char*>(rest.data()), rest.size()}, group_->pool());
}

void Connection::OnBackendClosed() {
  SetState(State::kClosed);
  loop_.CancelTimer(*this);
  CallSession([this] { session_->OnClosed(reason_); });
  session_.reset();
  if (group_ != nullptr) {
    sending_.Clear(pool());
    filling_.Clear(pool());
    DropFiles();
    unread_.Clear(pool());
    std::exchange(group_, nullptr)->Remove(*this);
  }
  // Not at once: a Settle() of this connection may stand in the queue of deferred tasks.
  loop_.Defer([this] { delete this; });
}

void Connection::OnTimer(TimePoint now) {
  if (io_deadline_ <= now) {
    switch (state_) {
      case State::kConnecting:
        StartClosing(CloseReason::kConnectTimeout, CloseMode::kClose);
        return;
      case State::kLingering:
        // The peer may still be reading what the kernel holds: no reset.
        StartClosing(CloseReason::kLingerTimeout, CloseMode::kClose);
        return;
      default:
        StartClosing(CloseReason::kWriteStall, CloseMode::kReset);
        return;
    }
  }
  if (session_deadline_ <= now) {
    session_deadline_ = kNever;
    deadline_due_ = true;
  }
  Settle();
}

// ---- Settling ----

void Connection::ScheduleSettle() {
  if (in_callback_ || settle_scheduled_ || closing()) return;
  settle_scheduled_ = true;
  loop_.Defer([this] {
    settle_scheduled_ = false;
    Settle();
  });
}

// Brings the backend in line with what the session and the peer want, in this order: the callbacks
// that are due, since they may write; the output; the end; then what to wait for.
void Connection::Settle() {
  if (closing()) return;
  if (opened_ && CallbackPossible()) CallSessionWhereDue();
  if (abort_reason_ != CloseReason::kNone && !closing()) {
    StartClosing(abort_reason_, CloseMode::kReset);
  }
  if (closing()) return;
  Flush();
  FinishClose();
  if (closing()) return;
  UpdateReceiving();
  UpdateTimer();
  // A callback behind the delivery of input may have resumed reading, and the output may have left
  // behind the callback that was to hear of it.
  if (InputDue() || DrainedDue()) ScheduleSettle();
}

// Told in one look at a connection that is merely busy.
bool Connection::CallbackPossible() const {
  return deadline_due_ || output_blocked_ || drain_due_ || eof_seen_ || files_ != nullptr ||
         !unread_.empty();
}

// Whether the session is to be called with kept input, or with the end of file behind it.
bool Connection::InputDue() const {
  if (!opened_ || paused_ || close_requested_) return false;
  if (!unread_.empty()) return !output_blocked_;
  return eof_seen_ && !eof_told_;
}

void Connection::CallSessionWhereDue() {
  const auto alive = [this] {
    return !closing() && abort_reason_ == CloseReason::kNone && group_ != nullptr;
  };
  if (files_ != nullptr && files_->has_missing() && alive()) {
    const uint64_t missing = *files_->TakeMissing();
    CallSession([&] { session_->OnFileShort(missing); });
  }
  if (deadline_due_ && alive()) {
    deadline_due_ = false;
    CallSession([this] { session_->OnDeadline(); });
  }
  if (DrainedDue() && alive()) {
    output_blocked_ = false;
    CallSession([this] { session_->OnOutputDrained(); });
  }
  if (!unread_.empty() && !paused_ && !output_blocked_ && alive() && !close_requested_) {
    // Swapped out: the session may write, pause or destroy the group while it reads.
    ByteQueue input;
    swap(input, unread_);
    // In pieces, so that a session which answers each byte meets the high mark before the cap; but
    // whole for one that did not consume what it was shown, since it may need to see more.
    const size_t offered = wants_more_ ? input.size() : std::min(input.size(), kDeliveredBytes);
    size_t consumed = 0;
    CallSession([&] { consumed = session_->OnData(std::as_bytes(input.bytes().first(offered))); });
    input.Consume(consumed, pool());
    if (alive() && !close_requested_ && !input.empty()) {
      wants_more_ = consumed < offered;
      paused_ = paused_ || wants_more_;
      swap(input, unread_);
    } else {
      wants_more_ = false;
    }
    input.Clear(pool());
  }
  if (eof_seen_ && !eof_told_ && unread_.empty() && !paused_ && alive() && !close_requested_) {
    eof_told_ = true;
    CallSession([this] { session_->OnEof(); });
  }
  if (drain_due_ && alive() && !close_requested_) {
    drain_due_ = false;
    CallSession([this] { session_->OnDrain(); });
  }
}

// The stages of a close that the session asked for (RFC 9112 section 9.6).
void Connection::FinishClose() {
  if (!close_requested_ || state_ == State::kConnecting) return;
  if (state_ == State::kOpen || state_ == State::kPeerClosed) {
    SetState(State::kFlushing);
    reason_ = eof_seen_ ? CloseReason::kPeerClosed : CloseReason::kLocal;
    session_deadline_ = kNever;
    unread_.Clear(pool());
  }
  if (state_ == State::kFlushing && output_bytes() == 0) {
    if (eof_seen_) {
      StartClosing(reason_, CloseMode::kClose);
      return;
    }
    SetState(State::kLingering);
    loop_.backend().ShutdownSend(*this);
    io_deadline_ = AddSaturated(present(), group_->options().linger_timeout);
  }
  if (state_ == State::kLingering &&
      (eof_seen_ || lingered_bytes_ > group_->options().linger_cap)) {
    StartClosing(eof_seen_ ? reason_ : CloseReason::kLingerTimeout, CloseMode::kClose);
  }
}

void Connection::UpdateReceiving() {
  const bool wanted =
      !eof_seen_ && (state_ == State::kLingering ||
                     (state_ == State::kOpen && !paused_ && !output_blocked_ && unread_.empty()));
  if (wanted == receiving_) return;
  receiving_ = wanted;
  if (wanted) {
    loop_.backend().StartRecv(*this);
  } else {
    loop_.backend().StopRecv(*this);
  }
}

// Deadlines move with every request, the timer does not: it fires for the earliest deadline it was
// ever armed for, and is then armed for the one that holds.
void Connection::UpdateTimer() {
  const TimePoint next = std::min(session_deadline_, io_deadline_);
  if (next < expiry()) loop_.StartTimer(*this, next);
}

void Connection::StartClosing(CloseReason reason, CloseMode mode) {
  if (closing()) return;
  reason_ = reason;
  SetState(State::kClosing);
  loop_.CancelTimer(*this);
  loop_.backend().Close(*this, mode);
}

}  // namespace quintet
