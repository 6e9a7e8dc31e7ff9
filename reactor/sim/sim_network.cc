#include "reactor/sim/sim_network.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "absl/strings/str_cat.h"

namespace quintet {
namespace {

// listen(2): connections that nobody has accepted yet.
constexpr size_t kBacklog = 4096;

sockaddr_in Loopback(uint16_t port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return address;
}

std::string ToKey(const sockaddr* address, socklen_t length) {
  return std::string(reinterpret_cast<const char*>(address), length);
}

std::string ToKey(uint16_t port) {
  const sockaddr_in address = Loopback(port);
  return ToKey(reinterpret_cast<const sockaddr*>(&address), sizeof(address));
}

}  // namespace

SimNetwork::SimNetwork(SimOptions options) : options_(std::move(options)), random_(options_.seed) {}

SimNetwork::Socket& SimNetwork::Get(int fd) {
  const auto it = sockets_.find(fd);
  if (it == sockets_.end()) {
    std::fprintf(stderr, "quintet: simulated descriptor %d is not open\n", fd);
    std::abort();
  }
  return it->second;
}

SimNetwork::Socket* SimNetwork::Find(int fd) {
  const auto it = sockets_.find(fd);
  return it == sockets_.end() ? nullptr : &it->second;
}

void SimNetwork::Tell(int fd) {
  const Socket* socket = Find(fd);
  if (socket != nullptr && socket->listener != nullptr) socket->listener->OnSocketEvent(fd);
}

void SimNetwork::set_listener(int fd, Listener* listener) { Get(fd).listener = listener; }

int SimNetwork::CreateSocket() {
  sockets_[next_fd_];
  return next_fd_++;
}

int SimNetwork::Listen(uint16_t port) {
  const sockaddr_in address = Loopback(port);
  return Listen(reinterpret_cast<const sockaddr*>(&address), sizeof(address));
}

int SimNetwork::Listen(const sockaddr* address, socklen_t length) {
  const std::string key = ToKey(address, length);
  if (listening_.contains(key)) return -EADDRINUSE;
  const int fd = CreateSocket();
  Get(fd).state = State::kListening;
  Get(fd).address = key;
  listening_[key] = fd;
  return fd;
}

bool SimNetwork::IsListening(int fd) const {
  const auto it = sockets_.find(fd);
  return it != sockets_.end() && it->second.state == State::kListening;
}

void SimNetwork::MakeBlackHole(uint16_t port) { black_holes_.insert(ToKey(port)); }

void SimNetwork::Connect(int fd, uint16_t port) {
  const sockaddr_in address = Loopback(port);
  Connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof(address));
}

void SimNetwork::Connect(int fd, const sockaddr* address, socklen_t length) {
  Get(fd).state = State::kConnecting;
  const std::string key = ToKey(address, length);
  if (black_holes_.contains(key)) return;
  After(2 * options_.latency, [this, fd, key] { FinishConnect(fd, key); });
}

void SimNetwork::FinishConnect(int fd, const std::string& address) {
  Socket* socket = Find(fd);
  if (socket == nullptr || socket->state != State::kConnecting) return;
  const auto it = listening_.find(address);
  if (it == listening_.end() || Get(it->second).backlog.size() >= kBacklog ||
      random_.Chance(options_.faults.connect_refused)) {
    socket->state = State::kBroken;
    socket->error = ECONNREFUSED;
    Note("refused", fd, 0);
  } else {
    const int accepted = CreateSocket();
    socket = Find(fd);
    Socket& far = Get(accepted);
    far.state = socket->state = State::kConnected;
    far.other = fd;
    socket->other = accepted;
    Get(it->second).backlog.push_back(accepted);
    Note("connected", fd, accepted);
    Tell(it->second);
  }
  Tell(fd);
}

std::pair<int, int> SimNetwork::CreatePair() {
  const int a = CreateSocket();
  const int b = CreateSocket();
  Get(a).state = Get(b).state = State::kConnected;
  Get(a).other = b;
  Get(b).other = a;
  return {a, b};
}

int SimNetwork::Connected(int fd) const {
  const Socket& socket = sockets_.at(fd);
  if (socket.state == State::kConnecting) return 0;
  return socket.state == State::kConnected ? 1 : -(socket.error != 0 ? socket.error : ENOTCONN);
}

int SimNetwork::Accept(int fd) {
  Socket& socket = Get(fd);
  if (socket.backlog.empty()) return -EAGAIN;
  const int accepted = socket.backlog.front();
  socket.backlog.pop_front();
  return accepted;
}

// What is sent to one end never overtakes what was sent to it before.
void SimNetwork::Deliver(int fd, std::function<void()> arrival) {
  TimePoint when = AddSaturated(Now(), options_.latency);
  if (options_.jitter > Duration::zero()) {
    when += Duration(random_.Below(static_cast<uint64_t>(options_.jitter.count())));
  }
  if (Socket* socket = Find(fd); socket != nullptr) {
    when = socket->last_arrival = std::max(when, socket->last_arrival);
  }
  events_.At(when, std::move(arrival));
}

int SimNetwork::Send(int fd, std::string_view bytes) {
  Socket& socket = Get(fd);
  if (socket.error != 0) return -std::exchange(socket.error, 0);
  if (socket.state != State::kConnected || socket.send_shut_down) return -EPIPE;
  size_t room = options_.window_bytes;
  if (Socket* far = Find(socket.other); far != nullptr) {
    room -= std::min(room, far->incoming + far->unread());
    bytes = bytes.substr(0, room);
    far->incoming += bytes.size();
  }
  if (bytes.empty()) return -EAGAIN;
  const int to = socket.other;
  Deliver(to, [this, fd, to, data = std::string(bytes)] {
    Socket* far = Find(to);
    if (far == nullptr) {
      DeliverReset(fd);
      return;
    }
    far->incoming -= data.size();
    if (far->state != State::kConnected) return;
    far->inbox += data;
    Tell(to);
  });
  return static_cast<int>(bytes.size());
}

bool SimNetwork::Readable(int fd) const {
  const Socket& socket = sockets_.at(fd);
  if (socket.state == State::kListening) return !socket.backlog.empty();
  return socket.unread() > 0 || socket.fin_arrived || socket.error != 0;
}

int SimNetwork::Recv(int fd, char* data, size_t size) {
  Socket& socket = Get(fd);
  if (socket.unread() > 0) {
    const size_t bytes = std::min(size, socket.unread());
    std::memcpy(data, socket.inbox.data() + socket.inbox_read, bytes);
    socket.inbox_read += bytes;
    if (socket.unread() == 0) {
      socket.inbox.clear();
      socket.inbox_read = 0;
    }
    // The sender learns of the room.
    const int far = socket.other;
    Deliver(far, [this, far] { Tell(far); });
    return static_cast<int>(bytes);
  }
  if (socket.error != 0) return -std::exchange(socket.error, 0);
  if (socket.fin_arrived || socket.state == State::kBroken) return 0;
  return -EAGAIN;
}

void SimNetwork::ShutdownSend(int fd) {
  Socket& socket = Get(fd);
  if (socket.state != State::kConnected || socket.send_shut_down) return;
  socket.send_shut_down = true;
  Deliver(socket.other, [this, to = socket.other] {
    Socket* far = Find(to);
    if (far == nullptr || far->state != State::kConnected) return;
    far->fin_arrived = true;
    Note("fin", to, 0);
    Tell(to);
  });
}

void SimNetwork::DeliverReset(int fd) {
  Deliver(fd, [this, fd] { ArriveReset(fd); });
}

void SimNetwork::ArriveReset(int fd) {
  Socket* socket = Find(fd);
  if (socket == nullptr || socket->state != State::kConnected) return;
  socket->state = State::kBroken;
  socket->error = ECONNRESET;
  socket->fin_arrived = false;
  socket->inbox.clear();
  socket->inbox_read = 0;
  Note("reset", fd, 0);
  Tell(fd);
}

void SimNetwork::Break(int fd) {
  events_.At(Now(), [this, fd, far = Get(fd).other] {
    ArriveReset(fd);
    ArriveReset(far);
  });
}

void SimNetwork::Close(int fd, bool reset) {
  Socket& socket = Get(fd);
  if (socket.state == State::kListening) {
    listening_.erase(socket.address);
    const std::deque<int> backlog = std::move(socket.backlog);
    sockets_.erase(fd);
    for (const int waiting : backlog) Close(waiting, /*reset=*/true);
    return;
  }
  // close(2) with input that nobody has read is a reset too (RFC 2525 section 2.17).
  if (socket.state == State::kConnected) {
    if (reset || socket.unread() > 0) {
      DeliverReset(socket.other);
    } else {
      ShutdownSend(fd);
    }
  }
  Note("close", fd, reset ? 1 : 0);
  sockets_.erase(fd);
}

void SimNetwork::Note(const char* what, int fd, int64_t value) {
  const auto mix = [this](uint64_t word) {
    trace_hash_ = (trace_hash_ ^ word) * 0x100000001b3;
    trace_hash_ ^= trace_hash_ >> 29;
  };
  mix(static_cast<uint64_t>(Now().time_since_epoch().count()));
  for (const char* c = what; *c != '\0'; ++c) mix(static_cast<unsigned char>(*c));
  mix(static_cast<uint64_t>(fd));
  mix(static_cast<uint64_t>(value));
  if (!trace_) return;
  trace_(absl::StrCat(Now().time_since_epoch().count(), " ", what, " ", fd - kFirstFd, " ", value));
}

}  // namespace quintet
