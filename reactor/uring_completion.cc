// The half of UringBackend that takes completions from the kernel and delivers them.
#include <errno.h>
#include <poll.h>
#include <unistd.h>

#include <cassert>
#include <utility>

#include "reactor/errno_class.h"
#include "reactor/poll_bits.h"
#include "reactor/send_file.h"
#include "reactor/uring_backend.h"

namespace quintet {
namespace {

// What a kReady may tell. The kernel's poll adds RDHUP, HUP and ERR unasked; a half-closed peer is
// nothing to those who do not read.
Readiness Reportable(const UringSource& source) {
  if (!Any(source.interest)) return Readiness::kNone;
  Readiness reportable = source.interest | Readiness::kHangup | Readiness::kError;
  if (Any(source.interest & Readiness::kReadable)) reportable |= Readiness::kReadHangup;
  return reportable;
}

// A woken poll tells what the wake-up announced, and sockets announce POLLPRI with all their input
// (sock_def_readable): whether there is urgent data must be asked for. Rare enough for a call.
bool IsPriorityReady(int fd) {
  pollfd poll{.fd = fd, .events = POLLPRI, .revents = 0};
  return ::poll(&poll, 1, 0) == 1 && (poll.revents & POLLPRI) != 0;
}

uint16_t BufferOf(const io_uring_cqe& cqe) {
  if ((cqe.flags & IORING_CQE_F_BUFFER) == 0) return CompletionStore::kNoBuffer;
  return static_cast<uint16_t>(cqe.flags >> IORING_CQE_BUFFER_SHIFT);
}

}  // namespace

// Empties the completion queue: room for the kernel, and a fair order for Next().
uint32_t UringBackend::Harvest() {
  ConcludeQuietSends();
  const uint32_t reaped = ring_->Reap([this](const io_uring_cqe& cqe) { OnCqe(cqe); });
  stats_.events += reaped;
  return reaped;
}

// A quiet send that the kernel has taken, and of which no completion tells, has sent all. Queued in
// front of the completions that came: what answers a reply is told after the reply has left.
void UringBackend::ConcludeQuietSends() {
  if (quiet_sends_.empty()) {
    lost_completions_ = ring_->lost_completions();
    return;
  }
  if (ring_->cq_overflown()) {
    // One that failed may be told by a completion that found no room. Completions keep their order:
    // that of a submission made from now on comes behind it.
    fence_wanted_ = !fence_in_flight_;
    return;
  }
  ring_->Peek([this](const io_uring_cqe& cqe) {
    const UringName name = UringName::Unpack(cqe.user_data);
    if (name.op == UringOp::kSend && table_.IsCurrent(name.id)) {
      table_[name.id.slot].send_told = true;
    }
  });
  ConcludeQuietSendsBefore(ring_->untaken_position());
}

void UringBackend::ConcludeQuietSendsBefore(uint32_t position) {
  // Where the kernel had no memory even to keep a completion, it may have told a failure.
  const uint32_t lost = ring_->lost_completions();
  const bool certain = std::exchange(lost_completions_, lost) == lost;
  auto open = quiet_sends_.begin();
  for (; open != quiet_sends_.end(); ++open) {
    if (static_cast<int32_t>(open->position - position) >= 0) break;  // nor those behind it
    if (!table_.IsCurrent(open->id)) continue;
    const UringSource& source = table_[open->id.slot];
    // One that had a completion may have been followed by another of the same source.
    const bool in_flight = (source.in_flight & Bit(UringOp::kSend)) != 0;
    if (in_flight && source.quiet_send && !source.send_told &&
        source.send_position == open->position) {
      ConcludeQuietSend(open->id.slot, certain);
    }
  }
  quiet_sends_.erase(quiet_sends_.begin(), open);
}

void UringBackend::ConcludeQuietSend(uint32_t slot, bool sent) {
  UringSource& source = table_[slot];
  EndOperation(source, UringOp::kSend);
  source.quiet_send = false;
  if (!source.closing) {
    OnSend(slot, sent ? static_cast<int32_t>(source.send_buffers->iov_len) : -EIO);
  } else if (source.in_flight == 0) {
    FinishClose(slot);
  }
}

void UringBackend::OnCqe(const io_uring_cqe& cqe) {
  const UringName name = UringName::Unpack(cqe.user_data);
  const bool more = (cqe.flags & IORING_CQE_F_MORE) != 0;
  if (name.op == UringOp::kCancel) {
    OnCancelFailed(name.id);
    return;
  }
  if (name.op == UringOp::kWake) {
    OnWake(cqe.res, more);
    return;
  }
  if (name.op == UringOp::kFence) {
    fence_in_flight_ = false;
    ConcludeQuietSendsBefore(fence_position_);
    return;
  }
  if (name.op == UringOp::kFile) {
    OnFile(name.id, cqe.res);
    return;
  }
  if (name.op == UringOp::kFileCancel) {
    files_.OnCancelFailed(name.id);
    return;
  }
  if (!table_.IsCurrent(name.id)) {
    assert(false && "a source was freed with an operation in flight");
    OnLateCqe(name.op, cqe);
    return;
  }
  const uint32_t slot = name.id.slot;
  const UringOps bit = Bit(name.op);
  UringSource& source = table_[slot];
  assert((source.in_flight & bit) != 0);
  if (!more) EndOperation(source, name.op);
  if (source.closing) {
    OnLateCqe(name.op, cqe);
    if (source.in_flight == 0) FinishClose(slot);
    return;
  }
  switch (name.op) {
    case UringOp::kAccept:
      OnAccept(slot, cqe.res);
      if (!more && source.accept_finishing) {
        source.accept_finishing = false;
        Queue(slot, Op::kAccept, -ECANCELED);
      }
      break;
    case UringOp::kConnect:
      if (IsMemoryExhaustion(-cqe.res)) {
        Delay(slot, UringOp::kConnect);
        break;
      }
      source.wanted &= static_cast<UringOps>(~bit);
      Queue(slot, Op::kConnect, cqe.res);
      break;
    case UringOp::kRecv:
      OnRecv(slot, cqe);
      break;
    case UringOp::kSend:
      if (source.send_count == 0) {
        OnRoom(slot, cqe.res);
      } else {
        OnSend(slot, cqe.res);
      }
      break;
    case UringOp::kPoll:
      OnPoll(slot, cqe.res, more);
      break;
    case UringOp::kCancel:
    case UringOp::kWake:
    case UringOp::kFence:
    case UringOp::kFile:
    case UringOp::kFileCancel:
      break;
  }
  if (!more && cqe.res >= 0 && (source.wanted & bit) != 0 &&
      (name.op != UringOp::kPoll || source.trigger == Trigger::kEdge)) {
    ++stats_.multishot_rearms;
  }
  if (((source.wanted ^ source.in_flight) & bit) != 0) MarkDirty(slot);
}

void UringBackend::EndOperation(UringSource& source, UringOp op) {
  const auto others = static_cast<UringOps>(~Bit(op));
  source.in_flight &= others;
  source.cancelling &= others;
  // Of an operation in flight only its cancellation can be delayed.
  source.delayed &= others;
  --in_flight_;
}

// An operation of a closing source: it may have succeeded, and what it brought has no taker.
void UringBackend::OnLateCqe(UringOp op, const io_uring_cqe& cqe) {
  if (cqe.res >= 0) ++stats_.stale_events;
  if (op == UringOp::kAccept && cqe.res >= 0) ::close(cqe.res);
  const uint16_t buffer = BufferOf(cqe);
  if (buffer == CompletionStore::kNoBuffer) return;
  buffers_->Take(buffer, 0);
  buffers_->Return(buffer);
}

// Mostly the operation was over, and its completion is here or comes at once. But the kernel also
// finds nothing (ENOENT) while the operation is between two polls, queued to be tried again, and
// cannot always stop what is running (EALREADY): then it goes on, and is cancelled again.
void UringBackend::OnCancelFailed(SourceId id) {
  if (!table_.IsCurrent(id)) return;
  UringSource& source = table_[id.slot];
  if (source.cancelling == 0) return;
  if (source.delayed == 0) delayed_.Push(id);
  source.delayed |= source.cancelling;
  source.cancelling = 0;
  if (retry_at_ == kNever) retry_at_ = AddSaturated(clock_.Now(), kExhaustionRetry);
}

void UringBackend::OnWake(int32_t result, bool more) {
  if (result >= 0) {
    woken_ = true;
    wake_armed_ = more;
    return;
  }
  // No memory for the poll. Armed again after a pause; until then it counts as armed.
  ++stats_.exhaustion_retries;
  wake_delayed_ = true;
  if (retry_at_ == kNever) retry_at_ = AddSaturated(clock_.Now(), kExhaustionRetry);
}

// Each request has a turn of its own, behind those that were there before it.
void UringBackend::OnFile(SourceId id, int32_t result) {
  switch (files_.OnResult(id, result)) {
    case UringFiles::Fate::kOver:
      turns_.Push({.slot = SourceId::kNoSlot, .generation = id.slot});
      break;
    case UringFiles::Fate::kRests:
      ++stats_.exhaustion_retries;
      if (retry_at_ == kNever) retry_at_ = AddSaturated(clock_.Now(), kExhaustionRetry);
      break;
    case UringFiles::Fate::kAgain:
    case UringFiles::Fate::kStale:
      break;
  }
}

void UringBackend::OnAccept(uint32_t slot, int32_t result) {
  if (result >= 0) {
    Queue(slot, Op::kAccept, result);
  } else if (result == -EAGAIN) {
    CountEmptyAccept();
  } else if (IsTransientAcceptError(-result)) {
    ++stats_.accept_retries;
  } else if (result != -ECANCELED) {
    table_[slot].wanted &= static_cast<UringOps>(~Bit(UringOp::kAccept));
    Queue(slot, Op::kAccept, result);
  }
}

void UringBackend::OnRecv(uint32_t slot, const io_uring_cqe& cqe) {
  UringSource& source = table_[slot];
  const uint16_t buffer = BufferOf(cqe);
  if (cqe.res > 0) {
    buffers_->Take(buffer, static_cast<size_t>(cqe.res));
    Queue(slot, Op::kRecv, cqe.res, buffer);
    return;
  }
  if (buffer != CompletionStore::kNoBuffer) {
    buffers_->Take(buffer, 0);
    buffers_->Return(buffer);
  }
  switch (-cqe.res) {
    case ECANCELED:
      return;
    case ENOBUFS:
      // Nothing is lost, the bytes wait in the socket.
      ++stats_.buffer_starvation;
      if ((source.wanted & Bit(UringOp::kRecv)) == 0 || source.starved) return;
      source.starved = true;
      starved_.Push(IdOf(slot));
      return;
    case ENOMEM:
      Delay(slot, UringOp::kRecv);
      return;
    case EAGAIN:
      source.poll_first |= Bit(UringOp::kRecv);
      return;
    case EINTR:
      return;
    default:
      // End of file or an error, once. Also after StopRecv: an error that was read from the socket
      // is not there to be read again.
      source.wanted &= static_cast<UringOps>(~Bit(UringOp::kRecv));
      source.recv_ended = true;
      Queue(slot, Op::kRecv, cqe.res);
  }
}

void UringBackend::OnSend(uint32_t slot, int32_t result) {
  UringSource& source = table_[slot];
  // Kernel TLS takes no MSG_WAITALL: sent again without.
  const bool refused = source.quiet_send && result == -EOPNOTSUPP;
  source.quiet_send = false;
  if (result == -EAGAIN) {
    source.poll_first |= Bit(UringOp::kSend);
  } else if (IsMemoryExhaustion(-result) || result == 0) {
    Delay(slot, UringOp::kSend);
  } else if (!refused && result != -EINTR && result != -ECANCELED) {
    source.wanted &= static_cast<UringOps>(~Bit(UringOp::kSend));
    Queue(slot, Op::kSend, result);
  }
}

// Of the wait before a send from a file, which meets what else the poll may have to tell.
void UringBackend::OnRoom(uint32_t slot, int32_t result) {
  if (result == -ECANCELED) return;
  if (result == -ENOMEM) {
    Delay(slot, UringOp::kSend);
    return;
  }
  table_[slot].wanted &= static_cast<UringOps>(~Bit(UringOp::kSend));
  Queue(slot, Op::kSend, kLook);
}

void UringBackend::OnPoll(uint32_t slot, int32_t result, bool more) {
  UringSource& source = table_[slot];
  if (!more) source.poll_renew = false;
  if (result == -ECANCELED) return;
  if (result == -ENOMEM) {
    Delay(slot, UringOp::kPoll);
    return;
  }
  Readiness ready = Readiness::kError;
  if (result >= 0) {
    ready = FromPollBits(static_cast<uint32_t>(result)) & Reportable(source);
    if (Any(ready & Readiness::kPriority)) {
      ++stats_.io_syscalls;
      if (!IsPriorityReady(source.fd)) ready &= ~Readiness::kPriority;
    }
  } else {
    // EBADF and the like: closed behind our back. Said once.
    source.wanted &= static_cast<UringOps>(~Bit(UringOp::kPoll));
  }
  if (!Any(ready)) {
    // Level: asked again it would say the same at once, without end. A multishot poll tells when
    // something changes.
    if (source.trigger == Trigger::kLevel) source.poll_quiet = true;
    return;
  }
  if (source.trigger == Trigger::kLevel && more) {
    source.poll_renew = true;
    source.poll_quiet = false;
  }
  source.ready |= ready;
  if (source.ready_queued) return;
  source.ready_queued = true;
  Queue(slot, Op::kReady, 0);
}

void UringBackend::Queue(uint32_t slot, Op op, int32_t result, uint16_t buffer) {
  UringSource& source = table_[slot];
  queued_.Append(source, op, result, buffer);
  if (source.has_turn) return;
  source.has_turn = true;
  turns_.Push(IdOf(slot));
}

// Takes the oldest completion of the slot. False when there is nothing to tell after all.
bool UringBackend::Deliver(uint32_t slot, Completion* completion) {
  UringSource& state = table_[slot];
  const CompletionStore::Item item = queued_.Pop(state);
  *completion = {.source = table_.source(slot), .data = {}, .result = item.result, .op = item.op};
  switch (item.op) {
    case Op::kRecv:
      if (item.buffer == CompletionStore::kNoBuffer) return true;
      completion->data = buffers_->Data(item.buffer, static_cast<size_t>(item.result));
      last_buffer_ = item.buffer;
      return true;
    case Op::kReady:
      // The interest may have changed since.
      completion->result = static_cast<int32_t>(state.ready & Reportable(state));
      state.ready = Readiness::kNone;
      state.ready_queued = false;
      MarkDirty(slot);
      return completion->result != 0;
    case Op::kClosed:
      table_.Erase(slot);
      return true;
    case Op::kAccept:
      if (item.result == kLook || item.result == -ECANCELED) return AcceptOne(slot, completion);
      return true;
    case Op::kSend:
      return item.result != kLook || SendRange(slot, completion);
    case Op::kConnect:
    case Op::kFile:
      return true;
  }
  return true;
}

// A turn to send from a file, for which there was room. Here and not where the room was told, so
// that the loop's bound on completions is one on what is sent, too.
bool UringBackend::SendRange(uint32_t slot, Completion* completion) {
  UringSource& state = table_[slot];
  ++stats_.io_syscalls;
  completion->result = SendFile(state.fd, *state.send_range);
  if (!MayBeSentLater(-completion->result)) return true;
  state.wanted |= Bit(UringOp::kSend);
  if (IsMemoryExhaustion(-completion->result)) Delay(slot, UringOp::kSend);
  MarkDirty(slot);
  return false;
}

// A turn to accept one of those of whom the ring does not tell, since nobody is woken for them a
// second time, or since it accepts no more. What led here is queued once more: each has its turn.
// Errors end a look: the accept in flight meets them.
bool UringBackend::AcceptOne(uint32_t slot, Completion* completion) {
  UringSource& state = table_[slot];
  const int32_t turn = completion->result;
  const bool looking = turn == kLook;
  const bool stopped = looking && (state.wanted & Bit(UringOp::kAccept)) == 0;
  if (state.accepts_left > 0 && !stopped) {
    --state.accepts_left;
    ++stats_.io_syscalls;
    const int fd = ::accept4(state.fd, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd >= 0 || IsTransientAcceptError(errno)) {
      if (fd < 0) ++stats_.accept_retries;
      queued_.Append(state, Op::kAccept, turn, CompletionStore::kNoBuffer);
      completion->result = fd;
      return fd >= 0;
    }
  }
  if (looking) state.accept_looking = false;
  return !looking;
}

// Gives up what was not delivered yet: its source is closing.
void UringBackend::DropQueued(UringSource& source) {
  while (source.first != UringSource::kNone) {
    const CompletionStore::Item item = queued_.Pop(source);
    ++stats_.stale_events;
    if (item.op == Op::kAccept && item.result >= 0) ::close(item.result);
    if (item.buffer != CompletionStore::kNoBuffer) buffers_->Return(item.buffer);
  }
  source.ready_queued = false;
}

}  // namespace quintet
