// A simulated kernel's sockets and the wires between them.
#ifndef QUINTET_REACTOR_SIM_SIM_NETWORK_H_
#define QUINTET_REACTOR_SIM_SIM_NETWORK_H_

#include <sys/socket.h>

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <utility>

#include "reactor/clock.h"
#include "reactor/sim/sim_clock.h"
#include "reactor/sim/sim_events.h"
#include "reactor/sim/sim_options.h"
#include "reactor/sim/sim_random.h"

namespace quintet {

// Sockets with the manners of non-blocking TCP: bytes arrive in order after a latency, a full
// window gives EAGAIN, FIN comes behind the bytes, closing with unread input or sending to a closed
// end brings RST, and RST takes unread input with it.
//
// Descriptors are made-up numbers far above any that a kernel gives out, so that close(2) on one
// does nothing. An accepted one that nobody adopts therefore stays open until Close() is called.
//
// Everything happens in virtual time, inside Wait() of a SimBackend or Run() here. Outlives the
// backends and peers on it. Not thread-safe.
class SimNetwork {
 public:
  static constexpr int kFirstFd = 1'500'000'000;

  // Whoever acts on a socket: told that it may be worth another try. Called from events only.
  class Listener {
   public:
    virtual void OnSocketEvent(int fd) = 0;

   protected:
    ~Listener() = default;
  };

  explicit SimNetwork(SimOptions options = {});
  SimNetwork(const SimNetwork&) = delete;
  SimNetwork& operator=(const SimNetwork&) = delete;

  SimClock& clock() { return clock_; }
  TimePoint Now() { return clock_.Now(); }
  SimRandom& random() { return random_; }
  SimEvents& events() { return events_; }
  const SimOptions& options() const { return options_; }
  // Faults and limits may be changed while the simulation runs.
  SimOptions& mutable_options() { return options_; }

  // Calls `action` at a time, or after a delay.
  void At(TimePoint when, std::function<void()> action) { events_.At(when, std::move(action)); }
  void After(Duration delay, std::function<void()> action) {
    events_.At(AddSaturated(Now(), delay), std::move(action));
  }

  // Sockets. Errors are -errno, as of the system calls of the same name.
  int CreateSocket();
  // On 127.0.0.1 and `port`, or on any address.
  int Listen(uint16_t port);
  int Listen(const sockaddr* address, socklen_t length);
  // -EINPROGRESS; Connected() tells later.
  void Connect(int fd, const sockaddr* address, socklen_t length);
  void Connect(int fd, uint16_t port);
  // Two sockets that are connected with one another.
  std::pair<int, int> CreatePair();
  // 0: in progress, 1: connected, or -errno.
  int Connected(int fd) const;
  int Accept(int fd);
  int Send(int fd, std::string_view bytes);
  int Recv(int fd, char* data, size_t size);
  // Whether Accept() or Recv() would bring something else than -EAGAIN.
  bool Readable(int fd) const;
  void ShutdownSend(int fd);
  void Close(int fd, bool reset);
  // Both ends find the connection reset.
  void Break(int fd);
  bool IsOpen(int fd) const { return sockets_.contains(fd); }
  bool IsListening(int fd) const;
  // At most one, which must take itself away before it goes.
  void set_listener(int fd, Listener* listener);

  // Connects to this port of 127.0.0.1 get no answer.
  void MakeBlackHole(uint16_t port);

  size_t open_sockets() const { return sockets_.size(); }

  // Writes down that something happened. `what` is a literal.
  void Note(const char* what, int fd, int64_t value);
  // A fingerprint of all notes so far and their times.
  uint64_t trace_hash() const { return trace_hash_; }
  // Calls `sink` with a line for each note from here on.
  void set_trace(std::function<void(std::string_view line)> sink) { trace_ = std::move(sink); }

 private:
  enum class State { kFresh, kListening, kConnecting, kConnected, kBroken };
  struct Socket {
    State state = State::kFresh;
    int other = -1;  // the far end; it may have been closed
    int error = 0;   // to be reported, once
    bool fin_arrived = false;
    bool send_shut_down = false;
    size_t incoming = 0;       // bytes on their way here
    TimePoint last_arrival{};  // of what was sent to this end: nothing overtakes it
    std::string inbox;
    size_t inbox_read = 0;
    std::string address;  // of a listening socket
    std::deque<int> backlog;
    Listener* listener = nullptr;

    size_t unread() const { return inbox.size() - inbox_read; }
  };

  Socket& Get(int fd);
  Socket* Find(int fd);
  void Tell(int fd);
  // Runs `arrival` when what is sent to `fd` now gets there.
  void Deliver(int fd, std::function<void()> arrival);
  void DeliverReset(int fd);
  void ArriveReset(int fd);
  void FinishConnect(int fd, const std::string& address);

  SimOptions options_;
  SimClock clock_;
  SimRandom random_;
  SimEvents events_;
  std::map<int, Socket> sockets_;
  std::map<std::string, int> listening_;
  std::set<std::string> black_holes_;
  int next_fd_ = kFirstFd;
  uint64_t trace_hash_ = 0xcbf29ce484222325;
  std::function<void(std::string_view)> trace_;
};

}  // namespace quintet

#endif  // QUINTET_REACTOR_SIM_SIM_NETWORK_H_
