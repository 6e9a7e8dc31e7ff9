// The sends of ReadinessBackend: how they begin, and the calls that they are made of.
#include <errno.h>
#include <sys/socket.h>

#include <cassert>

#include "reactor/errno_class.h"
#include "reactor/readiness_backend.h"
#include "reactor/send_file.h"

namespace quintet {

void ReadinessBackend::StartSend(Source& source, std::span<const iovec> buffers) {
  CheckThread();
  const uint32_t index = table_.SlotOf(source);
  Slot& slot = table_[index];
  if (slot.Is(kClosing)) return;
  assert(!slot.Is(kSending | kSendDone | kWatching));
  assert(!buffers.empty() && buffers.size() <= kMaxSendBuffers);
  slot.buffers = buffers.data();
  slot.buffer_count = static_cast<uint32_t>(buffers.size());
  slot.Clear(kSendsFile);
  BeginSend(index);
}

void ReadinessBackend::StartSendFile(Source& source, const FileRange& range) {
  CheckThread();
  const uint32_t index = table_.SlotOf(source);
  Slot& slot = table_[index];
  if (slot.Is(kClosing)) return;
  assert(!slot.Is(kSending | kSendDone | kWatching));
  assert(range.length > 0);
  slot.range = &range;
  slot.Set(kSendsFile);
  BeginSend(index);
}

void ReadinessBackend::BeginSend(uint32_t index) {
  Slot& slot = table_[index];
  if (slot.Is(kSendFailed)) {
    slot.Clear(kSendFailed);
    slot.Set(kSendDone);
    Enqueue(index);
  } else if (slot.Is(kBackingOff)) {
    slot.Set(kSending);
  } else if (TrySend(index)) {
    Enqueue(index);
  }
}

size_t ReadinessBackend::SendNow(Source& source, std::span<const iovec> buffers) {
  CheckThread();
  Slot& slot = table_[table_.SlotOf(source)];
  assert(!slot.Is(kSending | kSendDone | kWatching));
  assert(!buffers.empty() && buffers.size() <= kMaxSendBuffers);
  if (slot.Is(kClosing | kBackingOff | kSendFailed)) return 0;
  const int64_t sent = Transmit(source.fd(), buffers);
  if (sent <= 0) return NoteFailure(slot, sent);
  ++stats_.sends_now;
  return static_cast<size_t>(sent);
}

size_t ReadinessBackend::SendFileNow(Source& source, const FileRange& range) {
  CheckThread();
  Slot& slot = table_[table_.SlotOf(source)];
  assert(!slot.Is(kSending | kSendDone | kWatching));
  assert(range.length > 0);
  if (slot.Is(kClosing | kBackingOff | kSendFailed)) return 0;
  const int64_t sent = TransmitFile(source.fd(), range);
  if (sent <= 0) return NoteFailure(slot, sent);
  ++stats_.sends_now;
  return static_cast<size_t>(sent);
}

// What SendNow() met. Returns its result.
size_t ReadinessBackend::NoteFailure(Slot& slot, int64_t sent) {
  // A pending error is told by the socket once (SO_ERROR in socket(7)): kept for StartSend(). What
  // a file lacks it lacks again.
  if (sent < 0 && sent != -ENODATA && !MayBeSentLater(static_cast<int>(-sent))) {
    slot.Set(kSendFailed);
    slot.result = static_cast<int32_t>(sent);
  }
  return 0;
}

void ReadinessBackend::ShutdownSend(Source& source) {
  CheckThread();
  const Slot& slot = table_[table_.SlotOf(source)];
  if (slot.Is(kClosing)) return;
  assert(!slot.Is(kSending));
  // ENOTCONN after a reset: the armed receive reports what happened.
  ::shutdown(source.fd(), SHUT_WR);
}

// Returns the bytes, or -errno.
int64_t ReadinessBackend::Transmit(int fd, std::span<const iovec> buffers) {
  // MSG_NOSIGNAL: a peer that is gone is an error number, never SIGPIPE. MSG_DONTWAIT: also on a
  // descriptor that somebody made blocking.
  constexpr int kFlags = MSG_DONTWAIT | MSG_NOSIGNAL;
  ++stats_.io_syscalls;
  ssize_t sent;
  if (buffers.size() == 1) {
    sent = ::send(fd, buffers.front().iov_base, buffers.front().iov_len, kFlags);
    return sent >= 0 ? sent : -errno;
  }
  msghdr message{};
  message.msg_iov = const_cast<iovec*>(buffers.data());
  message.msg_iovlen = buffers.size();
  sent = ::sendmsg(fd, &message, kFlags);
  return sent >= 0 ? sent : -errno;
}

int64_t ReadinessBackend::TransmitFile(int fd, const FileRange& range) {
  ++stats_.io_syscalls;
  return SendFile(fd, range);
}

}  // namespace quintet
