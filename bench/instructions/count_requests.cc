// Serves a fixed number of hello requests with callgrind counting the server's part and nothing
// else. What counts is single-threaded and in lockstep, so that two runs count the same: all
// clients send, the loop turns until every reply is with the kernel, all clients read.
//
// usage: count_requests PATH CONNECTIONS PIPELINED ROUNDS [varied]
//   PATH    a backend: loop, connection and HTTP as in the hello server, over TCP on 127.0.0.1;
//           or "session": HTTP alone, over a transport that keeps nothing
//   varied  no request has the head of the one before it, nor of the one before it on its
//           connection; all are equally long. Without, all are equal, and the server does not read
//           them again.
// Prints how many requests were served while callgrind counted. For callgrind, run it with
// --tool=callgrind --collect-atstart=no; without, it only serves.
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>
#include <valgrind/callgrind.h>

#include <algorithm>
#include <charconv>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "apps/hello/hello_service.h"
#include "net/connection_group.h"
#include "net/socket.h"
#include "reactor/event_loop.h"
#include "tests/support/sink_transport.h"

namespace quintet::bench {
namespace {

constexpr std::string_view kRequest =
    "GET / HTTP/1.1\r\nHost: 127.0.0.1:8080\r\nUser-Agent: h2load nghttp2/1.52.0\r\n\r\n";
// Where a varied request has its number, in as many digits.
constexpr std::string_view kVariedPart = "1.52.0";
constexpr size_t kWarmUpRounds = 20;

struct Load {
  size_t connections;
  size_t pipelined;
  size_t rounds;
  bool varied;
};

[[noreturn]] void Die(std::string_view what) {
  std::fprintf(stderr, "count_requests: %.*s\n", static_cast<int>(what.size()), what.data());
  std::exit(1);
}

void Check(bool ok, std::string_view what) {
  if (!ok) Die(what);
}

// What clients send, each in its turn: `pipelined` requests at a time.
class Arrivals {
 public:
  explicit Arrivals(const Load& load) {
    // Two rounds of them, so that a connection does not get the same twice running.
    texts_.resize(load.varied ? 2 * load.connections : 1);
    size_t number = 0;
    for (std::string& text : texts_) {
      for (size_t i = 0; i < load.pipelined; ++i) {
        text += load.varied ? Numbered(number++) : std::string(kRequest);
      }
    }
  }

  const std::string& Next() {
    const std::string& text = texts_[next_];
    next_ = next_ + 1 == texts_.size() ? 0 : next_ + 1;
    return text;
  }

 private:
  static std::string Numbered(size_t number) {
    const std::string digits = std::to_string(number);
    Check(digits.size() <= kVariedPart.size(), "too many different requests");
    std::string request(kRequest);
    const std::string padded = std::string(kVariedPart.size() - digits.size(), '0') + digits;
    return request.replace(request.find(kVariedPart), kVariedPart.size(), padded);
  }

  std::vector<std::string> texts_;
  size_t next_ = 0;
};

void CountSession(SessionFactory& sessions, const Load& load) {
  std::vector<std::unique_ptr<testing::SinkTransport>> transports;
  for (size_t i = 0; i < load.connections; ++i) {
    transports.push_back(std::make_unique<testing::SinkTransport>(sessions.CreateSession()));
  }
  Arrivals arrivals(load);
  for (size_t round = 0; round < kWarmUpRounds + load.rounds; ++round) {
    if (round == kWarmUpRounds) CALLGRIND_TOGGLE_COLLECT;
    for (auto& transport : transports) transport->Feed(arrivals.Next());
  }
  CALLGRIND_TOGGLE_COLLECT;
  Check(transports.back()->written() > 0, "the session does not answer");
}

// The client's ends of TCP connections whose other ends were given to `group`.
std::vector<int> Connect(ConnectionGroup& group, SessionFactory& sessions, size_t connections) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  auto* const name = reinterpret_cast<sockaddr*>(&address);
  socklen_t length = sizeof(address);
  const int listener = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  Check(::bind(listener, name, length) == 0 && ::listen(listener, 16) == 0 &&
            ::getsockname(listener, name, &length) == 0,
        "listen");
  std::vector<int> clients;
  for (size_t i = 0; i < connections; ++i) {
    const int client = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    Check(::connect(client, name, length) == 0, "connect");
    const int fd = ::accept4(listener, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
    Check(fd >= 0 && group.Adopt(Socket(fd), sessions.CreateSession()).ok(), "accept");
    clients.push_back(client);
  }
  ::close(listener);
  return clients;
}

class Lockstep {
 public:
  Lockstep(BackendKind kind, SessionFactory& sessions, const Load& load) : arrivals_(load) {
    EventLoopOptions options;
    options.backend.kind = kind;
    auto loop = EventLoop::Create(std::move(options));
    if (!loop.ok()) Die(loop.status().ToString());
    loop_ = *std::move(loop);
    group_ = std::make_unique<ConnectionGroup>(*loop_, ConnectionOptions());
    clients_ = Connect(*group_, sessions, load.connections);
    FindReplyBytes(load.pipelined);
  }
  ~Lockstep() {
    for (const int client : clients_) ::close(client);
  }
  Lockstep(const Lockstep&) = delete;
  Lockstep& operator=(const Lockstep&) = delete;

  void Round(bool count) {
    const uint64_t target = sent_bytes() + clients_.size() * reply_bytes_;
    for (const int client : clients_) Send(client);
    if (count) CALLGRIND_TOGGLE_COLLECT;
    // Without waiting: everything is there, and io_uring tells of replies when a wait ends.
    while (sent_bytes() < target) loop_->RunOnce(Duration::zero());
    if (count) CALLGRIND_TOGGLE_COLLECT;
    for (const int client : clients_) Receive(client, reply_bytes_);
  }

 private:
  uint64_t sent_bytes() const { return group_->counters().bytes_out; }

  void Send(int client) {
    const std::string& requests = arrivals_.Next();
    Check(::send(client, requests.data(), requests.size(), MSG_NOSIGNAL) ==
              static_cast<ssize_t>(requests.size()),
          "send");
  }

  std::string Receive(int client, size_t bytes) {
    std::string reply(bytes, '\0');
    Check(::recv(client, reply.data(), bytes, MSG_WAITALL) == static_cast<ssize_t>(bytes), "recv");
    return reply;
  }

  // From one round of the first client's.
  void FindReplyBytes(size_t pipelined) {
    Send(clients_.front());
    while (loop_->RunOnce(std::chrono::milliseconds(50))) {
    }
    reply_bytes_ = sent_bytes();
    const std::string reply = Receive(clients_.front(), reply_bytes_);
    Check(reply.starts_with("HTTP/1.1 200 OK\r\n") && reply.ends_with("Hello, World!") &&
              reply_bytes_ % pipelined == 0,
          "this is not the answer");
  }

  Arrivals arrivals_;
  std::unique_ptr<EventLoop> loop_;
  std::unique_ptr<ConnectionGroup> group_;
  std::vector<int> clients_;
  size_t reply_bytes_ = 0;
};

void CountBackend(BackendKind kind, SessionFactory& sessions, const Load& load) {
  Lockstep lockstep(kind, sessions, load);
  for (size_t i = 0; i < kWarmUpRounds; ++i) lockstep.Round(/*count=*/false);
  for (size_t i = 0; i < load.rounds; ++i) lockstep.Round(/*count=*/true);
}

size_t ParseCount(std::string_view text) {
  size_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  Check(error == std::errc() && end == text.data() + text.size() && value > 0,
        "CONNECTIONS, PIPELINED and ROUNDS are numbers above 0");
  return value;
}

void Main(std::string_view path, const Load& load) {
  const auto sessions = hello::CreateHelloService({});
  if (!sessions.ok()) Die(sessions.status().ToString());
  if (path == "session") {
    CountSession(**sessions, load);
  } else {
    const auto kind = ParseBackendKind(path);
    Check(kind.has_value() && *kind != BackendKind::kAuto, "PATH is session or a backend");
    CountBackend(*kind, **sessions, load);
  }
  std::printf("%zu\n", load.connections * load.pipelined * load.rounds);
}

}  // namespace
}  // namespace quintet::bench

int main(int argc, char** argv) {
  using quintet::bench::ParseCount;
  const bool varied = argc == 6 && std::string_view(argv[5]) == "varied";
  quintet::bench::Check(argc == 5 || varied,
                        "usage: count_requests PATH CONNECTIONS PIPELINED ROUNDS [varied]");
  quintet::bench::Main(argv[1], {.connections = ParseCount(argv[2]),
                                 .pipelined = ParseCount(argv[3]),
                                 .rounds = ParseCount(argv[4]),
                                 .varied = varied});
}
