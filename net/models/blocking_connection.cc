#include "net/models/blocking_connection.h"

#include <errno.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cassert>
#include <chrono>
#include <utility>

#include "absl/strings/str_cat.h"
#include "net/models/poll_until.h"
#include "reactor/backend.h"
#include "reactor/catch_all.h"
#include "reactor/errno_class.h"
#include "reactor/send_file.h"

namespace quintet {
namespace {

// As much as one receive of a readiness backend brings, and a session is shown at once.
constexpr size_t kReceiveBytes = 64 << 10;
// How often tasks are looked for without a descriptor to be woken by.
constexpr Duration kTaskInterval = std::chrono::milliseconds(10);
// Before a send is tried again for which the kernel had no memory: poll(2) says that there is room.
constexpr Duration kMemoryPause = std::chrono::milliseconds(10);

}  // namespace

BlockingConnection::BlockingConnection(Socket socket, std::unique_ptr<Session> session,
                                       const Surroundings& surroundings)
    : around_(surroundings),
      socket_(std::move(socket)),
      session_(std::move(session)),
      now_(present()) {}

BlockingConnection::~BlockingConnection() {
  output_.Clear(&pool_);
  files_.Clear(&pool_);
  unread_.Clear(&pool_);
}

CloseReason BlockingConnection::Run() {
  ConnectionCounters& counters = around_.counters;
  ConnectionCounters::Add(counters.opened, 1);
  ConnectionCounters::Add(counters.active, 1);
  session_->Attach(*this);
  CallSession([this] { session_->OnOpen(); });
  for (Settle(); !closed(); Settle()) Wait();
  CallSession([this] { session_->OnClosed(reason_); });
  session_.reset();
  if (executor_ != nullptr) RunTasks(executor_->Close());
  ConnectionCounters::Add(counters.active, ~uint64_t{0});  // one less
  return reason_;
}

template <typename Callback>
void BlockingConnection::CallSession(Callback&& callback) {
  assert(!in_callback_ && "a session was called from inside its own callback");
  in_callback_ = true;
  CatchAll(callback, [this](const char* what) { OnSessionThrew(what); });
  in_callback_ = false;
}

void BlockingConnection::OnSessionThrew(const char* what) {
  LogError("a session threw: ", what);
  if (abort_reason_ == CloseReason::kNone) abort_reason_ = CloseReason::kSessionError;
}

void BlockingConnection::LogError(std::string_view what, const char* text) const {
  if (around_.log) around_.log(LogLevel::kError, absl::StrCat(std::string(what), text));
}

// ---- Transport ----

void BlockingConnection::Write(std::string_view bytes) {
  if (ending()) return;
  const size_t memory = output_.size() + files_.memory_bytes() + bytes.size();
  if (memory > around_.options.output_cap) return Abort(CloseReason::kOutputLimit);
  if (files_.empty()) {
    output_.Append(bytes, pool_);
  } else {
    files_.Append(bytes, pool_);
  }
  if (output_bytes() > around_.options.output_high_mark) output_blocked_ = true;
}

void BlockingConnection::WriteFile(std::shared_ptr<const UniqueFd> file, uint64_t offset,
                                   uint64_t length) {
  assert(file != nullptr && offset <= INT64_MAX && length <= INT64_MAX - offset);
  if (ending() || length == 0) return;
  files_.AppendRange(std::move(file), offset, length);
  if (output_.size() + files_.memory_bytes() > around_.options.output_cap) {
    return Abort(CloseReason::kOutputLimit);
  }
  if (output_bytes() > around_.options.output_high_mark) output_blocked_ = true;
}

void BlockingConnection::Abort(CloseReason reason) {
  if (!closed() && abort_reason_ == CloseReason::kNone) abort_reason_ = reason;
}

void BlockingConnection::SetDeadline(TimePoint deadline) {
  session_deadline_ = deadline;
  deadline_due_ = false;
}

absl::StatusOr<Address> BlockingConnection::PeerAddress() const {
  if (address_ != nullptr) return *address_;
  if (closed()) return absl::UnavailableError("the connection is closed");
  return PeerAddressOf(socket_.fd());
}

void BlockingConnection::SetPeerAddress(const Address& address) {
  address_ = std::make_unique<const Address>(address);
}

absl::StatusOr<Address> BlockingConnection::LocalAddress() const {
  return closed() ? absl::UnavailableError("the connection is closed")
                  : LocalAddressOf(socket_.fd());
}

std::shared_ptr<Executor> BlockingConnection::executor() {
  if (executor_ == nullptr) executor_ = std::make_shared<BlockingExecutor>();
  return executor_;
}

// ---- Settling ----

// Carries out what the session and the peer want, in this order: the callbacks that are due, since
// they may write; the output; the end.
void BlockingConnection::Settle() {
  if (closed()) return;
  FollowEnding();
  CallSessionWhereDue();
  if (abort_reason_ != CloseReason::kNone) StartClosing(abort_reason_, /*reset=*/true);
  if (closed()) return;
  Flush();
  FinishClose();
}

void BlockingConnection::FollowEnding() {
  const EndStage before = std::exchange(seen_, around_.ending.stage());
  if (seen_ == before) return;
  if (before < EndStage::kDraining) drain_due_ = true;
  if (seen_ == EndStage::kOver) End();
  if (seen_ == EndStage::kAborted) StartClosing(CloseReason::kAborted, /*reset=*/true);
}

// With FIN where that takes nothing away from the peer, else with a reset.
void BlockingConnection::End() {
  if (state_ == State::kLingering) {
    // The peer may still be reading what the kernel holds: no reset.
    StartClosing(CloseReason::kLingerTimeout);
  } else if (idle()) {
    StartClosing(CloseReason::kDrained);
  } else {
    StartClosing(CloseReason::kAborted, /*reset=*/true);
  }
}

bool BlockingConnection::idle() const {
  return state_ == State::kOpen && !ending() && output_bytes() == 0 && unread_.empty() &&
         session_->idle();
}

// Whether the session is to be called with kept input, or with the end of file behind it.
bool BlockingConnection::InputDue() const {
  if (paused_ || close_requested_ || !alive()) return false;
  if (!unread_.empty()) return !output_blocked_;
  return eof_seen_ && !eof_told_;
}

// Blocked until the session is told otherwise.
bool BlockingConnection::DrainedDue() const {
  return output_blocked_ && !close_requested_ && alive() &&
         output_bytes() <= around_.options.output_low_mark;
}

void BlockingConnection::CallSessionWhereDue() {
  if (files_.has_missing() && alive()) {
    const uint64_t missing = *files_.TakeMissing();
    CallSession([&] { session_->OnFileShort(missing); });
  }
  if (deadline_due_ && alive()) {
    deadline_due_ = false;
    CallSession([this] { session_->OnDeadline(); });
  }
  if (DrainedDue()) {
    output_blocked_ = false;
    CallSession([this] { session_->OnOutputDrained(); });
  }
  if (InputDue() && !unread_.empty()) ShowKeptInput();
  if (InputDue() && unread_.empty()) {
    eof_told_ = true;
    CallSession([this] { session_->OnEof(); });
  }
  if (drain_due_ && alive() && !close_requested_) {
    drain_due_ = false;
    CallSession([this] { session_->OnDrain(); });
  }
}

void BlockingConnection::ShowKeptInput() {
  // In pieces, so that a session which answers each byte meets the high mark before the cap; but
  // whole for one that did not consume what it was shown, since it may need to see more.
  const size_t offered = wants_more_ ? unread_.size() : std::min(unread_.size(), kReceiveBytes);
  size_t consumed = 0;
  CallSession([&] { consumed = session_->OnData(std::as_bytes(unread_.bytes().first(offered))); });
  assert(consumed <= offered);
  unread_.Consume(consumed, &pool_);
  wants_more_ = consumed < offered;
  paused_ = paused_ || wants_more_;
}

void BlockingConnection::Flush() {
  bool taken = false;
  send_again_at_ = kNever;
  size_t from_files = 0;
  // A reader that keeps up with a file must not keep this thread from its deadlines.
  while (output_bytes() > 0 && from_files < Backend::kMaxSendFileBytes) {
    const bool from_file = output_.empty();
    const int64_t sent = SendSome();
    if (sent >= 0) {
      OnTaken(static_cast<size_t>(sent));
      if (from_file) from_files += static_cast<size_t>(sent);
      taken = true;
      continue;
    }
    const int error = static_cast<int>(-sent);
    if (error == EINTR) continue;
    if (error == ENODATA && from_file && !files_.failed()) {
      // Nothing is sent in place of what is missing before the session knows.
      files_.Fail();
      break;
    }
    if (!MayBeSentLater(error)) {
      return StartClosing(IsReset(error) ? CloseReason::kPeerReset : CloseReason::kError);
    }
    if (IsMemoryExhaustion(error)) send_again_at_ = AddSaturated(present(), kMemoryPause);
    break;
  }
  // Of a linger it is somebody else's.
  if (state_ == State::kLingering) return;
  const Duration patience = around_.options.write_stall_timeout;
  if (output_bytes() == 0 || patience <= Duration::zero()) {
    io_deadline_ = kNever;
  } else if (taken || io_deadline_ == kNever) {
    io_deadline_ = AddSaturated(present(), patience);
  }
}

// Sends from the first part of the output. Returns the bytes, or -errno; -ENODATA as SendFile().
int64_t BlockingConnection::SendSome() {
  const bool from_file = output_.empty();
  if (from_file && !files_.failed()) return SendFile(socket_.fd(), files_.range());
  const iovec& bytes = from_file ? files_.zeros() : output_.content();
  // MSG_NOSIGNAL: a peer that has gone is an error here, and no SIGPIPE for the process.
  const ssize_t sent =
      ::send(socket_.fd(), bytes.iov_base, bytes.iov_len, MSG_NOSIGNAL | MSG_DONTWAIT);
  return sent >= 0 ? sent : -errno;
}

// The kernel has taken the first `bytes` of the output.
void BlockingConnection::OnTaken(size_t bytes) {
  ConnectionCounters::Add(around_.counters.bytes_out, bytes);
  if (!output_.empty()) return output_.Consume(bytes, &pool_);
  files_.Consume(bytes);
  if (files_.sent()) files_.Pop(output_);
}

// The stages of a close that the session asked for (RFC 9112 section 9.6).
void BlockingConnection::FinishClose() {
  if (!close_requested_ || closed()) return;
  if (state_ == State::kOpen || state_ == State::kPeerClosed) {
    state_ = State::kFlushing;
    reason_ = eof_seen_ ? CloseReason::kPeerClosed : CloseReason::kLocal;
    session_deadline_ = kNever;
    unread_.Clear(&pool_);
  }
  if (state_ == State::kFlushing && output_bytes() == 0) {
    if (eof_seen_) return StartClosing(reason_);
    state_ = State::kLingering;
    // ENOTCONN after a reset: the next receive reports what happened.
    ::shutdown(socket_.fd(), SHUT_WR);
    io_deadline_ = AddSaturated(present(), around_.options.linger_timeout);
  }
  if (state_ != State::kLingering) return;
  if (eof_seen_) return StartClosing(reason_);
  if (lingered_bytes_ > around_.options.linger_cap) StartClosing(CloseReason::kLingerTimeout);
}

void BlockingConnection::StartClosing(CloseReason reason, bool reset) {
  if (closed()) return;
  reason_ = reason;
  state_ = State::kClosed;
  if (reset) {
    const linger at_once{.l_onoff = 1, .l_linger = 0};
    ::setsockopt(socket_.fd(), SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
  }
  socket_.Reset();
}

// ---- Waiting ----

bool BlockingConnection::WantsInput() const {
  if (eof_seen_) return false;
  if (state_ == State::kLingering) return true;
  return state_ == State::kOpen && !paused_ && !output_blocked_ && unread_.empty();
}

TimePoint BlockingConnection::NextDeadline() const {
  // A callback behind the delivery of input may have resumed reading, and the output may have left
  // behind the callback that was to hear of it: a look at the kernel, and on.
  if (InputDue() || DrainedDue() || files_.has_missing()) return kPollOnly;
  TimePoint next =
      std::min({session_deadline_, io_deadline_, send_again_at_, around_.ending.next()});
  if (executor_ != nullptr && executor_->fd() < 0) {
    next = std::min(next, AddSaturated(present(), kTaskInterval));
  }
  return next;
}

// One turn: blocks until something is to be done, and does it.
void BlockingConnection::Wait() {
  short events = WantsInput() ? POLLIN : 0;
  if (output_bytes() > 0 && send_again_at_ == kNever) events |= POLLOUT;
  std::array<pollfd, 3> polled = {{
      // POLLERR and POLLHUP come unasked: who waits for neither direction must not hear of them
      // again and again.
      {.fd = events != 0 ? socket_.fd() : -1, .events = events, .revents = 0},
      {.fd = executor_ != nullptr ? executor_->fd() : -1, .events = POLLIN, .revents = 0},
      {.fd = around_.ending.fd(seen_), .events = POLLIN, .revents = 0},
  }};
  PollUntil(polled, NextDeadline(), around_.clock);
  now_ = present();
  if (executor_ != nullptr && (polled[1].revents != 0 || executor_->fd() < 0)) {
    RunTasks(executor_->Take());
  }
  if (polled[2].revents != 0 || around_.ending.next() <= now_) around_.ending.Look();
  // Before the input, which may have come behind it: the reply to it is to say that it is the last.
  if (around_.ending.stage() != seen_) Settle();
  if (polled[0].revents != 0) {
    if (WantsInput() && alive()) Receive();
    // What came just in time moves the deadlines, or is the end that they waited for.
    Settle();
  }
  if (alive()) OnDeadlines();
}

void BlockingConnection::RunTasks(std::vector<Task> tasks) {
  for (Task& task : tasks) {
    CatchAll(task, [this](const char* what) { LogError("a task threw: ", what); });
    task = nullptr;  // what it holds goes before the next one runs
  }
}

void BlockingConnection::Receive() {
  // One buffer, made when there is something to read.
  if (received_ == nullptr) received_ = std::make_unique_for_overwrite<std::byte[]>(kReceiveBytes);
  const ssize_t count = ::recv(socket_.fd(), received_.get(), kReceiveBytes, MSG_DONTWAIT);
  if (count > 0) return OnReceived({received_.get(), static_cast<size_t>(count)});
  if (count == 0) return OnEndOfInput(0);
  if (errno != EAGAIN && errno != EINTR) OnEndOfInput(errno);
}

void BlockingConnection::OnReceived(std::span<const std::byte> data) {
  ConnectionCounters::Add(around_.counters.bytes_in, data.size());
  if (state_ == State::kLingering) {
    lingered_bytes_ += data.size();
  } else {
    Deliver(data);
  }
}

// Hands `data` to the session as far as it takes it, and keeps the rest.
void BlockingConnection::Deliver(std::span<const std::byte> data) {
  size_t consumed = 0;
  CallSession([&] { consumed = session_->OnData(data); });
  assert(consumed <= data.size());
  if (ending() || consumed == data.size()) return;
  paused_ = true;
  wants_more_ = true;
  const auto rest = data.subspan(consumed);
  unread_.Append({reinterpret_cast<const char*>(rest.data()), rest.size()}, pool_);
}

// `error` 0: end of file.
void BlockingConnection::OnEndOfInput(int error) {
  if (error == 0) {
    eof_seen_ = true;
    if (state_ == State::kOpen) state_ = State::kPeerClosed;
  } else if (state_ == State::kLingering) {
    // Everything was sent and FIN as well; how the peer leaves is its own affair.
    StartClosing(reason_);
  } else {
    StartClosing(IsReset(error) ? CloseReason::kPeerReset : CloseReason::kError);
  }
}

void BlockingConnection::OnDeadlines() {
  if (io_deadline_ <= now_) {
    if (state_ == State::kLingering) {
      // The peer may still be reading what the kernel holds: no reset.
      StartClosing(CloseReason::kLingerTimeout);
    } else {
      StartClosing(CloseReason::kWriteStall, /*reset=*/true);
    }
  } else if (session_deadline_ <= now_) {
    session_deadline_ = kNever;
    deadline_due_ = true;
  }
}

}  // namespace quintet
