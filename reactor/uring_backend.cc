#include "reactor/uring_backend.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <cassert>
#include <cstdio>
#include <cstdlib>

#include "absl/strings/str_cat.h"
#include "reactor/errno_class.h"
#include "reactor/send_file.h"

namespace quintet {
namespace {

// What sockets nearly always have room for. A larger send may well be short, and is better told so
// by the kernel that has waited for room than by one that has not.
constexpr size_t kMaxQuietSendBytes = 16 << 10;

// How long set-up waits, where memory is short, for the memory of a ring that it gave up.
constexpr Duration kRingRelease = std::chrono::milliseconds(10);
constexpr int kRingReleaseAttempts = 50;

void Check(bool condition, const char* what) {
  if (condition) return;
  std::fprintf(stderr, "quintet: UringBackend: %s\n", what);
  std::abort();
}

}  // namespace

absl::StatusOr<std::unique_ptr<UringBackend>> UringBackend::Create(const UringOptions& options,
                                                                   const LogFunction& log,
                                                                   Clock& clock) {
  const int wake_fd = ::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
  if (wake_fd < 0) return UringSetupError("eventfd", errno);
  std::unique_ptr<UringBackend> backend(new UringBackend(log, clock, wake_fd));
  if (absl::Status status = backend->SetUp(options); !status.ok()) return status;
  return backend;
}

absl::Status UringBackend::SetUp(const UringOptions& options) {
  UringOptions sizes = options;
  int patience = 0;
  for (;;) {
    auto ring = UringRing::Create(sizes);
    if (!ring.ok()) {
      // The kernel frees a ring, the one given up below, in the background.
      if (patience-- == 0) return ring.status();
      ::usleep(kRingRelease / std::chrono::microseconds(1));
      continue;
    }
    // Before the ring is enabled: the kernel takes registrations from any thread until then.
    auto buffers = BufferRing::Create(**ring, options.recv_buffers, options.recv_buffer_bytes);
    if (buffers.ok()) {
      ring_ = *std::move(ring);
      buffers_ = *std::move(buffers);
      break;
    }
    // The ring may have taken all the memory that may be locked.
    sizes.sq_entries = (*ring)->sq_entries() / 2;
    sizes.cq_entries = std::max((*ring)->cq_entries() / 2, sizes.sq_entries);
    if (!absl::IsUnavailable(buffers.status()) || sizes.sq_entries == 0) return buffers.status();
    patience = kRingReleaseAttempts;
  }
  messages_.resize(ring_->sq_entries());
  // It came with Linux 6.1, as did the count of bytes of a send that failed midway.
  may_send_quietly_ = (ring_->setup_flags() & IORING_SETUP_DEFER_TASKRUN) != 0;
  if (ring_->sq_entries() < options.sq_entries && log_) {
    log_(LogLevel::kWarning,
         absl::StrCat("io_uring: not enough memory for a ring of ", options.sq_entries,
                      " submissions and ", options.cq_entries, " completions; going on with ",
                      ring_->sq_entries(), " and ", ring_->cq_entries()));
  }
  return absl::OkStatus();
}

UringBackend::~UringBackend() {
  EndFiles();
  for (uint32_t slot = 0; slot < table_.slots(); ++slot) {
    if (table_.source(slot) != nullptr) DropQueued(table_[slot]);
  }
  ring_.reset();
  ::close(wake_fd_);
}

absl::Status UringBackend::BindToThread() {
  absl::Status status = ring_->Enable();
  bound_ = status.ok();
  return status;
}

void UringBackend::CheckThread() const {
  assert((!bound_ || abandoned_ || ring_->MayBeUsedHere()) &&
         "a backend was called on another thread than its loop's");
}

void UringBackend::LogOnce(std::string_view message) {
  if (logged_error_) return;
  logged_error_ = true;
  if (log_) log_(LogLevel::kError, message);
}

// ---- What the user asks for ----

absl::Status UringBackend::Add(Source& source) {
  CheckThread();
  const int fd = source.fd();
  int domain = AF_UNSPEC;
  socklen_t length = sizeof(domain);
  if (::getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &length) != 0 && errno == EBADF) {
    return absl::InvalidArgumentError(absl::StrCat("io_uring: ", fd, " is not an open descriptor"));
  }
  if (table_.KnowsFd(fd)) {
    return absl::AlreadyExistsError(
        absl::StrCat("io_uring: descriptor ", fd, " is in use by another source"));
  }
  if (table_.size() == UringName::kMaxSlots) {
    return absl::ResourceExhaustedError(
        absl::StrCat("io_uring: ", UringName::kMaxSlots, " sources are the most there can be"));
  }
  const uint32_t slot = table_.Insert(source);
  table_[slot].fd = fd;
  // A multishot receive whose wake-ups for the last bytes and for the peer's shutdown come together
  // takes both for the bytes and never tells the end of file (seen on Linux 6.18). TCP announces a
  // FIN with the bytes before it and is not concerned.
  table_[slot].one_shot_recv = domain == AF_UNIX;
  return absl::OkStatus();
}

void UringBackend::Want(Source& source, UringOp op) {
  CheckThread();
  const uint32_t slot = table_.SlotOf(source);
  UringSource& state = table_[slot];
  if (state.closing) return;
  state.wanted |= Bit(op);
  if ((state.in_flight & Bit(op)) == 0) MarkDirty(slot);
}

void UringBackend::Unwant(Source& source, UringOp op) {
  CheckThread();
  const uint32_t slot = table_.SlotOf(source);
  UringSource& state = table_[slot];
  if (state.closing) return;
  state.wanted &= static_cast<UringOps>(~Bit(op));
  if ((state.in_flight & Bit(op)) != 0) MarkDirty(slot);
}

void UringBackend::StartAccept(Source& source) {
  UringSource& state = Find(source);
  const UringOps bit = Bit(UringOp::kAccept);
  const bool look = (state.wanted & state.in_flight & bit) != 0 && !state.accept_looking;
  Want(source, UringOp::kAccept);
  if (!look) return;
  state.accept_looking = true;
  state.accepts_left = kMaxTakenAtEnd;
  Queue(table_.SlotOf(source), Op::kAccept, kLook);
}

void UringBackend::FinishAccept(Source& source, Backlog backlog) {
  UringSource& state = Find(source);
  Unwant(source, UringOp::kAccept);
  if (state.closing) return;
  state.accepts_left = backlog == Backlog::kTake ? kMaxTakenAtEnd : 0;
  if ((state.in_flight & Bit(UringOp::kAccept)) != 0) {
    state.accept_finishing = true;
  } else {
    Queue(table_.SlotOf(source), Op::kAccept, -ECANCELED);
  }
}

void UringBackend::StartRecv(Source& source) {
  // The end may wait for delivery still; another receive would report it a second time.
  if (Find(source).recv_ended) return;
  Want(source, UringOp::kRecv);
}

void UringBackend::StartSend(Source& source, std::span<const iovec> buffers) {
  UringSource& state = Find(source);
  if (state.closing) return;
  assert(!buffers.empty() && buffers.size() <= kMaxSendBuffers);
  assert((state.wanted & Bit(UringOp::kSend)) == 0 && "a send is in flight");
  state.send_buffers = buffers.data();
  state.send_count = static_cast<uint8_t>(buffers.size());
  state.quiet_send = false;
  Want(source, UringOp::kSend);
}

void UringBackend::StartLazySend(Source& source, std::span<const iovec> buffers) {
  StartSend(source, buffers);
  UringSource& state = Find(source);
  state.quiet_send = !state.closing && may_send_quietly_ && buffers.size() == 1 &&
                     buffers.front().iov_len <= kMaxQuietSendBytes;
}

void UringBackend::ExpectSend(Source& source) {
  UringSource& state = Find(source);
  if (!state.quiet_send) return;
  if ((state.in_flight & Bit(UringOp::kSend)) == 0) {
    state.quiet_send = false;
  } else {
    send_expected_ = true;
  }
}

void UringBackend::StartSendFile(Source& source, const FileRange& range) {
  UringSource& state = Find(source);
  if (state.closing) return;
  assert(range.length > 0);
  assert((state.wanted & Bit(UringOp::kSend)) == 0 && "a send is in flight");
  if (state.send_failed) {
    state.send_failed = false;
    Queue(table_.SlotOf(source), Op::kSend, state.send_error);
    return;
  }
  state.send_range = &range;
  state.send_count = 0;
  state.quiet_send = false;
  Want(source, UringOp::kSend);
}

// Nothing could be gathered: the ring knows no sendfile(2).
size_t UringBackend::SendFileNow(Source& source, const FileRange& range) {
  CheckThread();
  UringSource& state = Find(source);
  assert((state.wanted & Bit(UringOp::kSend)) == 0 && "a send is in flight");
  if (state.closing || state.send_failed) return 0;
  ++stats_.io_syscalls;
  const int32_t sent = SendFile(state.fd, range);
  if (sent > 0) {
    ++stats_.sends_now;
    return static_cast<size_t>(sent);
  }
  // A pending error is told by the socket once (SO_ERROR in socket(7)).
  if (sent != -ENODATA && !MayBeSentLater(-sent)) {
    state.send_failed = true;
    state.send_error = sent;
  }
  return 0;
}

void UringBackend::ShutdownSend(Source& source) {
  CheckThread();
  const UringSource& state = Find(source);
  if (state.closing) return;
  assert((state.wanted & Bit(UringOp::kSend)) == 0);
  // ENOTCONN after a reset: the armed receive reports what happened.
  ++stats_.io_syscalls;
  ::shutdown(state.fd, SHUT_WR);
}

void UringBackend::StartConnect(Source& source, const sockaddr* address, socklen_t length) {
  UringSource& state = Find(source);
  if (state.closing) return;
  assert((state.wanted & Bit(UringOp::kConnect)) == 0);
  state.connect_address = address;
  state.connect_length = length;
  Want(source, UringOp::kConnect);
}

absl::Status UringBackend::Watch(Source& source, Readiness interest, Trigger trigger) {
  CheckThread();
  const uint32_t slot = table_.SlotOf(source);
  UringSource& state = table_[slot];
  if (state.closing) return absl::FailedPreconditionError("the source is closing");
  interest = interest & (Readiness::kReadable | Readiness::kWritable | Readiness::kPriority);
  // Edges are looked for anew, also with the same interest: EPOLL_CTL_MOD does so too.
  if (trigger == Trigger::kEdge || trigger != state.trigger || interest != state.interest ||
      state.poll_quiet) {
    state.poll_renew = (state.in_flight & Bit(UringOp::kPoll)) != 0;
    state.poll_quiet = false;
  }
  state.watching = true;
  state.interest = interest;
  state.trigger = trigger;
  state.wanted &= static_cast<UringOps>(~Bit(UringOp::kPoll));
  if (Any(interest)) state.wanted |= Bit(UringOp::kPoll);
  MarkDirty(slot);
  return absl::OkStatus();
}

bool UringBackend::StartFile(FileRequest& request, FileDone& done) {
  CheckThread();
  return !abandoned_ && files_.Add(*ring_, request, done);
}

// What the kernel has not begun, or waits for with a FIFO, is cancelled; what it does, ends.
void UringBackend::EndFiles() {
  AbandonIfOrphaned();
  files_.BeginEnd();
  while (files_.in_flight() > 0) {
    files_.CancelAll([this] { return HaveRoom() ? ring_->NextSqe() : nullptr; });
    if (files_.in_flight() == 0) break;
    const int result = Enter({.wait = true, .timeout = kExhaustionRetry});
    const bool refused = result < 0 && result != -ETIME && result != -EINTR;
    if (Harvest() == 0 && refused) Rest(kNever);
  }
  files_.Clear();
}

// ---- Closing ----

void UringBackend::Close(Source& source, CloseMode mode) {
  CheckThread();
  const uint32_t slot = table_.SlotOf(source);
  UringSource& state = table_[slot];
  if (state.closing) return;
  state.closing = true;
  state.close_mode = mode;
  state.wanted = 0;
  state.delayed = 0;
  state.starved = false;
  DropQueued(state);
  // A poll takes nothing from the descriptor: while its cancellation is on the way, the descriptor
  // may be used anew.
  const bool only_polls = (state.in_flight & ~Bit(UringOp::kPoll)) == 0;
  if (mode == CloseMode::kKeep && only_polls) table_.ForgetFd(slot, state.fd);
  if (state.in_flight == 0) {
    FinishClose(slot);
  } else {
    MarkDirty(slot);
  }
}

// The kernel has nothing in flight for the source and holds no pointer of its owner's.
void UringBackend::FinishClose(uint32_t slot) {
  UringSource& state = table_[slot];
  assert(state.closing && !state.closed && state.in_flight == 0);
  state.closed = true;
  table_.ForgetFd(slot, state.fd);
  if (state.close_mode == CloseMode::kReset) {
    const linger reset{.l_onoff = 1, .l_linger = 0};
    ::setsockopt(state.fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
  }
  // Not repeated on EINTR: the descriptor is gone all the same (close(2), "Dealing with error
  // returns").
  if (state.close_mode != CloseMode::kKeep) ::close(state.fd);
  Queue(slot, Op::kClosed, 0);
}

void UringBackend::CloseAll() {
  for (uint32_t slot = 0; slot < table_.slots(); ++slot) {
    Source* source = table_.source(slot);
    if (source == nullptr) continue;
    Close(*source, table_[slot].watching ? CloseMode::kKeep : CloseMode::kClose);
  }
}

void UringBackend::AbandonIfOrphaned() {
  if (!bound_ || abandoned_ || ring_->OnSubmitterThread()) return;
  CheckThread();
  Abandon();
}

// The submitter's thread has ended, and nobody else may enter the ring (EEXIST): what is in flight
// cannot be cancelled one by one. Ending the ring cancels everything. The kernel does that in the
// background and holds the descriptors until then, so sockets are shut down for the peers' sake.
void UringBackend::Abandon() {
  Harvest();
  ring_.reset();
  abandoned_ = true;
  in_flight_ = 0;
  quiet_sends_.clear();
  files_.Abandon();
  for (uint32_t slot = 0; slot < table_.slots(); ++slot) {
    if (table_.source(slot) == nullptr) continue;
    UringSource& state = table_[slot];
    const bool had_operations = state.in_flight != 0;
    state.in_flight = 0;
    state.cancelling = 0;
    if (!state.closing || state.closed) continue;
    if (had_operations && state.close_mode == CloseMode::kClose) ::shutdown(state.fd, SHUT_RDWR);
    FinishClose(slot);
  }
}

// ---- Turns ----

void UringBackend::Wait(TimePoint deadline) {
  ++stats_.waits;
  ReleaseLastBuffer();
  AbandonIfOrphaned();
  // Without a ring only what Close() finished by itself can be there.
  if (!bound_ || abandoned_) return;

  for (;;) {
    EndDelays();
    FeedStarved();
    buffers_->Publish();
    Submit();

    const TimePoint until = std::min(deadline, retry_at_);
    UringRing::EnterOptions options;
    options.wait = queued_.size() == 0 && files_.over() == 0 && !woken_ && dirty_.empty() &&
                   !files_.has_waiting() && wake_armed_ && !send_expected_ && deadline != kPollOnly;
    if (options.wait && until != kNever) {
      const TimePoint now = clock_.Now();
      options.timeout = until > now ? until - now : Duration::zero();
      options.wait = until > now;
    }
    const int result = Enter(options);
    const uint32_t reaped = Harvest();
    send_expected_ = send_expected_ && !quiet_sends_.empty();

    if (queued_.size() > 0 || files_.over() > 0 || woken_ || deadline == kPollOnly) break;
    // What came was internal, the end of a cancelled operation say: back to sleep.
    if (result == -ETIME && until == deadline) break;
    if (deadline != kNever && clock_.Now() >= deadline) break;
    const bool refused = result < 0 && result != -ETIME && result != -EINTR;
    if (refused && reaped == 0) Rest(deadline);
  }
  if (woken_) {
    woken_ = false;
    ++stats_.wakes;
  }
}

bool UringBackend::Next(Completion* completion) {
  CheckThread();
  ReleaseLastBuffer();
  while (!turns_.empty()) {
    const SourceId id = turns_.Pop();
    if (id.slot == SourceId::kNoSlot) {
      if (!files_.Deliver(id.generation, completion)) continue;
      ++stats_.completions;
      return true;
    }
    UringSource& state = table_[id.slot];
    state.has_turn = false;
    if (state.first == UringSource::kNone) continue;  // its completions were dropped by Close()
    const bool delivered = Deliver(id.slot, completion);
    if (state.first != UringSource::kNone) {
      state.has_turn = true;
      turns_.Push(id);
    }
    if (delivered) {
      ++stats_.completions;
      return true;
    }
  }
  return false;
}

void UringBackend::ReleaseLastBuffer() {
  if (!last_buffer_.has_value()) return;
  buffers_->Return(*last_buffer_);
  last_buffer_.reset();
}

void UringBackend::Wake() {
  const int saved_errno = errno;  // also inside a signal handler
  const uint64_t one = 1;
  // Cannot fail: the counter would have to reach 2^64 - 1.
  [[maybe_unused]] const ssize_t written = ::write(wake_fd_, &one, sizeof(one));
  errno = saved_errno;
}

// ---- Checks ----

void UringBackend::Validate() const {
  size_t attached = 0;
  size_t in_flight = 0;
  size_t queued = 0;
  uint32_t buffers = last_buffer_.has_value() ? 1 : 0;
  for (uint32_t slot = 0; slot < table_.slots(); ++slot) {
    const UringSource& state = table_[slot];
    if (table_.source(slot) == nullptr) continue;
    ++attached;
    in_flight += static_cast<size_t>(std::popcount(state.in_flight));
    Check((state.cancelling & ~state.in_flight) == 0, "an operation that is over is cancelled");
    Check(!state.closing || state.wanted == 0, "a closing source wants something");
    Check(!state.closed || state.in_flight == 0, "a closed source has an operation in flight");
    Check(state.first == UringSource::kNone || state.has_turn, "a completion has no turn");
    const UringOps open = (state.wanted ^ state.in_flight) & ~state.cancelling & ~state.delayed;
    const bool held = state.starved || state.ready_queued;
    Check(open == 0 || held || state.dirty, "a wish was forgotten");
    uint32_t last = UringSource::kNone;
    for (uint32_t item = state.first; item != UringSource::kNone; item = queued_.at(item).next) {
      ++queued;
      buffers += queued_.at(item).buffer != CompletionStore::kNoBuffer ? 1 : 0;
      last = item;
    }
    Check(last == state.last, "the end of a list of completions is wrong");
  }
  Check(attached == table_.size(), "the number of sources is wrong");
  Check(in_flight == in_flight_, "the number of operations in flight is wrong");
  Check(queued == queued_.size(), "the number of completions is wrong");
  Check(buffers == buffers_->taken(), "a receive buffer is lost");
  buffers_->Validate();
  files_.Validate();
}

}  // namespace quintet
