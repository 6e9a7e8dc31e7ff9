// A server on a real backend in a thread of its own, and sessions for it.
#ifndef QUINTET_TESTS_NET_REAL_SERVER_H_
#define QUINTET_TESTS_NET_REAL_SERVER_H_

#include <gtest/gtest.h>

#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <thread>
#include <utility>

#include "net/address.h"
#include "net/server.h"
#include "tests/support/peers.h"

namespace quintet::testing {

// A factory that calls a function, from every shard's thread.
class FunctionFactory final : public SessionFactory {
 public:
  explicit FunctionFactory(std::function<std::unique_ptr<Session>()> make)
      : make_(std::move(make)) {}
  std::unique_ptr<Session> CreateSession() override { return make_(); }

 private:
  std::function<std::unique_ptr<Session>()> make_;
};

// Sends back what comes and finishes what has begun when drained.
class EchoSession : public Session {
 public:
  size_t OnData(std::span<const std::byte> data) override {
    transport().Write({reinterpret_cast<const char*>(data.data()), data.size()});
    return data.size();
  }
};

// Told to drain it still answers whoever was not answered yet, and then closes.
class LastAnswerSession final : public EchoSession {
 public:
  size_t OnData(std::span<const std::byte> data) override {
    const size_t taken = EchoSession::OnData(data);
    answered_ = true;
    if (draining_) transport().Close();
    return taken;
  }
  void OnDrain() override {
    draining_ = true;
    if (answered_) transport().Close();
  }

 private:
  bool answered_ = false;
  bool draining_ = false;
};

inline FunctionFactory EchoFactory() {
  return FunctionFactory([] { return std::make_unique<EchoSession>(); });
}

// A blocking client of 127.0.0.1 or of a Unix socket.
inline Fd Dial(const Address& address) {
  Fd fd(::socket(address.family(), SOCK_STREAM | SOCK_CLOEXEC, 0));
  SetTimeouts(fd.get(), kPeerTimeout);
  if (!Connect(fd.get(), address.data(), address.size())) return Fd();
  return fd;
}

// Runs a server until Stop() or the end of this object.
class RunningServer {
 public:
  explicit RunningServer(std::unique_ptr<Server> server)
      : server_(std::move(server)), thread_([this] { status_ = server_->Run(); }) {}
  ~RunningServer() { static_cast<void>(StopAndJoin()); }

  Server& operator*() { return *server_; }
  Server* operator->() { return server_.get(); }
  absl::Status StopAndJoin() {
    if (thread_.joinable()) {
      server_->Stop();
      thread_.join();
    }
    return status_;
  }
  absl::Status Join() {
    thread_.join();
    return status_;
  }

 private:
  absl::Status status_;
  std::unique_ptr<Server> server_;
  std::thread thread_;
};

}  // namespace quintet::testing

#endif  // QUINTET_TESTS_NET_REAL_SERVER_H_
