#include "bench/models/clients.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <string_view>
#include <utility>

#include "bench/harness/load.h"

namespace quintet::bench {
namespace {

constexpr int kEventsPerPoll = 256;
// One address has some 28,000 ports for connections to one server, and a port that was closed first
// here cannot be used again for a while.
constexpr uint32_t kSourceAddresses = 200;

}  // namespace

Clients::Clients(uint16_t port, size_t count, bool keep, Events& events)
    : port_(port),
      keep_(keep),
      request_(std::string("GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n") +
               (keep ? "" : "Connection: close\r\n") + "\r\n"),
      events_(events),
      epoll_(::epoll_create1(EPOLL_CLOEXEC)),
      clients_(count) {
  if (epoll_ < 0) DieErrno("epoll_create1");
}

void Clients::Ask(size_t index) {
  Client& client = clients_[index];
  if (client.state != State::kFree) Die("a client asks twice");
  ++busy_;
  client.state = State::kConnecting;
  if (client.fd < 0 && !Connect(index)) return Free(index, false);
  Send(index);
}

bool Clients::Connect(size_t index) {
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) DieErrno("socket");
  clients_[index].fd = fd;
  const int on = 1;
  ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
  // The port is chosen by connect(2), which knows the other end.
  ::setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof(on));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK + 1 + next_source_);
  next_source_ = (next_source_ + 1) % kSourceAddresses;
  const auto* const name = reinterpret_cast<const sockaddr*>(&address);
  if (::bind(fd, name, sizeof(address)) != 0) DieErrno("bind");
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(port_);
  if (::connect(fd, name, sizeof(address)) != 0 && errno != EINPROGRESS) return false;
  Register(index, EPOLL_CTL_ADD, EPOLLIN);
  return true;
}

// Loopback connects within connect(2), unless the server's backlog is full.
void Clients::Send(size_t index) {
  Client& client = clients_[index];
  const ssize_t sent = ::send(client.fd, request_.data(), request_.size(), MSG_NOSIGNAL);
  if (sent == static_cast<ssize_t>(request_.size())) {
    client.state = State::kAsked;
  } else if (sent < 0 && errno == EAGAIN) {
    Register(index, EPOLL_CTL_MOD, EPOLLIN | EPOLLOUT);
  } else {
    Free(index, false);
  }
}

bool Clients::Poll(int timeout_ms) {
  std::array<epoll_event, kEventsPerPoll> ready;
  const int count = ::epoll_wait(epoll_, ready.data(), kEventsPerPoll, timeout_ms);
  if (count < 0 && errno != EINTR) DieErrno("epoll_wait");
  for (int i = 0; i < count; ++i) {
    const epoll_event& event = ready[static_cast<size_t>(i)];
    const size_t index = event.data.u64;
    if (clients_[index].state == State::kConnecting && (event.events & EPOLLOUT) != 0 &&
        (event.events & (EPOLLERR | EPOLLHUP)) == 0) {
      Register(index, EPOLL_CTL_MOD, EPOLLIN);
      Send(index);
    } else {
      Receive(index);
    }
  }
  return count > 0;
}

void Clients::Receive(size_t index) {
  Client& client = clients_[index];
  std::array<char, 4096> buffer;
  const ssize_t received = ::recv(client.fd, buffer.data(), buffer.size(), 0);
  if (received < 0 && errno == EAGAIN) return;
  if (received <= 0) return OnEndOfFile(index);
  client.received.append(buffer.data(), static_cast<size_t>(received));
  const size_t bytes = HelloReplyBytes(client.received);
  if (bytes == 0) return;
  if (client.state != State::kAsked) Die("a reply came to no request");
  if (client.received.size() > bytes) Die("bytes came behind the reply");
  client.received.clear();
  events_.OnReply(index);
  if (keep_) return Free(index, true);
  client.state = State::kEnding;
}

// Or a reset.
void Clients::OnEndOfFile(size_t index) {
  Client& client = clients_[index];
  const State state = client.state;
  Close(client);
  if (state != State::kFree) Free(index, state == State::kEnding);
}

void Clients::Free(size_t index, bool answered) {
  Client& client = clients_[index];
  if (!keep_ || !answered) Close(client);
  client.state = State::kFree;
  --busy_;
  events_.OnFree(index, answered);
}

void Clients::Register(size_t index, int operation, uint32_t events) {
  epoll_event event{};
  event.events = events;
  event.data.u64 = index;
  if (::epoll_ctl(epoll_, operation, clients_[index].fd, &event) != 0) DieErrno("epoll_ctl");
}

void Clients::Close(Client& client) {
  if (client.fd >= 0) ::close(std::exchange(client.fd, -1));
  client.received.clear();
}

}  // namespace quintet::bench
