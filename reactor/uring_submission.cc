// The half of UringBackend that turns wishes into submissions.
#include <errno.h>
#include <poll.h>
#include <time.h>

#include <algorithm>
#include <bit>
#include <cassert>

#include "absl/strings/str_cat.h"
#include "reactor/errno_text.h"
#include "reactor/poll_bits.h"
#include "reactor/uring_backend.h"

namespace quintet {
namespace {

// What one send(2) takes at most (send(2) cuts longer ones off, and so does the length field here).
constexpr size_t kMaxSendBytes = 0x7ffff000;

// File requests submitted by one enter: what is in memory is read or written within it, and that
// holds the loop up.
constexpr int kMaxFilesPerEnter = 64;

constexpr UringOps kAllSourceOps = (1U << kSourceOps) - 1;

UringOps ToArm(const UringSource& source) {
  unsigned held = source.in_flight | source.delayed;
  if (source.starved) held |= Bit(UringOp::kRecv);
  // Level: what was reported is looked at again once its owner has seen it.
  if (source.ready_queued) held |= Bit(UringOp::kPoll);
  return static_cast<UringOps>(source.wanted & ~held);
}

UringOps ToCancel(const UringSource& source) {
  unsigned unwanted = ~static_cast<unsigned>(source.wanted);
  if (source.poll_renew) unwanted |= Bit(UringOp::kPoll);
  return static_cast<UringOps>(source.in_flight & ~source.cancelling & unwanted);
}

}  // namespace

void UringBackend::MarkDirty(uint32_t slot) {
  UringSource& source = table_[slot];
  if (source.dirty) return;
  source.dirty = true;
  dirty_.Push(IdOf(slot));
}

// Makes submissions of everything that was noted before this call. What finds no room, because the
// kernel does not take submissions for the moment, stays noted.
void UringBackend::Submit() {
  if (!wake_armed_) ArmWake();
  if (fence_wanted_) ArmFence();
  SubmitFiles();
  for (size_t left = dirty_.size(); left > 0; --left) {
    const SourceId id = dirty_.Pop();
    if (!table_.IsCurrent(id)) continue;
    table_[id.slot].dirty = false;
    if (Reconcile(id.slot)) continue;
    MarkDirty(id.slot);
    return;
  }
}

// True when nothing is left to submit for the slot.
bool UringBackend::Reconcile(uint32_t slot) {
  UringSource& source = table_[slot];
  UringOps left = kAllSourceOps;
  while (const int pending = (ToArm(source) | ToCancel(source)) & left) {
    const auto op = static_cast<UringOp>(std::countr_zero(static_cast<unsigned>(pending)));
    const UringOps bit = Bit(op);
    if (!HaveRoom()) return false;
    left &= static_cast<UringOps>(~bit);
    // Making room may have brought the end of an operation.
    if ((ToArm(source) & bit) != 0) {
      Arm(slot, op);
    } else if ((ToCancel(source) & bit) != 0) {
      io_uring_sqe* sqe = ring_->NextSqe();
      // By name, which the kernel finds in a hash table; by descriptor it would search all. Of the
      // two completions only the operation's own matters, whatever becomes of the cancellation.
      io_uring_prep_cancel64(sqe, UringName::Pack(IdOf(slot), op), 0);
      sqe->flags |= IOSQE_CQE_SKIP_SUCCESS;
      sqe->user_data = UringName::Pack(IdOf(slot), UringOp::kCancel);
      source.cancelling |= bit;
    }
  }
  return true;
}

// Whether NextSqe() will have one to give; a full queue is flushed for that.
bool UringBackend::HaveRoom() {
  if (ring_->unsubmitted() < ring_->sq_entries()) return true;
  Enter({});
  Harvest();
  return ring_->unsubmitted() < ring_->sq_entries();
}

void UringBackend::Arm(uint32_t slot, UringOp op) {
  UringSource& source = table_[slot];
  io_uring_sqe* sqe = ring_->NextSqe();
  switch (op) {
    case UringOp::kAccept:
      io_uring_prep_multishot_accept(sqe, source.fd, nullptr, nullptr,
                                     SOCK_NONBLOCK | SOCK_CLOEXEC);
      break;
    case UringOp::kConnect:
      io_uring_prep_connect(sqe, source.fd, source.connect_address, source.connect_length);
      break;
    case UringOp::kRecv:
      if (source.one_shot_recv) {
        io_uring_prep_recv(sqe, source.fd, nullptr, 0, 0);
      } else {
        io_uring_prep_recv_multishot(sqe, source.fd, nullptr, 0, 0);
      }
      sqe->flags |= IOSQE_BUFFER_SELECT;
      sqe->buf_group = BufferRing::kGroup;
      break;
    case UringOp::kSend:
      ArmSend(slot, sqe);
      break;
    case UringOp::kPoll:
      ArmPoll(source, sqe);
      break;
    case UringOp::kCancel:
    case UringOp::kWake:
    case UringOp::kFence:
    case UringOp::kFile:
    case UringOp::kFileCancel:
      assert(false);
      break;
  }
  if ((source.poll_first & Bit(op)) != 0) {
    sqe->ioprio |= IORING_RECVSEND_POLL_FIRST;
    source.poll_first &= static_cast<UringOps>(~Bit(op));
  }
  sqe->user_data = UringName::Pack(IdOf(slot), op);
  source.in_flight |= Bit(op);
  ++in_flight_;
}

// Without MSG_WAITALL: a short send comes back at once, so that the connection sees its progress.
//
// A quiet send must not wait for room (MSG_DONTWAIT), so that its outcome is there when the kernel
// has taken it, and what is less than all of it counts as a failure (MSG_WAITALL), of which
// IOSQE_CQE_SKIP_SUCCESS tells: no completion means success. Completions of sends would end the
// wait that is to gather the next requests.
void UringBackend::ArmSend(uint32_t slot, io_uring_sqe* sqe) {
  UringSource& source = table_[slot];
  if (source.send_count == 0) {
    // A file: only the wait for room is the ring's, see SendRange().
    source.poll_first &= static_cast<UringOps>(~Bit(UringOp::kSend));
    io_uring_prep_poll_add(sqe, source.fd, POLLOUT);
    return;
  }
  if (source.send_count == 1) {
    const iovec& buffer = *source.send_buffers;
    io_uring_prep_send(sqe, source.fd, buffer.iov_base, std::min(buffer.iov_len, kMaxSendBytes),
                       MSG_NOSIGNAL);
    if (!source.quiet_send) return;
    sqe->msg_flags |= MSG_DONTWAIT | MSG_WAITALL;
    sqe->flags |= IOSQE_CQE_SKIP_SUCCESS;
    source.send_position = ring_->last_position();
    source.send_told = false;
    quiet_sends_.push_back({IdOf(slot), source.send_position});
    return;
  }
  // Read by the kernel when it takes the submission (IORING_FEAT_SUBMIT_STABLE), until when the
  // place in the queue, and this message with it, is not used again.
  msghdr& message = messages_[ring_->IndexOf(sqe)];
  message = {};
  message.msg_iov = const_cast<iovec*>(source.send_buffers);
  message.msg_iovlen = source.send_count;
  io_uring_prep_sendmsg(sqe, source.fd, &message, MSG_NOSIGNAL);
}

// Level: one-shot, armed again after each delivery. Edge: multishot, which reports changes.
void UringBackend::ArmPoll(UringSource& source, io_uring_sqe* sqe) {
  uint32_t bits = ToPollBits(source.interest);
  // The kernel leaves POLLPRI out when it decides whom to wake (io_uring/poll.c,
  // IO_ASYNC_POLL_COMMON), but sockets announce urgent data as POLLRDBAND as well.
  if ((bits & POLLPRI) != 0) bits |= POLLRDBAND;
  if (source.trigger == Trigger::kEdge || source.poll_quiet) {
    io_uring_prep_poll_multishot(sqe, source.fd, bits);
  } else {
    io_uring_prep_poll_add(sqe, source.fd, bits);
  }
}

// The descriptor is never read: each write wakes a multishot poll, and one completion stands for
// all writes since the last. When the poll has ended, arming it anew reports once more at once.
void UringBackend::ArmWake() {
  if (!HaveRoom()) return;
  io_uring_sqe* sqe = ring_->NextSqe();
  io_uring_prep_poll_multishot(sqe, wake_fd_, POLLIN);
  sqe->user_data = UringName::Pack({}, UringOp::kWake);
  wake_armed_ = true;
}

// See ConcludeQuietSends().
void UringBackend::ArmFence() {
  if (!HaveRoom()) return;
  io_uring_sqe* sqe = ring_->NextSqe();
  io_uring_prep_nop(sqe);
  sqe->user_data = UringName::Pack({}, UringOp::kFence);
  fence_position_ = ring_->last_position();
  fence_wanted_ = false;
  fence_in_flight_ = true;
}

void UringBackend::SubmitFiles() {
  for (int left = kMaxFilesPerEnter; left > 0 && files_.has_waiting() && HaveRoom(); --left) {
    files_.Prepare(ring_->NextSqe());
  }
}

// Lets an operation rest that met ENOBUFS or ENOMEM.
void UringBackend::Delay(uint32_t slot, UringOp op) {
  ++stats_.exhaustion_retries;
  UringSource& source = table_[slot];
  if (source.delayed == 0) delayed_.Push(IdOf(slot));
  source.delayed |= Bit(op);
  if (retry_at_ == kNever) retry_at_ = AddSaturated(clock_.Now(), kExhaustionRetry);
}

void UringBackend::EndDelays() {
  if (retry_at_ == kNever || clock_.Now() < retry_at_) return;
  retry_at_ = kNever;
  files_.EndRest();
  while (!delayed_.empty()) {
    const SourceId id = delayed_.Pop();
    if (!table_.IsCurrent(id)) continue;
    table_[id.slot].delayed = 0;
    MarkDirty(id.slot);
  }
  if (wake_delayed_) {
    wake_delayed_ = false;
    wake_armed_ = false;
  }
}

// Arms receives that ran out of buffers, first come first served and not more than there are
// buffers now: on an empty ring they would fail at once.
void UringBackend::FeedStarved() {
  uint32_t free_buffers = buffers_->with_kernel() + buffers_->returned();
  while (free_buffers > 0 && !starved_.empty()) {
    const SourceId id = starved_.Pop();
    if (!table_.IsCurrent(id) || !table_[id.slot].starved) continue;
    table_[id.slot].starved = false;
    if ((table_[id.slot].wanted & Bit(UringOp::kRecv)) == 0) continue;
    MarkDirty(id.slot);
    --free_buffers;
  }
}

int UringBackend::Enter(const UringRing::EnterOptions& options) {
  ++stats_.wait_syscalls;
  const int result = ring_->Enter(options);
  if (ring_->cq_overflown()) ++stats_.cq_overflows;
  switch (result) {
    case -ETIME:
    case -EINTR:
      break;
    case -EAGAIN:  // no memory for requests
    case -ENOMEM:
    case -ENOBUFS:
    case -EBUSY:  // completions must be reaped first
      ++stats_.exhaustion_retries;
      break;
    default:
      if (result < 0) {
        // EBADR is the loss of completions, for want of memory to keep them in. Anything else is a
        // filter that forbids the call by now, or an error in this class.
        ++stats_.exhaustion_retries;
        LogOnce(absl::StrCat("io_uring: io_uring_enter: ", ErrnoText(-result)));
      }
  }
  return result;
}

// The ring refuses submissions and had nothing to reap: waits for completions without submitting.
void UringBackend::Rest(TimePoint deadline) {
  Duration pause = kExhaustionRetry;
  if (deadline != kNever) {
    pause = std::clamp(deadline - clock_.Now(), Duration::zero(), kExhaustionRetry);
  }
  const int result = Enter({.submit = false, .wait = true, .timeout = pause});
  Harvest();
  if (result >= 0 || result == -ETIME || result == -EINTR) return;
  const timespec sleep{.tv_sec = 0, .tv_nsec = static_cast<long>(pause.count())};
  ::nanosleep(&sleep, nullptr);
}

}  // namespace quintet
