// The clients of ./dev bench models: each asks, waits for the reply, and may ask again.
#ifndef QUINTET_BENCH_MODELS_CLIENTS_H_
#define QUINTET_BENCH_MODELS_CLIENTS_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace quintet::bench {

// The states of a client, all on one thread and one epoll set:
//
//   state       meaning                                      next
//   ----------  -------------------------------------------  --------------------------------
//   Free        no request; connected only if that stays     Connecting (Ask())
//   Connecting  the request is not sent yet                  Asked, Free (failed)
//   Asked       the request is sent                          Free (reply, or failed), Ending
//   Ending      the reply is there, the end of file is not   Free
//
// Every reply is verified, and a wrong one ends the program. Failing to connect, a reset and an end
// of file before the reply are no errors of the program: they are counted as failures.
class Clients {
 public:
  class Events {
   public:
    virtual ~Events() = default;
    virtual void OnReply(size_t client) = 0;
    // The client may ask again, also from within; `answered`: there was a reply.
    virtual void OnFree(size_t client, bool answered) = 0;
  };

  // `keep`: one connection for all requests of a client, else one for each request, which says
  // Connection: close. `events` must outlive it.
  Clients(uint16_t port, size_t count, bool keep, Events& events);
  Clients(const Clients&) = delete;
  Clients& operator=(const Clients&) = delete;

  size_t count() const { return clients_.size(); }
  bool free(size_t client) const { return clients_[client].state == State::kFree; }
  // Clients that are not free.
  size_t busy() const { return busy_; }

  // A free client sends a request, on a new connection where it has none. OnFree() may come from
  // within, for a failure.
  void Ask(size_t client);

  // Waits at most so long for something to happen, and handles it. False: nothing did.
  bool Poll(int timeout_ms);

 private:
  enum class State : uint8_t { kFree, kConnecting, kAsked, kEnding };
  struct Client {
    int fd = -1;
    State state = State::kFree;
    std::string received;
  };

  bool Connect(size_t index);
  void Send(size_t index);
  void Receive(size_t index);
  void OnEndOfFile(size_t index);
  void Free(size_t index, bool answered);
  void Register(size_t index, int operation, uint32_t events);
  static void Close(Client& client);

  const uint16_t port_;
  const bool keep_;
  const std::string request_;
  Events& events_;
  const int epoll_;
  uint32_t next_source_ = 0;
  size_t busy_ = 0;
  std::vector<Client> clients_;
};

}  // namespace quintet::bench

#endif  // QUINTET_BENCH_MODELS_CLIENTS_H_
