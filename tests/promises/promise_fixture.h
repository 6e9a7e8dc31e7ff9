// Fixture of the promise tests: a loop and a group of connections, once for each backend.
#ifndef QUINTET_TESTS_PROMISES_PROMISE_FIXTURE_H_
#define QUINTET_TESTS_PROMISES_PROMISE_FIXTURE_H_

#include <gtest/gtest.h>

#include <chrono>
#include <functional>
#include <memory>
#include <string_view>
#include <thread>

#include "net/connection.h"
#include "net/connection_group.h"
#include "net/server.h"
#include "net/session.h"
#include "reactor/event_loop.h"
#include "tests/support/backend_kinds.h"
#include "tests/support/descriptors.h"
#include "tests/support/peers.h"

namespace quintet::testing {

// A session made of functions; those that are not set do what the defaults of Session do, and
// on_data takes everything.
class ScriptedSession final : public Session {
 public:
  struct Script {
    std::function<void(ScriptedSession&)> on_open = {};
    std::function<size_t(ScriptedSession&, std::string_view)> on_data = {};
    std::function<void(ScriptedSession&)> on_eof = {};
    std::function<void(ScriptedSession&)> on_output_drained = {};
    std::function<void(ScriptedSession&, uint64_t missing)> on_file_short = {};
    std::function<void(ScriptedSession&)> on_deadline = {};
    std::function<void(ScriptedSession&)> on_drain = {};
    std::function<void(ScriptedSession&, CloseReason)> on_closed = {};
  };

  explicit ScriptedSession(Script script) : script_(std::move(script)) {}

  using Session::transport;

  void OnOpen() override;
  size_t OnData(std::span<const std::byte> data) override;
  void OnEof() override;
  void OnOutputDrained() override;
  void OnFileShort(uint64_t missing) override;
  void OnDeadline() override;
  void OnDrain() override;
  void OnClosed(CloseReason reason) override;

 private:
  const Script script_;
};

std::unique_ptr<Session> MakeSession(ScriptedSession::Script script);
// Sends back what it gets.
ScriptedSession::Script EchoScript();

class ScriptedFactory final : public SessionFactory {
 public:
  explicit ScriptedFactory(ScriptedSession::Script script) : script_(std::move(script)) {}
  std::unique_ptr<Session> CreateSession() override { return MakeSession(script_); }

 private:
  const ScriptedSession::Script script_;
};

class PromiseTest : public DescriptorLeakTest, public ::testing::WithParamInterface<BackendKind> {
 protected:
  static constexpr std::chrono::seconds kPatience{20};

  void SetUp() override;
  void TearDown() override;

  // Of the parameter's kind, which is asserted.
  std::unique_ptr<EventLoop> MakeLoop();
  EventLoopOptions LoopOptions() const;

  // The fixture's own loop, and a group on it.
  void MakeGroup(ConnectionOptions options = {});
  EventLoop& loop() { return *loop_; }
  std::unique_ptr<ConnectionGroup>& group() { return group_; }
  Connection* Adopt(Fd fd, std::unique_ptr<Session> session);
  // A TCP connection of the group; returns the client's end.
  Fd Connect(std::unique_ptr<Session> session, Connection** connection = nullptr);

  // Turns until `done()`; false when it did not come in time.
  [[nodiscard]] bool RunUntil(const std::function<bool()>& done, Duration patience = kPatience);
  void RunFor(Duration duration);

 private:
  std::unique_ptr<EventLoop> loop_;
  std::unique_ptr<ConnectionGroup> group_;
};

// A server on a free port of 127.0.0.1, running on a thread of its own until destroyed.
class RunningServer {
 public:
  RunningServer(BackendKind kind, SessionFactory& sessions, ServerOptions options = {});
  ~RunningServer();

  Server& server() { return *server_; }
  Fd Connect() const;
  // Stops and waits until Run() has returned.
  void Stop();
  std::thread& thread() { return thread_; }

 private:
  std::unique_ptr<Server> server_;
  std::thread thread_;
};

}  // namespace quintet::testing

#endif  // QUINTET_TESTS_PROMISES_PROMISE_FIXTURE_H_
