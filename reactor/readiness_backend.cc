#include "reactor/readiness_backend.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cassert>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <utility>

#include "absl/strings/str_cat.h"
#include "reactor/asan.h"
#include "reactor/epoll_poller.h"
#include "reactor/errno_class.h"
#include "reactor/errno_text.h"
#include "reactor/poll_poller.h"
#include "reactor/select_poller.h"
#include "reactor/thread_end.h"

namespace quintet {
namespace {

// Bytes taken by one recv: large enough that bulk transfers are not bound by system calls, small
// enough to stay in a core's second-level cache.
constexpr size_t kScratchBytes = 64 << 10;
// How long an operation rests that met ENOBUFS or ENOMEM.
constexpr Duration kExhaustionBackOff = std::chrono::milliseconds(10);

// The token of the wake-up descriptor; no slot has this number.
constexpr uint64_t kWakeToken = UINT64_MAX;

uint64_t ToToken(uint32_t slot, uint32_t generation) { return uint64_t{generation} << 32 | slot; }
SourceId FromToken(uint64_t token) {
  return {static_cast<uint32_t>(token), static_cast<uint32_t>(token >> 32)};
}

absl::StatusOr<std::unique_ptr<Poller>> MakePoller(BackendKind kind) {
  switch (kind) {
    case BackendKind::kSelect:
      return std::make_unique<SelectPoller>();
    case BackendKind::kPoll:
      return std::make_unique<PollPoller>();
    case BackendKind::kEpollLt:
    case BackendKind::kEpollEt:
      return EpollPoller::Create(kind);
    default:
      return absl::InvalidArgumentError(
          absl::StrCat(std::string(BackendName(kind)), " is not a readiness backend"));
  }
}

}  // namespace

absl::StatusOr<std::unique_ptr<Backend>> ReadinessBackend::Create(BackendKind kind, Clock& clock) {
  const std::string name(BackendName(kind));
  auto poller = MakePoller(kind);
  if (!poller.ok()) {
    return absl::Status(poller.status().code(),
                        absl::StrCat(name, ": ", poller.status().message()));
  }
  const int wake_fd = ::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
  if (wake_fd < 0) {
    return absl::UnavailableError(absl::StrCat(name, ": eventfd: ", ErrnoText(errno)));
  }
  // Owned by now, so that an error below closes it.
  std::unique_ptr<ReadinessBackend> backend(
      new ReadinessBackend(*std::move(poller), wake_fd, clock));
  int error = backend->poller_->CheckFd(wake_fd);
  if (error == 0) {
    error = backend->poller_->Update(wake_fd, Readiness::kNone, Readiness::kReadable,
                                     Trigger::kLevel, kWakeToken);
  }
  if (error != 0) {
    return absl::UnavailableError(
        absl::StrCat(name, ": cannot watch descriptor ", wake_fd, ": ", ErrnoText(-error)));
  }
  return backend;
}

ReadinessBackend::ReadinessBackend(std::unique_ptr<Poller> poller, int wake_fd, Clock& clock)
    : poller_(std::move(poller)), wake_fd_(wake_fd), clock_(clock), scratch_(kScratchBytes) {
  AsanPoison(scratch_.data(), scratch_.size());
}

ReadinessBackend::~ReadinessBackend() {
  AsanUnpoison(scratch_.data(), scratch_.size());
  ::close(wake_fd_);
}

absl::Status ReadinessBackend::BindToThread() {
  thread_ = ::gettid();
  return absl::OkStatus();
}

bool ReadinessBackend::MayBeUsedHere() const {
  return thread_ == 0 || thread_ == ::gettid() || ThreadHasEnded(thread_);
}

void ReadinessBackend::CheckThread() const {
  assert(MayBeUsedHere() && "a backend was called on another thread than its loop's");
}

absl::Status ReadinessBackend::Add(Source& source) {
  CheckThread();
  const int fd = source.fd();
  const std::string name(BackendName(kind()));
  if (fd < 0 || ::fcntl(fd, F_GETFD) < 0) {
    return absl::InvalidArgumentError(absl::StrCat(name, ": ", fd, " is not an open descriptor"));
  }
  if (poller_->CheckFd(fd) != 0) {
    return absl::ResourceExhaustedError(
        absl::StrCat(name, ": descriptor ", fd, " is not below FD_SETSIZE (", FD_SETSIZE, ")"));
  }
  if (table_.KnowsFd(fd)) {
    return absl::AlreadyExistsError(
        absl::StrCat(name, ": descriptor ", fd, " is in use by another source"));
  }
  const uint32_t index = table_.Insert(source);
  table_[index].trigger = poller_->edge_triggered() ? Trigger::kEdge : Trigger::kLevel;
  return absl::OkStatus();
}

// ---- Registration ----

Readiness ReadinessBackend::Wanted(const Slot& slot) {
  if (slot.Is(kBackingOff)) return Readiness::kNone;
  Readiness wanted = slot.watched;
  if (slot.Is(kAccepting | kReceiving)) wanted |= Readiness::kReadable;
  if (slot.Is(kSending | kConnecting)) wanted |= Readiness::kWritable;
  return wanted;
}

// An edge-triggered registration that is wider than needed costs nothing until an edge comes, so it
// only grows, and shrinks when an edge came for nothing.
Readiness ReadinessBackend::Target(const Slot& slot) {
  const Readiness wanted = Wanted(slot);
  if (slot.trigger == Trigger::kLevel || slot.Is(kUnwanted | kWatching)) return wanted;
  return wanted | slot.registered;
}

int ReadinessBackend::Register(uint32_t index, Slot& slot, Readiness target) {
  const int fd = table_.source(index)->fd();
  stats_.update_syscalls += static_cast<uint64_t>(poller_->update_syscalls());
  const uint64_t token = ToToken(index, table_.generation(index));
  const bool exclusive = slot.Is(kAcceptShared) && target == Readiness::kReadable;
  const int error = exclusive ? poller_->AddExclusive(fd, token)
                              : poller_->Update(fd, slot.registered, target, slot.trigger, token);
  if (error == 0) slot.registered = target;
  return error;
}

void ReadinessBackend::MarkDirty(uint32_t index) {
  Slot& slot = table_[index];
  if (slot.Is(kDirty)) return;
  slot.Set(kDirty);
  dirty_.push_back(index);
}

// Registrations are changed once a turn, here, so that Stop and Start in one turn cancel out.
void ReadinessBackend::ApplyDirty() {
  // By index: BackOff() notes its slot here again.
  for (size_t i = 0; i < dirty_.size(); ++i) {
    const uint32_t index = dirty_[i];
    // A slot may have been freed, and given out again, since it was noted here.
    if (table_.source(index) == nullptr) continue;
    Slot& slot = table_[index];
    if (!slot.Is(kDirty) || slot.Is(kClosing)) continue;
    slot.Clear(kDirty);
    const Readiness target = Target(slot);
    slot.Clear(kUnwanted);
    if (target == slot.registered) continue;
    const int error = Register(index, slot, target);
    if (error == 0) continue;
    if (error == -ENOSPC || IsMemoryExhaustion(-error)) {
      BackOff(index);
    } else {
      // Closed behind our back, say. The armed operation will find the same error and report it.
      slot.registered = Readiness::kNone;
      slot.ready |= Readiness::kError;
      if (Runnable(slot)) Enqueue(index);
    }
  }
  dirty_.clear();
}

void ReadinessBackend::Arm(Source& source, Flag direction) {
  CheckThread();
  const uint32_t index = table_.SlotOf(source);
  Slot& slot = table_[index];
  assert(!slot.Is(kWatching));
  // After the end of the stream there is nothing to receive: its end is told once.
  if (slot.Is(kClosing) || (direction == kReceiving && slot.Is(kRecvEnded))) return;
  slot.Set(direction);
  if (Target(slot) != slot.registered) MarkDirty(index);
  // Readiness that an edge announced earlier is not announced again.
  if (Runnable(slot)) Enqueue(index);
}

void ReadinessBackend::Disarm(Source& source, Flag direction) {
  CheckThread();
  const uint32_t index = table_.SlotOf(source);
  Slot& slot = table_[index];
  if (slot.Is(kClosing)) return;
  slot.Clear(direction);
  if (Target(slot) != slot.registered) MarkDirty(index);
}

void ReadinessBackend::StartAccept(Source& source) {
  Slot& slot = table_[table_.SlotOf(source)];
  if (slot.Is(kAccepting)) {
    // Again: to be looked at whatever the kernel has told. To find nobody is no empty wake-up then.
    slot.ready |= Readiness::kReadable;
    slot.Set(kAcceptedSome);
  }
  Arm(source, kAccepting);
}

void ReadinessBackend::FinishAccept(Source& source, Backlog backlog) {
  Disarm(source, kAccepting);
  const uint32_t index = table_.SlotOf(source);
  Slot& slot = table_[index];
  if (slot.Is(kClosing)) return;
  slot.Set(kAcceptDone);
  slot.accepts_left = backlog == Backlog::kTake ? kMaxTakenAtEnd : 0;
  Enqueue(index);
}

void ReadinessBackend::ShareAccept(Source& source) {
  CheckThread();
  Slot& slot = table_[table_.SlotOf(source)];
  assert(!slot.Is(kAccepting | kClosing) && !Any(slot.registered));
  slot.Set(kAcceptShared);
  // A registration that outlives the interest would take wake-ups from the others.
  slot.trigger = Trigger::kLevel;
}

absl::Status ReadinessBackend::Watch(Source& source, Readiness interest, Trigger trigger) {
  CheckThread();
  const std::string name(BackendName(kind()));
  if (trigger == Trigger::kEdge && !poller_->has_edges()) {
    return absl::UnimplementedError(absl::StrCat(name, " has no edge-triggered readiness"));
  }
  const uint32_t index = table_.SlotOf(source);
  Slot& slot = table_[index];
  if (slot.Is(kClosing)) return absl::FailedPreconditionError("the source is closing");
  assert(!slot.Is(kAccepting | kReceiving | kSending | kConnecting));
  slot.Set(kWatching);
  slot.watched = interest & (Readiness::kReadable | Readiness::kWritable | Readiness::kPriority);
  slot.trigger = trigger;
  slot.ready = Readiness::kNone;
  if (!Any(slot.watched) && !Any(slot.registered)) return absl::OkStatus();
  // At once, not in the next Wait: some descriptors cannot be polled (regular files under epoll),
  // and the caller is here to be told.
  const int error = Register(index, slot, slot.watched);
  if (error == 0) return absl::OkStatus();
  slot.watched = Readiness::kNone;
  const std::string message =
      absl::StrCat(name, ": descriptor ", source.fd(), " cannot be watched: ", ErrnoText(-error));
  // ENOSPC: /proc/sys/fs/epoll/max_user_watches (epoll_ctl(2)).
  if (error == -ENOSPC || IsMemoryExhaustion(-error)) return absl::ResourceExhaustedError(message);
  return absl::InvalidArgumentError(message);
}

// ---- Operations ----

void ReadinessBackend::StartConnect(Source& source, const sockaddr* address, socklen_t length) {
  CheckThread();
  const uint32_t index = table_.SlotOf(source);
  Slot& slot = table_[index];
  if (slot.Is(kClosing)) return;
  assert(!slot.Is(kConnecting | kConnectDone | kWatching));
  ++stats_.io_syscalls;
  const int error = ::connect(source.fd(), address, length) == 0 ? 0 : errno;
  // An interrupted connect goes on in the background like one in progress (connect(2), EINTR).
  if (error == EINPROGRESS || error == EINTR) {
    slot.Set(kConnecting);
    MarkDirty(index);
    return;
  }
  slot.Set(kConnectDone);
  slot.result = -error;
  Enqueue(index);
}

void ReadinessBackend::Close(Source& source, CloseMode mode) {
  CheckThread();
  const uint32_t index = table_.SlotOf(source);
  Slot& slot = table_[index];
  if (slot.Is(kClosing)) return;
  if (slot.Is(kQueued) && Runnable(slot)) ++stats_.stale_events;
  // Out of the set before close(2): a duplicate of the descriptor in another process would keep the
  // registration, and its events, alive (epoll(7), "Q6").
  if (Any(slot.registered)) Register(index, slot, Readiness::kNone);
  table_.ForgetFd(index, source.fd());
  if (mode == CloseMode::kReset) {
    const linger reset{.l_onoff = 1, .l_linger = 0};
    ::setsockopt(source.fd(), SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
  }
  if (mode != CloseMode::kKeep) ::close(source.fd());
  slot.flags = (slot.flags & (kQueued | kDirty)) | kClosing;
  Enqueue(index);
}

void ReadinessBackend::CloseAll() {
  for (uint32_t index = 0; index < table_.slots(); ++index) {
    if (table_.source(index) == nullptr) continue;
    Close(*table_.source(index),
          table_[index].Is(kWatching) ? CloseMode::kKeep : CloseMode::kClose);
  }
}

// ---- Waiting ----

void ReadinessBackend::Wake() {
  const int saved = errno;  // may be called from a signal handler
  const uint64_t one = 1;
  // EAGAIN: the counter is full, which wakes as well.
  [[maybe_unused]] const ssize_t written = ::write(wake_fd_, &one, sizeof(one));
  errno = saved;
}

Duration ReadinessBackend::TimeoutUntil(TimePoint deadline) const {
  if (queue_head_ != SourceId::kNoSlot || deadline == kPollOnly) return Duration::zero();
  deadline = std::min(deadline, back_off_until_);
  if (deadline == kNever) return Duration(-1);
  const TimePoint now = clock_.Now();
  return deadline > now ? deadline - now : Duration::zero();
}

void ReadinessBackend::Wait(TimePoint deadline) {
  CheckThread();
  ++stats_.waits;
  for (;;) {
    if (!backing_off_.empty() && clock_.Now() >= back_off_until_) EndBackOff();
    ApplyDirty();
    const Duration timeout = TimeoutUntil(deadline);
    ++stats_.wait_syscalls;
    const int error = poller_->Wait(timeout, &events_);
    if (error != 0 && error != -EINTR) {
      // Only ENOMEM is left (poll(2), select(2)): rest without memory of our own.
      ++stats_.exhaustion_retries;
      ::usleep(static_cast<useconds_t>(
          std::chrono::duration_cast<std::chrono::microseconds>(kExhaustionBackOff).count()));
    }
    Harvest();
    if (std::exchange(woken_, false) || queue_head_ != SourceId::kNoSlot) return;
    if (deadline == kPollOnly || (deadline != kNever && clock_.Now() >= deadline)) return;
  }
}

void ReadinessBackend::Harvest() {
  for (const ReadyEvent& event : events_) {
    if (event.token == kWakeToken) {
      uint64_t count;
      [[maybe_unused]] const ssize_t bytes = ::read(wake_fd_, &count, sizeof(count));
      woken_ = true;
      ++stats_.wakes;
      continue;
    }
    ++stats_.events;
    const SourceId id = FromToken(event.token);
    if (!table_.IsCurrent(id) || table_[id.slot].Is(kClosing)) {
      ++stats_.stale_events;
      continue;
    }
    Slot& slot = table_[id.slot];
    slot.ready |= event.ready;
    if (Runnable(slot)) {
      Enqueue(id.slot);
    } else {
      slot.Set(kUnwanted);
      MarkDirty(id.slot);
    }
  }
}

void ReadinessBackend::BackOff(uint32_t index) {
  Slot& slot = table_[index];
  ++stats_.exhaustion_retries;
  slot.Set(kUnwanted);
  MarkDirty(index);
  if (slot.Is(kBackingOff)) return;
  slot.Set(kBackingOff);
  if (backing_off_.empty()) back_off_until_ = AddSaturated(clock_.Now(), kExhaustionBackOff);
  backing_off_.push_back({index, table_.generation(index)});
}

void ReadinessBackend::EndBackOff() {
  back_off_until_ = kNever;
  for (const SourceId id : std::exchange(backing_off_, {})) {
    if (!table_.IsCurrent(id) || table_[id.slot].Is(kClosing)) continue;
    Slot& slot = table_[id.slot];
    slot.Clear(kBackingOff);
    // Whatever was armed is tried once; EAGAIN then leaves it to the kernel again. Only the kernel
    // can tell that a connect has ended, or that a watched descriptor is ready.
    if (slot.Is(kAccepting | kReceiving | kSending)) {
      slot.ready |= Readiness::kReadable | Readiness::kWritable;
    }
    if (Runnable(slot)) Enqueue(id.slot);
    MarkDirty(id.slot);
  }
}

void ReadinessBackend::Validate() const {
  const auto check = [](bool holds, const char* what) {
    if (holds) return;
    std::fprintf(stderr, "quintet: ReadinessBackend contradicts itself: %s\n", what);
    std::abort();
  };
  size_t queued = 0;
  uint32_t last = SourceId::kNoSlot;
  for (uint32_t i = queue_head_; i != SourceId::kNoSlot; i = table_[i].next) {
    check(table_.source(i) != nullptr, "a free slot is in the ready queue");
    check(table_[i].Is(kQueued), "a slot in the ready queue is not marked so");
    check(++queued <= table_.size(), "the ready queue is a circle");
    last = i;
  }
  check(last == queue_tail_, "the ready queue's tail is not its last slot");
  size_t attached = 0;
  for (uint32_t i = 0; i < table_.slots(); ++i) {
    if (table_.source(i) == nullptr) continue;
    ++attached;
    const Slot& slot = table_[i];
    if (slot.Is(kQueued)) --queued;
    check(!slot.Is(kClosing) || !Any(slot.registered), "a closing slot is registered");
    check(!(slot.Is(kSending) && slot.Is(kSendDone)), "two sends in flight");
    check(!Runnable(slot) || slot.Is(kQueued), "a runnable slot waits for ever");
    check(slot.Is(kDirty | kClosing) || slot.trigger == Trigger::kEdge ||
              slot.registered == Wanted(slot) || slot.Is(kWatching),
          "a level-triggered registration differs from what is wanted");
  }
  check(attached == table_.size(), "the count of attached sources is wrong");
  check(queued == 0, "a slot is marked as queued and is not in the queue");
}

}  // namespace quintet
