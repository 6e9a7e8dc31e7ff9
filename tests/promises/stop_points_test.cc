// Promise 12: stopping works from any thread, any callback and a signal, at any moment; it is
// idempotent; the drain has a deadline, after which what is left is aborted; nothing deadlocks.
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstdlib>
#include <iostream>
#include <memory>
#include <random>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "tests/promises/promise_fixture.h"
#include "tests/support/sanitizers.h"

namespace quintet::testing {
namespace {

using Random = std::mt19937;

// Ends the process when its time is up: a deadlock could not be left in any other way.
class Watchdog {
 public:
  explicit Watchdog(std::string what) : what_(std::move(what)) {
    thread_ = std::thread([this] {
      const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(60);
      while (!done_.load()) {
        if (std::chrono::steady_clock::now() > end) {
          std::cerr << "no end in sight: " << what_ << std::endl;
          std::abort();
        }
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
      }
    });
  }
  ~Watchdog() {
    done_ = true;
    thread_.join();
  }
  Watchdog(const Watchdog&) = delete;
  Watchdog& operator=(const Watchdog&) = delete;

 private:
  const std::string what_;
  std::atomic<bool> done_ = false;
  std::thread thread_;
};

// Where the one stop of a round comes from.
enum class From { kBefore, kThread, kTwoThreads, kOpen, kData, kEof, kClosed, kTimer, kSignal };
constexpr int kFroms = 9;

class StopPointsTest : public PromiseTest {
 protected:
  ServerOptions Options(int shards) {
    ServerOptions options;
    options.addresses = {*Address::Parse("127.0.0.1:0")};
    options.shards = shards;
    options.pin = false;
    options.loop.backend.kind = GetParam();
    // Small: rounds would wait for it one after another.
    options.drain_timeout = std::chrono::milliseconds(5);
    // A ring is made for each shard of each round.
    options.loop.backend.uring = {
        .sq_entries = 32, .cq_entries = 64, .recv_buffers = 8, .recv_buffer_bytes = 1024};
    return options;
  }

  static Fd ConnectToServer(const Server& server) {
    return ConnectTo(*reinterpret_cast<const sockaddr_in*>(server.addresses().front().data()));
  }
};

std::unique_ptr<Server> Make(ServerOptions options, SessionFactory& sessions) {
  const BackendKind kind = options.loop.backend.kind;
  auto server = Server::Create(std::move(options), sessions);
  EXPECT_TRUE(server.ok()) << server.status();
  if (!server.ok()) return nullptr;
  EXPECT_EQ((*server)->backend(), kind);
  return *std::move(server);
}

// Echoes, and stops the server at one of its callbacks.
ScriptedSession::Script StoppingScript(std::atomic<Server*>& server, From from) {
  const auto stop_at = [&server, from](From here) {
    Server* const target = server.load();
    if (from == here && target != nullptr) target->Stop();
  };
  return {.on_open = [=](ScriptedSession&) { stop_at(From::kOpen); },
          .on_data =
              [=](ScriptedSession& session, std::string_view bytes) {
                session.transport().Write(bytes);
                session.transport().SetDeadline(session.transport().now());
                stop_at(From::kData);
                return bytes.size();
              },
          .on_eof =
              [=](ScriptedSession& session) {
                stop_at(From::kEof);
                session.transport().Close();
              },
          .on_deadline = [=](ScriptedSession&) { stop_at(From::kTimer); },
          .on_closed = [=](ScriptedSession&, CloseReason) { stop_at(From::kClosed); }};
}

TEST_P(StopPointsTest, AnyMomentFromAnywhere) {
  // Five hundred a backend; under sanitizers five hundred in all.
  const int rounds = kAddressSanitizer || kThreadSanitizer ? 100 : 500;
  Random random(std::random_device{}());
  for (int round = 0; round < rounds; ++round) {
    const auto seed = static_cast<uint32_t>(random());
    Random dice(seed);
    const auto from = static_cast<From>(dice() % kFroms);
    const int shards = dice() % 4 == 0 ? 2 : 1;
    const std::string what = "round " + std::to_string(round) + ", seed " + std::to_string(seed) +
                             ", from " + std::to_string(static_cast<int>(from)) + ", shards " +
                             std::to_string(shards);
    SCOPED_TRACE(what);
    const Watchdog watchdog(what);
    std::atomic<Server*> target = nullptr;
    ScriptedFactory sessions(StoppingScript(target, from));
    const std::unique_ptr<Server> server = Make(Options(shards), sessions);
    ASSERT_NE(server, nullptr);
    target = server.get();
    if (from == From::kSignal) {
      ASSERT_TRUE(server->StopOnSignals().ok());
    }
    if (from == From::kBefore) server->Stop();
    const auto pause = std::chrono::microseconds(dice() % 1500);
    const pthread_t runner = ::pthread_self();
    std::vector<std::thread> threads;
    threads.emplace_back([&] {
      // Clients of which some talk, some stop talking, some leave.
      std::vector<Fd> clients;
      for (int i = 0; i < 3; ++i) {
        Fd client = ConnectToServer(*server);
        if (!client) break;  // it has stopped
        if (i != 1) SendAll(client.get(), "x");
        if (i == 2) ::shutdown(client.get(), SHUT_WR);
        if (i == 2) client.Reset();
        clients.push_back(std::move(client));
      }
      std::this_thread::sleep_for(pause);
      // A signal to a thread that has it blocked and watches for it.
      if (from == From::kSignal) ::pthread_kill(runner, SIGTERM);
      // A callback that never came, too, must not keep the round from ending.
      if (from != From::kSignal) server->Stop();
    });
    if (from == From::kThread || from == From::kTwoThreads) {
      for (int i = 0; i < (from == From::kThread ? 1 : 2); ++i) {
        threads.emplace_back([&, i] {
          std::this_thread::sleep_for(i == 0 ? pause / 2 : pause);
          server->Stop();
          server->Stop();
        });
      }
    }
    EXPECT_TRUE(server->Run().ok());
    server->Stop();
    for (std::thread& thread : threads) thread.join();
    target = nullptr;
  }
}

// A handler of the host's own may call it: it does nothing that a signal handler must not.
std::atomic<Server*> server_of_handler = nullptr;
void StopInHandler(int) { server_of_handler.load()->Stop(); }

TEST_P(StopPointsTest, SignalHandlerOfTheHost) {
  if (kThreadSanitizer) {
    GTEST_SKIP() << "ThreadSanitizer runs handlers late: not before a thread that is about to wait "
                    "has waited";
  }
  struct sigaction action {};
  struct sigaction before {};
  action.sa_handler = StopInHandler;
  ScriptedFactory sessions(EchoScript());
  for (int round = 0; round < 20; ++round) {
    const Watchdog watchdog("signal handler");
    const std::unique_ptr<Server> server = Make(Options(1 + round % 2), sessions);
    ASSERT_NE(server, nullptr);
    server_of_handler = server.get();
    ASSERT_EQ(::sigaction(SIGUSR1, &action, &before), 0);
    const pthread_t runner = ::pthread_self();
    std::thread killer([&] {
      std::this_thread::sleep_for(std::chrono::microseconds(100 * round));
      for (int i = 0; i < 3; ++i) ::pthread_kill(runner, SIGUSR1);
    });
    EXPECT_TRUE(server->Run().ok());
    killer.join();
    ASSERT_EQ(::sigaction(SIGUSR1, &before, nullptr), 0);
  }
}

// Sessions that take no notice of the drain are aborted at its deadline, not before.
TEST_P(StopPointsTest, DeadlineThenAbort) {
  for (const int shards : {1, 2}) {
    const Watchdog watchdog("deadline");
    std::atomic<int> drains = 0;
    std::atomic<int> aborts = 0;
    ScriptedFactory sessions({.on_data =
                                  [](ScriptedSession& session, std::string_view bytes) {
                                    session.transport().Write(bytes);
                                    return bytes.size();
                                  },
                              .on_drain = [&](ScriptedSession&) { ++drains; },
                              .on_closed =
                                  [&](ScriptedSession&, CloseReason why) {
                                    if (why == CloseReason::kAborted) ++aborts;
                                  }});
    ServerOptions options = Options(shards);
    options.drain_timeout = std::chrono::milliseconds(100);
    RunningServer server(GetParam(), sessions, options);
    std::vector<Fd> clients;
    for (int i = 0; i < 4; ++i) {
      clients.push_back(server.Connect());
      ASSERT_TRUE(SendAll(clients.back().get(), "x"));
      ASSERT_EQ(ReceiveExactly(clients.back().get(), 1), "x");
    }
    const TimePoint start = SteadyClock().Now();
    server.server().Stop();
    server.server().Stop();
    // Still served: a drain is no abort.
    ASSERT_TRUE(SendAll(clients.front().get(), "y"));
    EXPECT_EQ(ReceiveExactly(clients.front().get(), 1), "y");
    server.Stop();
    EXPECT_GE(SteadyClock().Now() - start, std::chrono::milliseconds(100));
    EXPECT_EQ(drains, 4) << "OnDrain() is told once";
    EXPECT_EQ(aborts, 4);
    for (const Fd& client : clients) {
      int error = 0;
      EXPECT_EQ(ReceiveToEnd(client.get(), &error), "");
      EXPECT_EQ(error, ECONNRESET);
    }
  }
}

// Sessions that come to an end end the drain: nobody waits for the deadline.
TEST_P(StopPointsTest, DrainEndsWithTheLastConnection) {
  const Watchdog watchdog("drain");
  ScriptedFactory sessions(EchoScript());
  ServerOptions options = Options(1);
  options.drain_timeout = std::chrono::hours(1);
  RunningServer server(GetParam(), sessions, options);
  Fd client = server.Connect();
  ASSERT_TRUE(SendAll(client.get(), "x"));
  ASSERT_EQ(ReceiveExactly(client.get(), 1), "x");
  server.server().Stop();
  // FIN of the drained session, then ours.
  EXPECT_EQ(ReceiveToEnd(client.get()), "");
  client.Reset();
  server.Stop();
}

INSTANTIATE_TEST_SUITE_P(Backends, StopPointsTest, AllBackends(), KindName);

}  // namespace
}  // namespace quintet::testing
