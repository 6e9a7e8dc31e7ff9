// Stands between a client and a server and counts the bytes, to do something at an exact one.
#ifndef QUINTET_TESTS_SUPPORT_TCP_RELAY_H_
#define QUINTET_TESTS_SUPPORT_TCP_RELAY_H_

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <list>
#include <string>
#include <thread>

#include "net/address.h"
#include "tests/support/descriptors.h"
#include "tests/support/peers.h"

namespace quintet::testing {

// Forwards every connection to one server, on a thread of its own, until destroyed.
class TcpRelay {
 public:
  enum Direction { kToServer, kToClient };

  // What happens when so many bytes of a direction, of all connections together, were forwarded and
  // not one more.
  struct Point {
    Direction direction = kToServer;
    uint64_t bytes = 0;  // above 0
    // On the relay's thread. True: forwarding goes on. False: all connections are closed, on both
    // sides, and new ones at once.
    std::function<bool()> action;
  };

  // `target` serves on TCP. Without a point it forwards everything.
  explicit TcpRelay(const Address& target) : TcpRelay(target, {}) {}
  TcpRelay(const Address& target, Point point);
  ~TcpRelay();
  TcpRelay(const TcpRelay&) = delete;
  TcpRelay& operator=(const TcpRelay&) = delete;

  // "127.0.0.1:PORT".
  std::string address() const;
  uint64_t forwarded(Direction direction) const { return forwarded_[direction]; }
  // The point was reached.
  bool reached() const { return reached_; }

 private:
  // One direction of one connection.
  struct Stream {
    Direction direction;
    std::string waiting;       // was read, and is not yet written
    bool end_of_file = false;  // of the source
    bool ended = false;        // and the destination was told
  };
  struct Link {
    std::array<Fd, 2> ends;  // by the direction in which they are written to
    std::array<Stream, 2> streams;
  };

  void Run();
  void Accept();
  // False when the link is over.
  bool Move(Link& link, Stream& stream);
  bool Read(Link& link, Stream& stream);
  bool Write(Link& link, Stream& stream);
  void CheckPoint(Direction direction);

  const Address target_;
  const Point point_;
  const TestListener listener_;
  std::list<Link> links_;
  std::array<uint64_t, 2> taken_ = {};  // read, and perhaps not yet forwarded
  std::array<std::atomic<uint64_t>, 2> forwarded_ = {};
  std::atomic<bool> reached_ = false;
  bool closed_ = false;  // by the point
  std::atomic<bool> stop_ = false;
  std::thread thread_;
};

}  // namespace quintet::testing

#endif  // QUINTET_TESTS_SUPPORT_TCP_RELAY_H_
