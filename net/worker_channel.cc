#include "net/worker_channel.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cassert>

#include "net/errno_status.h"
#include "net/listen_sockets.h"

namespace quintet {
namespace {

// As it travels, the text or the bits of the sockets behind it. Both ends are one program.
struct Head {
  WorkerMessage::Type type;
  bool stopping;
  Duration delay;
  Duration timeout;
};

constexpr size_t kBodyBytes = WorkerChannel::kMaxBytes - sizeof(Head);

struct Packet {
  Head head;
  char body[kBodyBytes];
};
static_assert(sizeof(Packet) <= WorkerChannel::kMaxBytes + alignof(Head));

constexpr size_t kHeadBytes = offsetof(Packet, body);

static_assert(kBodyBytes * 8 >= ListenSockets::kMaxSockets);

// A bit each; the bytes used.
size_t EncodeSockets(const std::vector<size_t>& sockets, char* bytes) {
  size_t length = 0;
  for (const size_t socket : sockets) {
    assert(socket < ListenSockets::kMaxSockets);
    bytes[socket / 8] = static_cast<char>(bytes[socket / 8] | 1 << (socket % 8));
    length = std::max(length, socket / 8 + 1);
  }
  return length;
}

std::vector<size_t> DecodeSockets(const char* bytes, size_t length) {
  std::vector<size_t> sockets;
  for (size_t socket = 0; socket < length * 8; ++socket) {
    if ((bytes[socket / 8] >> (socket % 8) & 1) != 0) sockets.push_back(socket);
  }
  return sockets;
}

size_t Encode(const WorkerMessage& message, Packet& packet) {
  packet.head = {.type = message.type,
                 .stopping = message.plan.stopping,
                 .delay = message.plan.delay,
                 .timeout = message.plan.timeout};
  std::fill(std::begin(packet.body), std::end(packet.body), '\0');
  switch (message.type) {
    case WorkerMessage::Type::kAcceptFrom:
      return kHeadBytes + EncodeSockets(message.sockets, packet.body);
    case WorkerMessage::Type::kDrain:
      return kHeadBytes + EncodeSockets(message.plan.abandoned, packet.body);
    default:
      break;
  }
  const size_t length = std::min(message.text.size(), kBodyBytes);
  std::copy_n(message.text.data(), length, packet.body);
  return kHeadBytes + length;
}

WorkerMessage Decode(const Packet& packet, size_t bytes) {
  WorkerMessage message{.type = packet.head.type,
                        .plan = {.delay = packet.head.delay,
                                 .timeout = packet.head.timeout,
                                 .stopping = packet.head.stopping}};
  const size_t length = bytes - kHeadBytes;
  switch (message.type) {
    case WorkerMessage::Type::kAcceptFrom:
      message.sockets = DecodeSockets(packet.body, length);
      break;
    case WorkerMessage::Type::kDrain:
      message.plan.abandoned = DecodeSockets(packet.body, length);
      break;
    default:
      message.text.assign(packet.body, length);
  }
  return message;
}

// Room for one descriptor.
union Control {
  cmsghdr header;
  std::array<char, CMSG_SPACE(sizeof(int))> bytes;
};

}  // namespace

absl::StatusOr<std::pair<Socket, Socket>> WorkerChannel::CreatePair() {
  int fds[2];
  if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds) != 0) {
    return ErrnoStatus(errno, "socketpair for a worker");
  }
  return std::pair<Socket, Socket>(Socket(fds[0]), Socket(fds[1]));
}

absl::StatusOr<std::unique_ptr<WorkerChannel>> WorkerChannel::Create(
    EventLoop& loop, Socket socket, std::function<void(WorkerMessage&)> on_message,
    std::function<void()> on_end) {
  std::unique_ptr<WorkerChannel> channel(
      new WorkerChannel(loop, std::move(socket), std::move(on_message), std::move(on_end)));
  auto watcher = loop.Watch(channel->socket_.fd(), Readiness::kReadable, Trigger::kLevel,
                            [raw = channel.get()](Readiness) { raw->Receive(); });
  if (!watcher.ok()) return watcher.status();
  channel->watcher_ = *std::move(watcher);
  return channel;
}

WorkerChannel::WorkerChannel(EventLoop& loop, Socket socket,
                             std::function<void(WorkerMessage&)> on_message,
                             std::function<void()> on_end)
    : loop_(loop),
      socket_(std::move(socket)),
      on_message_(std::move(on_message)),
      on_end_(std::move(on_end)) {}

WorkerChannel::~WorkerChannel() {
  *alive_ = false;
  loop_.Cancel(retry_timer_);
}

void WorkerChannel::Send(WorkerMessage message) {
  if (waiting_.empty() && TrySend(message)) return;
  waiting_.push_back(std::move(message));
  if (waiting_.size() > 1) return;
  retry_timer_ = loop_.RunAfter(kRetryInterval, [this] { SendWaiting(); });
}

void WorkerChannel::SendWaiting() {
  std::vector<WorkerMessage> waiting = std::exchange(waiting_, {});
  auto next = waiting.begin();
  while (next != waiting.end() && TrySend(*next)) ++next;
  waiting_.assign(std::make_move_iterator(next), std::make_move_iterator(waiting.end()));
  if (waiting_.empty()) return;
  retry_timer_ = loop_.RunAfter(kRetryInterval, [this] { SendWaiting(); });
}

bool WorkerChannel::TrySend(WorkerMessage& message) {
  return waiting_.empty() && SendOn(socket_, message);
}

bool WorkerChannel::SendOn(const Socket& socket, WorkerMessage& message) {
  Packet packet;
  iovec part{.iov_base = &packet, .iov_len = Encode(message, packet)};
  Control control{};
  msghdr header{};
  header.msg_iov = &part;
  header.msg_iovlen = 1;
  if (message.socket.valid()) {
    header.msg_control = control.bytes.data();
    header.msg_controllen = control.bytes.size();
    cmsghdr* const rights = CMSG_FIRSTHDR(&header);
    rights->cmsg_level = SOL_SOCKET;
    rights->cmsg_type = SCM_RIGHTS;
    rights->cmsg_len = CMSG_LEN(sizeof(int));
    const int fd = message.socket.fd();
    ::memcpy(CMSG_DATA(rights), &fd, sizeof(fd));
  }
  ssize_t sent;
  do {
    sent = ::sendmsg(socket.fd(), &header, MSG_DONTWAIT | MSG_NOSIGNAL);
  } while (sent < 0 && errno == EINTR);
  // ETOOMANYREFS: as many descriptors are on their way as the process may open (unix(7)).
  if (sent < 0 &&
      (errno == EAGAIN || errno == ENOBUFS || errno == ENOMEM || errno == ETOOMANYREFS)) {
    return false;
  }
  // A connection for a worker that is gone stays here, for another one.
  if (sent < 0 && message.socket.valid()) return false;
  message.socket.Reset();
  return true;
}

void WorkerChannel::Receive() {
  const std::shared_ptr<bool> alive = alive_;
  while (*alive) {
    Packet packet;
    Control control{};
    iovec part{.iov_base = &packet, .iov_len = sizeof(packet)};
    msghdr header{};
    header.msg_iov = &part;
    header.msg_iovlen = 1;
    header.msg_control = control.bytes.data();
    header.msg_controllen = control.bytes.size();
    const ssize_t bytes = ::recvmsg(socket_.fd(), &header, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    if (bytes < 0 && errno == EINTR) continue;
    // The other end has gone with messages unread (unix(7)). The kernel says so first and once:
    // what that end had sent is still in the queue, and behind it the end of file.
    if (bytes < 0 && errno == ECONNRESET) continue;
    if (bytes < 0 && errno == EAGAIN) return;
    if (bytes < static_cast<ssize_t>(kHeadBytes)) {
      watcher_.reset();
      if (on_end_) std::exchange(on_end_, nullptr)();
      return;
    }
    WorkerMessage message = Decode(packet, static_cast<size_t>(bytes));
    // None, and MSG_CTRUNC, where this process may open no more descriptors: the kernel has dropped
    // the one that came (recvmsg(2)).
    const cmsghdr* const rights = CMSG_FIRSTHDR(&header);
    if (rights != nullptr && rights->cmsg_type == SCM_RIGHTS) {
      int fd;
      ::memcpy(&fd, CMSG_DATA(rights), sizeof(fd));
      message.socket.Reset(fd);
    }
    on_message_(message);
  }
}

}  // namespace quintet
