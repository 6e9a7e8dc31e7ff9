// The far end of a simulated connection, for a test to script.
#ifndef QUINTET_REACTOR_SIM_SIM_PEER_H_
#define QUINTET_REACTOR_SIM_SIM_PEER_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "reactor/sim/sim_network.h"

namespace quintet {

// What a client or a server on the other side does and sees. It reads all that comes, unless told
// otherwise, and acts in virtual time. Destroying it closes its end.
class SimPeer final : private SimNetwork::Listener {
 public:
  explicit SimPeer(SimNetwork& network) : network_(network) {}
  // On one end of SimNetwork::CreatePair().
  SimPeer(SimNetwork& network, int fd);
  ~SimPeer();
  SimPeer(const SimPeer&) = delete;
  SimPeer& operator=(const SimPeer&) = delete;

  // Once one of the two. AcceptOn() takes the first connection that comes to the port.
  void Connect(uint16_t port);
  void AcceptOn(uint16_t port);

  // Sends as fast as the other end reads; before it is connected, once it is.
  void Send(std::string_view bytes);
  // FIN behind what Send() was given.
  void ShutdownSend();
  void Reset();
  // As close(2): reset if there is unread input, else FIN; what is unsent is dropped.
  void Close();

  void StopReading() { reading_ = false; }
  void StartReading();

  // Calls back with what was read, after it was appended to received().
  void set_on_receive(std::function<void(std::string_view bytes)> on_receive) {
    on_receive_ = std::move(on_receive);
  }

  bool connected() const { return connected_; }
  bool refused() const { return refused_; }
  bool closed() const { return fd_ < 0; }  // by this end
  const std::string& received() const { return received_; }
  size_t unsent() const { return outbox_.size(); }
  bool saw_fin() const { return saw_fin_; }
  bool saw_reset() const { return saw_reset_; }

 private:
  void OnSocketEvent(int fd) override;
  void Attach(int fd);
  void Read();
  void Flush();

  SimNetwork& network_;
  int fd_ = -1;
  int listening_fd_ = -1;
  bool reading_ = true;
  bool connected_ = false;
  bool refused_ = false;
  bool shutdown_asked_ = false;
  bool saw_fin_ = false;
  bool saw_reset_ = false;
  std::string outbox_;
  std::string received_;
  std::function<void(std::string_view)> on_receive_;
};

}  // namespace quintet

#endif  // QUINTET_REACTOR_SIM_SIM_PEER_H_
