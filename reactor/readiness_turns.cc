// The turns of ReadinessBackend: which source is next, and the one I/O call that it makes.
#include <errno.h>
#include <sys/socket.h>

#include "reactor/asan.h"
#include "reactor/errno_class.h"
#include "reactor/readiness_backend.h"

namespace quintet {
namespace {

constexpr Readiness kHangups = Readiness::kReadHangup | Readiness::kHangup | Readiness::kError;
constexpr Readiness kReadBits = Readiness::kReadable | kHangups;
constexpr Readiness kWriteBits = Readiness::kWritable | Readiness::kHangup | Readiness::kError;

}  // namespace

bool ReadinessBackend::CanRead(const Slot& slot) {
  return slot.Is(kAccepting | kReceiving) && Any(slot.ready & kReadBits);
}

bool ReadinessBackend::CanWrite(const Slot& slot) {
  return slot.Is(kSending | kConnecting) && Any(slot.ready & kWriteBits);
}

bool ReadinessBackend::Runnable(const Slot& slot) {
  if (slot.Is(kClosing | kSendDone | kConnectDone | kAcceptDone)) return true;
  if (slot.Is(kBackingOff)) return false;
  if (slot.Is(kWatching)) return Any(slot.watched) && Any(slot.ready);
  return CanRead(slot) || CanWrite(slot);
}

void ReadinessBackend::Enqueue(uint32_t index) {
  Slot& slot = table_[index];
  if (slot.Is(kQueued)) return;
  slot.Set(kQueued);
  slot.next = SourceId::kNoSlot;
  if (queue_tail_ == SourceId::kNoSlot) {
    queue_head_ = index;
  } else {
    table_[queue_tail_].next = index;
  }
  queue_tail_ = index;
}

bool ReadinessBackend::Next(Completion* completion) {
  CheckThread();
  AsanPoison(scratch_.data(), scratch_.size());
  while (queue_head_ != SourceId::kNoSlot) {
    const uint32_t index = queue_head_;
    queue_head_ = table_[index].next;
    if (queue_head_ == SourceId::kNoSlot) queue_tail_ = SourceId::kNoSlot;
    table_[index].Clear(kQueued);
    const bool delivered = TakeTurn(index, completion);
    // Also a slot without a source is looked at here: its flags are clear.
    if (table_.source(index) != nullptr && Runnable(table_[index])) Enqueue(index);
    if (delivered) {
      ++stats_.completions;
      return true;
    }
  }
  return false;
}

// One turn of one source: at most one I/O call. False when nothing came of it.
bool ReadinessBackend::TakeTurn(uint32_t index, Completion* completion) {
  Slot& slot = table_[index];
  Source* const source = table_.source(index);
  if (slot.Is(kClosing)) {
    slot.flags = 0;
    table_.Erase(index);
    *completion = {source, {}, 0, Op::kClosed};
    return true;
  }
  if (slot.Is(kWatching)) {
    const Readiness ready = slot.ready & (slot.watched | kHangups);
    // Level: the kernel will tell it again. Edge: it is told once.
    slot.ready = Readiness::kNone;
    if (!Any(ready) || !Any(slot.watched)) return false;
    *completion = {source, {}, static_cast<int32_t>(ready), Op::kReady};
    return true;
  }
  if (slot.Is(kAcceptDone)) return FinishAccepting(index, completion);
  // The two directions take turns, so that a source which only ever sends more still receives.
  const bool output_waits = slot.Is(kSendDone | kConnectDone) || CanWrite(slot);
  if (CanRead(slot) && !slot.Is(kBackingOff) && (slot.Is(kRecvBeforeSend) || !output_waits)) {
    slot.Clear(kRecvBeforeSend);
    return slot.Is(kAccepting) ? Accept(index, completion) : Receive(index, completion);
  }
  slot.Set(kRecvBeforeSend);
  if (CanWrite(slot) && !slot.Is(kBackingOff)) {
    if (slot.Is(kConnecting)) {
      FinishConnect(index);
    } else {
      TrySend(index);
    }
  }
  if (slot.Is(kConnectDone)) {
    slot.Clear(kConnectDone);
    *completion = {source, {}, slot.result, Op::kConnect};
    return true;
  }
  if (slot.Is(kSendDone)) {
    slot.Clear(kSendDone);
    *completion = {source, {}, slot.result, Op::kSend};
    return true;
  }
  return false;
}

bool ReadinessBackend::Accept(uint32_t index, Completion* completion) {
  Slot& slot = table_[index];
  Source* const source = table_.source(index);
  ++stats_.io_syscalls;
  const int fd = ::accept4(source->fd(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
  if (fd >= 0) {
    // Also level-triggered the queue is emptied before the loop waits again: where one connection
    // came there are often more, and a turn of the loop costs more than an accept for nothing.
    slot.Set(kAcceptedSome);
    *completion = {source, {}, fd, Op::kAccept};
    return true;
  }
  const int error = errno;
  if (error == EAGAIN) {
    slot.ready = Readiness::kNone;
    if (!slot.Is(kAcceptedSome)) CountEmptyAccept();
    slot.Clear(kAcceptedSome);
    return false;
  }
  if (IsTransientAcceptError(error)) {
    ++stats_.accept_retries;
    return false;
  }
  // The queue still holds connections, which no edge will announce again: `ready` stays.
  slot.Clear(kAccepting);
  MarkDirty(index);
  *completion = {source, {}, -error, Op::kAccept};
  return true;
}

// One of those who wait, and then the end.
bool ReadinessBackend::FinishAccepting(uint32_t index, Completion* completion) {
  Slot& slot = table_[index];
  Source* const source = table_.source(index);
  if (slot.accepts_left > 0) {
    --slot.accepts_left;
    ++stats_.io_syscalls;
    const int fd = ::accept4(source->fd(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd >= 0) {
      *completion = {source, {}, fd, Op::kAccept};
      return true;
    }
    if (IsTransientAcceptError(errno)) {
      ++stats_.accept_retries;
      return false;
    }
  }
  slot.Clear(kAcceptDone);
  *completion = {source, {}, -ECANCELED, Op::kAccept};
  return true;
}

bool ReadinessBackend::Receive(uint32_t index, Completion* completion) {
  Slot& slot = table_[index];
  Source* const source = table_.source(index);
  AsanUnpoison(scratch_.data(), scratch_.size());
  ++stats_.io_syscalls;
  const ssize_t received = ::recv(source->fd(), scratch_.data(), scratch_.size(), MSG_DONTWAIT);
  const int error = errno;
  const size_t bytes = received > 0 ? static_cast<size_t>(received) : 0;
  AsanPoison(scratch_.data() + bytes, scratch_.size() - bytes);
  if (bytes > 0) {
    const bool drained = bytes < scratch_.size() && !Any(slot.ready & kHangups);
    if (slot.trigger == Trigger::kLevel || drained) slot.ready &= ~kReadBits;
    *completion = {source, {scratch_.data(), bytes}, static_cast<int32_t>(bytes), Op::kRecv};
    return true;
  }
  if (received < 0) {
    if (error == EINTR) return false;
    if (error == EAGAIN) {
      slot.ready &= ~kReadBits;
      return false;
    }
    if (IsMemoryExhaustion(error)) {
      BackOff(index);
      return false;
    }
  }
  slot.Clear(kReceiving);
  slot.Set(kRecvEnded);
  slot.ready &= ~Readiness::kReadable;
  // Out of the set, edge-triggered too: nobody can act on what else it would report.
  slot.Set(kUnwanted);
  MarkDirty(index);
  *completion = {source, {}, received < 0 ? -error : 0, Op::kRecv};
  return true;
}

// Makes one attempt. True when its outcome is to be delivered; else the slot waits to try again.
bool ReadinessBackend::TrySend(uint32_t index) {
  Slot& slot = table_[index];
  const int fd = table_.source(index)->fd();
  const int64_t sent = slot.Is(kSendsFile) ? TransmitFile(fd, *slot.range)
                                           : Transmit(fd, {slot.buffers, slot.buffer_count});
  const int error = sent < 0 ? static_cast<int>(-sent) : 0;
  if (MayBeSentLater(error)) {
    slot.Set(kSending);
    if (IsMemoryExhaustion(error)) {
      BackOff(index);
    } else if (error == EAGAIN) {
      slot.ready &= ~kWriteBits;
    } else {
      slot.ready |= Readiness::kWritable;
    }
    if (Target(slot) != slot.registered) MarkDirty(index);
    return Runnable(slot);
  }
  const bool was_waiting = slot.Is(kSending);
  slot.Clear(kSending);
  slot.Set(kSendDone);
  slot.result = static_cast<int32_t>(sent);
  if (was_waiting) {
    if (slot.trigger == Trigger::kLevel) slot.ready &= ~kWriteBits;
    if (Target(slot) != slot.registered) MarkDirty(index);
  }
  return true;
}

void ReadinessBackend::FinishConnect(uint32_t index) {
  Slot& slot = table_[index];
  int error = 0;
  socklen_t length = sizeof(error);
  ++stats_.io_syscalls;
  if (::getsockopt(table_.source(index)->fd(), SOL_SOCKET, SO_ERROR, &error, &length) != 0) {
    error = errno;
  }
  slot.Clear(kConnecting);
  slot.Set(kConnectDone);
  slot.result = -error;
  slot.ready &= ~(kWriteBits | kReadBits);
  MarkDirty(index);
}

}  // namespace quintet
