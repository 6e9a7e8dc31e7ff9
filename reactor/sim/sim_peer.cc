#include "reactor/sim/sim_peer.h"

#include <errno.h>

#include <array>

namespace quintet {

SimPeer::SimPeer(SimNetwork& network, int fd) : network_(network), connected_(true) { Attach(fd); }

SimPeer::~SimPeer() {
  Close();
  if (listening_fd_ >= 0) network_.Close(listening_fd_, /*reset=*/false);
}

void SimPeer::Attach(int fd) {
  fd_ = fd;
  network_.set_listener(fd, this);
}

void SimPeer::Connect(uint16_t port) {
  Attach(network_.CreateSocket());
  network_.Connect(fd_, port);
}

void SimPeer::AcceptOn(uint16_t port) {
  listening_fd_ = network_.Listen(port);
  network_.set_listener(listening_fd_, this);
}

void SimPeer::OnSocketEvent(int fd) {
  if (fd == listening_fd_) {
    const int accepted = fd_ < 0 ? network_.Accept(fd) : -EAGAIN;
    if (accepted < 0) return;
    Attach(accepted);
  }
  if (!connected_) {
    const int result = network_.Connected(fd_);
    if (result == 0) return;
    if (result < 0) {
      refused_ = true;
      return;
    }
    connected_ = true;
  }
  Flush();
  Read();
}

void SimPeer::Read() {
  std::array<char, 4096> buffer;
  while (reading_ && fd_ >= 0 && connected_ && !saw_fin_ && !saw_reset_) {
    const int bytes = network_.Recv(fd_, buffer.data(), buffer.size());
    if (bytes == -EAGAIN) return;
    if (bytes <= 0) {
      (bytes == 0 ? saw_fin_ : saw_reset_) = true;
      return;
    }
    const std::string_view data(buffer.data(), static_cast<size_t>(bytes));
    received_ += data;
    if (on_receive_) on_receive_(data);
  }
}

void SimPeer::Flush() {
  if (fd_ < 0 || !connected_ || saw_reset_) return;
  while (!outbox_.empty()) {
    const int sent = network_.Send(fd_, outbox_);
    if (sent == -EAGAIN) return;
    if (sent < 0) {
      if (sent == -ECONNRESET) saw_reset_ = true;
      outbox_.clear();
      return;
    }
    outbox_.erase(0, static_cast<size_t>(sent));
  }
  if (shutdown_asked_) network_.ShutdownSend(fd_);
}

void SimPeer::Send(std::string_view bytes) {
  if (shutdown_asked_ || saw_reset_) return;
  outbox_ += bytes;
  Flush();
}

void SimPeer::ShutdownSend() {
  shutdown_asked_ = true;
  Flush();
}

void SimPeer::StartReading() {
  reading_ = true;
  Read();
}

void SimPeer::Reset() {
  if (fd_ >= 0) network_.Close(std::exchange(fd_, -1), /*reset=*/true);
}

void SimPeer::Close() {
  if (fd_ >= 0) network_.Close(std::exchange(fd_, -1), /*reset=*/false);
}

}  // namespace quintet
