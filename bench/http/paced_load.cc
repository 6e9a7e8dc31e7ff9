// Asks for / at a fixed rate and measures how long replies take: the open model.
//
// A closed generator (wrk, and h2load too, also with --rps: a client whose reply is late holds its
// next requests back, and h2load's log takes the time of a request from when it was sent) asks less
// often while the server stalls, so that the requests which would have waited longest are never
// made or are timed from too late. That is coordinated omission. Here every request has a due time
// that was fixed before the run, and its latency is counted from then, also while it waits in this
// program because its connection is still busy with the one before.
//
// Gaps between due times are exponential, as of many independent users, from a fixed seed: every
// server gets the same schedule. Requests go to the connections in turn. Every reply is verified.
// The program never sleeps, so it needs a core of its own; how late it was itself is told.
//
// usage: paced_load PORT CONNECTIONS RATE SECONDS
// Prints one JSON object, latencies in microseconds, or null when replies were still missing two
// seconds after the last request was due. Exit code 1 when a reply was wrong.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <deque>
#include <string>
#include <string_view>
#include <vector>

#include "bench/harness/load.h"

namespace quintet::bench {
namespace {

constexpr int kEventsPerPoll = 256;

struct Arguments {
  uint16_t port;
  size_t connections;
  double rate;  // requests per second, of all connections together
  double seconds;
};

struct Connection {
  int fd = -1;
  bool busy = false;
  Clock::time_point due;                  // of the request under way
  std::deque<Clock::time_point> waiting;  // due times of those behind it
  std::string received;
};

class Generator {
 public:
  explicit Generator(const Arguments& arguments)
      : arguments_(arguments),
        request_("GET / HTTP/1.1\r\nHost: 127.0.0.1:" + std::to_string(arguments.port) +
                 "\r\n\r\n"),
        epoll_(::epoll_create1(EPOLL_CLOEXEC)),
        connections_(arguments.connections) {
    if (epoll_ < 0) DieErrno("epoll_create1");
    for (size_t i = 0; i < connections_.size(); ++i) Connect(i);
  }

  // False when the server did not keep up with the rate.
  bool Run() {
    const Clock::time_point start = Clock::now();
    count_from_ = start + Seconds(arguments_.seconds * kWarmUpShare);
    const Clock::time_point end = start + Seconds(arguments_.seconds);
    const auto expected = static_cast<size_t>(arguments_.rate * arguments_.seconds * 1.1) + 64;
    latencies_.Reserve(expected);
    lags_.Reserve(expected);

    DueTimes due_times(arguments_.rate, start);
    Clock::time_point due = due_times.due();
    size_t next = 0;
    for (;;) {
      const Clock::time_point now = Clock::now();
      while (due <= now && due < end) {
        Issue(connections_[next], due, now);
        next = next + 1 == connections_.size() ? 0 : next + 1;
        due_times.Next();
        due = due_times.due();
      }
      if (due >= end && outstanding_ == 0) return true;
      if (now > end + kGrace) return false;
      Poll();
    }
  }

  void Print() {
    if (latencies_.empty()) Die("no request was due: the rate is too low for the time");
    std::printf(
        "{\"requests\": %zu, \"p50\": %.1f, \"p90\": %.1f, \"p99\": %.1f, \"p99_9\": %.1f, "
        "\"max\": %.1f, \"lag_p99\": %.1f, \"held_back\": %zu}\n",
        latencies_.size(), latencies_.Quantile(0.5), latencies_.Quantile(0.9),
        latencies_.Quantile(0.99), latencies_.Quantile(0.999), latencies_.Quantile(1),
        lags_.Quantile(0.99), held_back_);
  }

 private:
  void Connect(size_t index) {
    const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0) DieErrno("socket");
    const int on = 1;
    ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(arguments_.port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (::connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof(address)) != 0) {
      DieErrno("connect");
    }
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.u64 = index;
    if (::epoll_ctl(epoll_, EPOLL_CTL_ADD, fd, &event) != 0) DieErrno("epoll_ctl");
    connections_[index].fd = fd;
  }

  void Issue(Connection& connection, Clock::time_point due, Clock::time_point now) {
    ++outstanding_;
    if (connection.busy) {
      ++held_back_;
      connection.waiting.push_back(due);
      return;
    }
    // This program's own delay. It is part of the latency too: what is shown is never too good.
    if (due >= count_from_) lags_.Add(now - due);
    Send(connection, due);
  }

  void Send(Connection& connection, Clock::time_point due) {
    connection.busy = true;
    connection.due = due;
    const ssize_t sent = ::send(connection.fd, request_.data(), request_.size(), MSG_NOSIGNAL);
    if (sent != static_cast<ssize_t>(request_.size())) DieErrno("send");
  }

  void Poll() {
    std::array<epoll_event, kEventsPerPoll> events;
    const int count = ::epoll_wait(epoll_, events.data(), kEventsPerPoll, 0);
    if (count < 0) DieErrno("epoll_wait");
    for (int i = 0; i < count; ++i) Receive(connections_[events[static_cast<size_t>(i)].data.u64]);
  }

  void Receive(Connection& connection) {
    std::array<char, 4096> buffer;
    const ssize_t received = ::recv(connection.fd, buffer.data(), buffer.size(), MSG_DONTWAIT);
    if (received < 0) DieErrno("recv");
    if (received == 0) Die("the server closed a connection");
    connection.received.append(buffer.data(), static_cast<size_t>(received));
    const size_t bytes = HelloReplyBytes(connection.received);
    if (bytes == 0) return;
    if (!connection.busy) Die("a reply came to no request");
    connection.received.erase(0, bytes);
    if (connection.due >= count_from_) latencies_.Add(Clock::now() - connection.due);
    connection.busy = false;
    --outstanding_;
    if (connection.waiting.empty()) return;
    const Clock::time_point due = connection.waiting.front();
    connection.waiting.pop_front();
    Send(connection, due);
  }

  const Arguments arguments_;
  const std::string request_;
  const int epoll_;
  std::vector<Connection> connections_;
  Clock::time_point count_from_;
  size_t outstanding_ = 0;
  size_t held_back_ = 0;  // requests that found their connection busy
  Durations latencies_;
  Durations lags_;
};

Arguments Parse(int argc, char** argv) {
  if (argc != 5) {
    std::fprintf(stderr, "usage: %s PORT CONNECTIONS RATE SECONDS\n", argv[0]);
    std::exit(2);
  }
  const Arguments arguments = {
      .port = static_cast<uint16_t>(std::atoi(argv[1])),
      .connections = static_cast<size_t>(std::atoi(argv[2])),
      .rate = std::atof(argv[3]),
      .seconds = std::atof(argv[4]),
  };
  if (arguments.connections == 0 || arguments.rate <= 0 || arguments.seconds <= 0) {
    Die("connections, rate and seconds must be above 0");
  }
  return arguments;
}

}  // namespace
}  // namespace quintet::bench

int main(int argc, char** argv) {
  quintet::bench::Generator generator(quintet::bench::Parse(argc, argv));
  if (generator.Run()) {
    generator.Print();
  } else {
    std::puts("null");
  }
}
