// A loop on a simulated network, and one connection with a scripted session and a scripted peer.
#ifndef QUINTET_TESTS_NET_SIM_FIXTURE_H_
#define QUINTET_TESTS_NET_SIM_FIXTURE_H_

#include <gtest/gtest.h>

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "net/connection.h"
#include "net/connection_group.h"
#include "reactor/event_loop.h"
#include "reactor/sim/sim_backend.h"
#include "reactor/sim/sim_network.h"
#include "reactor/sim/sim_peer.h"
#include "tests/net/scripted_session.h"

namespace quintet::testing {

class SimTest : public ::testing::Test {
 protected:
  explicit SimTest(SimOptions sim = {}) : network(std::move(sim)) {
    auto made = std::make_unique<SimBackend>(network);
    backend = made.get();
    EventLoopOptions loop_options;
    loop_options.backend.log = [this](LogLevel, std::string_view line) { log.emplace_back(line); };
    loop = EventLoop::CreateWith(std::move(made), network.clock(), loop_options);
  }
  void TearDown() override {
    peer.reset();
    group.reset();
    loop.reset();
  }

  // A connection of an own group with `options`, and the other end of it.
  void Adopt() {
    if (group == nullptr) group = std::make_unique<ConnectionGroup>(*loop, options);
    const auto [ours, theirs] = network.CreatePair();
    peer = std::make_unique<SimPeer>(network, theirs);
    auto adopted = group->Adopt(Socket(ours), NewSession(script));
    ASSERT_TRUE(adopted.ok()) << adopted.status();
    connection = *adopted;
  }

  // Runs the loop for a time of the simulation.
  void RunFor(Duration duration) {
    const TimePoint end = network.Now() + duration;
    while (network.Now() < end) loop->RunOnce(end - network.Now());
  }
  // Runs the loop until `done()`, at most a minute of the simulation.
  [[nodiscard]] bool RunUntil(const std::function<bool()>& done) {
    const TimePoint end = network.Now() + std::chrono::minutes(1);
    while (!done() && network.Now() < end) loop->RunOnce(end - network.Now());
    return done();
  }
  [[nodiscard]] bool RunUntilClosed() {
    return RunUntil([this] { return script.closed(); });
  }
  // Runs until the session was told this reason, and sees that everything ends with that.
  void ExpectClosed(CloseReason reason) {
    ASSERT_TRUE(RunUntilClosed());
    EXPECT_EQ(CloseReasonName(script.reason), CloseReasonName(reason));
    RunFor(std::chrono::milliseconds(1));
    EXPECT_TRUE(script.destroyed);
    EXPECT_EQ(script.Count("closed"), 1U);
    EXPECT_EQ(script.calls.back(), "closed");
    EXPECT_EQ(group->size(), 0U);
    EXPECT_EQ(backend->attached_sources(), 0U);
  }

  SimNetwork network;
  SimBackend* backend;  // the loop's
  std::vector<std::string> log;
  std::unique_ptr<EventLoop> loop;
  ConnectionOptions options;
  Script script;
  std::unique_ptr<ConnectionGroup> group;
  std::unique_ptr<SimPeer> peer;
  Connection* connection = nullptr;  // until script.closed()
};

// When the end of a send is told.
enum class SendMode {
  kLater,   // by a kSend
  kLazily,  // likewise, but of Backend::StartLazySend() when something else ends the wait: io_uring
  kNow,     // within Backend::SendNow(): the readiness backends
};

class SendModeTest : public SimTest, public ::testing::WithParamInterface<SendMode> {
 protected:
  SendModeTest()
      : SimTest({.faults = {.send_now = GetParam() == SendMode::kNow ? 1000U : 0U,
                            .lazy_send = GetParam() == SendMode::kLazily ? 1000U : 0U}}) {}
};
inline auto SendModes() {
  return ::testing::Values(SendMode::kLater, SendMode::kLazily, SendMode::kNow);
}
inline std::string SendModeName(const ::testing::TestParamInfo<SendMode>& mode) {
  switch (mode.param) {
    case SendMode::kLater:
      return "later";
    case SendMode::kLazily:
      return "lazily";
    case SendMode::kNow:
      return "now";
  }
  return "";
}

}  // namespace quintet::testing

#endif  // QUINTET_TESTS_NET_SIM_FIXTURE_H_
