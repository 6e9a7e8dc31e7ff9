#include "tests/support/tcp_relay.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <utility>
#include <vector>

namespace quintet::testing {
namespace {

constexpr size_t kPieceBytes = 64 << 10;
// How late the end is seen.
constexpr int kTickMs = 5;

bool WouldBlock() { return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR; }

TcpRelay::Direction Other(TcpRelay::Direction direction) {
  return direction == TcpRelay::kToServer ? TcpRelay::kToClient : TcpRelay::kToServer;
}

// Pieces are sent as they come.
void SetNoDelay(int fd) {
  const int on = 1;
  EXPECT_EQ(::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)), 0);
}

}  // namespace

TcpRelay::TcpRelay(const Address& target, Point point)
    : target_(target), point_(std::move(point)), listener_(MakeListener()) {
  thread_ = std::thread([this] { Run(); });
}

TcpRelay::~TcpRelay() {
  stop_ = true;
  thread_.join();
}

std::string TcpRelay::address() const { return "127.0.0.1:" + std::to_string(listener_.port()); }

void TcpRelay::Run() {
  std::vector<pollfd> polled;
  while (!stop_) {
    polled.assign(1, {.fd = listener_.fd.get(), .events = POLLIN, .revents = 0});
    for (const Link& link : links_) {
      for (const Stream& stream : link.streams) {
        const int to = link.ends[stream.direction].get();
        const int from = link.ends[Other(stream.direction)].get();
        if (!stream.waiting.empty()) polled.push_back({.fd = to, .events = POLLOUT, .revents = 0});
        if (stream.waiting.empty() && !stream.end_of_file) {
          polled.push_back({.fd = from, .events = POLLIN, .revents = 0});
        }
      }
    }
    if (::poll(polled.data(), polled.size(), kTickMs) <= 0) continue;
    if (polled[0].revents != 0) Accept();
    for (auto link = links_.begin(); link != links_.end();) {
      const bool lives = Move(*link, link->streams[kToServer]) &&
                         Move(*link, link->streams[kToClient]) && !closed_;
      const bool over = link->streams[kToServer].ended && link->streams[kToClient].ended;
      link = lives && !over ? std::next(link) : links_.erase(link);
    }
    if (closed_) links_.clear();
  }
}

void TcpRelay::Accept() {
  Fd client(::accept4(listener_.fd.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
  if (!client || closed_) return;
  Fd server(::socket(target_.family(), SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!Connect(server.get(), target_.data(), target_.size())) return;
  SetNonBlocking(server.get());
  SetNoDelay(server.get());
  SetNoDelay(client.get());
  Link& link = links_.emplace_back();
  link.ends[kToServer] = std::move(server);
  link.ends[kToClient] = std::move(client);
  link.streams[kToServer].direction = kToServer;
  link.streams[kToClient].direction = kToClient;
}

bool TcpRelay::Move(Link& link, Stream& stream) {
  if (stream.ended) return true;
  if (stream.waiting.empty() && !stream.end_of_file && !Read(link, stream)) return false;
  if (!stream.waiting.empty() && !Write(link, stream)) return false;
  if (stream.end_of_file && stream.waiting.empty()) {
    ::shutdown(link.ends[stream.direction].get(), SHUT_WR);
    stream.ended = true;
  }
  return true;
}

bool TcpRelay::Read(Link& link, Stream& stream) {
  // Never beyond the point: what is behind it must not have been read when it is reached.
  uint64_t most = kPieceBytes;
  uint64_t& taken = taken_[stream.direction];
  if (point_.action && !reached_ && stream.direction == point_.direction) {
    most = std::min(most, point_.bytes - taken);
    if (most == 0) return true;
  }
  stream.waiting.resize(most);
  const ssize_t got = ::recv(link.ends[Other(stream.direction)].get(), stream.waiting.data(),
                             stream.waiting.size(), 0);
  stream.waiting.resize(got > 0 ? static_cast<size_t>(got) : 0);
  taken += stream.waiting.size();
  if (got == 0) stream.end_of_file = true;
  return got >= 0 || WouldBlock();
}

bool TcpRelay::Write(Link& link, Stream& stream) {
  const ssize_t put = ::send(link.ends[stream.direction].get(), stream.waiting.data(),
                             stream.waiting.size(), MSG_NOSIGNAL);
  if (put < 0) return WouldBlock();
  stream.waiting.erase(0, static_cast<size_t>(put));
  forwarded_[stream.direction] += static_cast<uint64_t>(put);
  CheckPoint(stream.direction);
  return true;
}

void TcpRelay::CheckPoint(Direction direction) {
  if (!point_.action || reached_ || direction != point_.direction) return;
  if (forwarded_[direction] < point_.bytes) return;
  reached_ = true;
  closed_ = !point_.action();
}

}  // namespace quintet::testing
