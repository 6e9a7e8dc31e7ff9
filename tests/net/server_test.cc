#include "net/server.h"

#include <errno.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <memory>
#include <string>
#include <thread>
#include <tuple>
#include <utility>
#include <vector>

#include "net/listener.h"
#include "tests/net/real_server.h"
#include "tests/support/backend_kinds.h"
#include "tests/support/descriptors.h"
#include "tests/support/peers.h"
#include "tests/support/sanitizers.h"

namespace quintet::testing {
namespace {

using namespace std::chrono_literals;
using ::testing::HasSubstr;

// Each real backend with one shard and with three.
class ServerTest : public DescriptorLeakTest,
                   public ::testing::WithParamInterface<std::tuple<BackendKind, int>> {
 protected:
  void SetUp() override {
    if (!RequireBackend(std::get<0>(GetParam()))) return;
    options.addresses = {*Address::Parse("127.0.0.1:0")};
    options.shards = std::get<1>(GetParam());
    options.loop.backend.kind = std::get<0>(GetParam());
    options.loop.backend.log = nullptr;
  }

  std::unique_ptr<Server> Make() {
    auto server = Server::Create(options, factory);
    EXPECT_TRUE(server.ok()) << server.status();
    EXPECT_EQ((*server)->backend(), std::get<0>(GetParam()));
    EXPECT_EQ((*server)->shards(), std::get<1>(GetParam()));
    return *std::move(server);
  }
  static void ExpectEcho(const Fd& client, std::string_view text) {
    ASSERT_TRUE(client);
    ASSERT_TRUE(SendAll(client.get(), text));
    EXPECT_EQ(ReceiveExactly(client.get(), text.size()), text);
  }
  static void ExpectPortFree(const Address& address) { EXPECT_TRUE(ListenOn(address, {}).ok()); }
  static ShardStats Sum(const Server& server) {
    ShardStats sum;
    for (const ShardStats& one : server.Stats()) {
      sum.accepted += one.accepted;
      sum.active += one.active;
      sum.bytes_in += one.bytes_in;
      sum.bytes_out += one.bytes_out;
    }
    return sum;
  }

  ServerOptions options;
  FunctionFactory factory = EchoFactory();
};

TEST_P(ServerTest, EchoesToManyAndCounts) {
  RunningServer server(Make());
  const Address address = server->addresses()[0];
  EXPECT_NE(address.port(), 0);
  std::vector<Fd> clients;
  for (int i = 0; i < 20; ++i) clients.push_back(Dial(address));
  for (const Fd& client : clients) ExpectEcho(client, "hello");
  const ShardStats sum = Sum(*server);
  EXPECT_EQ(sum.accepted, 20U);
  EXPECT_EQ(sum.active, 20U);
  EXPECT_EQ(sum.bytes_in, 100U);
  const std::string large = PatternBytes(3 << 20);
  std::thread sender([&] { EXPECT_TRUE(SendAll(clients[0].get(), large)); });
  EXPECT_TRUE(ReceiveExactly(clients[0].get(), large.size()) == large);
  sender.join();
  clients.clear();
  EXPECT_TRUE(server.StopAndJoin().ok());
  EXPECT_EQ(Sum(*server).active, 0U);
  EXPECT_EQ(Sum(*server).bytes_out, 100U + large.size());
  ExpectPortFree(address);
}

TEST_P(ServerTest, UnixSocketsAndSeveralAddresses) {
  const std::string path = ::testing::TempDir() + "/quintet_" + std::to_string(::getpid());
  options.addresses.push_back(*Address::Parse("unix:" + path));
  {
    RunningServer server(Make());
    ASSERT_EQ(server->addresses().size(), 2U);
    for (int i = 0; i < 5; ++i) {
      ExpectEcho(Dial(server->addresses()[0]), "tcp");
      ExpectEcho(Dial(server->addresses()[1]), "unix");
    }
  }
  struct stat info;
  EXPECT_NE(::stat(path.c_str(), &info), 0) << "the socket's file is left";
}

TEST_P(ServerTest, APortInUseIsNamed) {
  const std::unique_ptr<Server> first = Make();
  options.addresses = first->addresses();
  const auto second = Server::Create(options, factory);
  ASSERT_FALSE(second.ok());
  EXPECT_EQ(second.status().code(), absl::StatusCode::kAlreadyExists);
  EXPECT_THAT(std::string(second.status().message()), HasSubstr(first->addresses()[0].ToString()));
}

TEST_P(ServerTest, DestroyedWithoutRun) {
  const std::unique_ptr<Server> server = Make();
  const Fd client = Dial(server->addresses()[0]);  // waits in the backlog
  EXPECT_TRUE(client);
}

TEST_P(ServerTest, StopBeforeRunAndTwice) {
  const std::unique_ptr<Server> server = Make();
  server->Stop();
  server->Stop();
  EXPECT_TRUE(server->Run().ok());
  server->Stop();
  ExpectPortFree(server->addresses()[0]);
}

TEST_P(ServerTest, ShardsAreGoneWhenRunReturns) {
  const size_t before = OpenDescriptors().size();
  const std::unique_ptr<Server> server = Make();
  EXPECT_GT(OpenDescriptors().size(), before + 1);
  server->Stop();
  EXPECT_TRUE(server->Run().ok());
  EXPECT_LE(OpenDescriptors().size(), before + 1) << "only what takes further stop requests";
}

TEST_P(ServerTest, StopFromManyThreads) {
  RunningServer server(Make());
  const Fd client = Dial(server->addresses()[0]);
  ExpectEcho(client, "x");
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) threads.emplace_back([&] { server->Stop(); });
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(ReceiveToEnd(client.get()), "");  // closed in good order
}

TEST_P(ServerTest, StopFromACallback) {
  Server* raw = nullptr;
  class Stopper final : public EchoSession {
   public:
    explicit Stopper(Server*& server) : server_(server) {}
    size_t OnData(std::span<const std::byte> data) override {
      server_->Stop();
      return EchoSession::OnData(data);
    }

   private:
    Server*& server_;
  };
  factory = FunctionFactory([&raw] { return std::make_unique<Stopper>(raw); });
  auto made = Make();
  raw = made.get();
  RunningServer server(std::move(made));
  Fd client = Dial(raw->addresses()[0]);
  ExpectEcho(client, "last");
  client.Reset();
  EXPECT_TRUE(server.Join().ok());
}

std::atomic<Server*> signalled_server;

TEST_P(ServerTest, StopFromASignalHandler) {
  if (kThreadSanitizer) GTEST_SKIP() << "TSan holds signals back while a call blocks";
  RunningServer server(Make());
  signalled_server = &*server;
  struct sigaction action = {};
  struct sigaction before = {};
  action.sa_handler = [](int) { signalled_server.load()->Stop(); };
  ASSERT_EQ(::sigaction(SIGUSR1, &action, &before), 0);
  ::raise(SIGUSR1);
  EXPECT_TRUE(server.Join().ok());
  ::sigaction(SIGUSR1, &before, nullptr);
}

TEST_P(ServerTest, StopOnSignals) {
  sigset_t before;
  ::pthread_sigmask(SIG_SETMASK, nullptr, &before);
  for (const int signo : {SIGINT, SIGTERM}) {
    // Run() on this thread, for the signals are blocked in it.
    const std::unique_ptr<Server> server = Make();
    ASSERT_TRUE(server->StopOnSignals().ok());
    ::kill(::getpid(), signo);
    EXPECT_TRUE(server->Run().ok());
    sigset_t after;
    ::pthread_sigmask(SIG_SETMASK, nullptr, &after);
    EXPECT_EQ(::sigismember(&after, signo), ::sigismember(&before, signo));
  }
}

// Answers 100 ms after the request, drained or not.
class SlowSession final : public Session {
 public:
  size_t OnData(std::span<const std::byte> data) override {
    busy_ = true;
    transport().SetDeadline(transport().now() + 100ms);
    return data.size();
  }
  void OnDeadline() override {
    transport().Write("done");
    transport().Close();
  }
  void OnDrain() override {
    if (!busy_) transport().Close();
  }

 private:
  bool busy_ = false;
};

TEST_P(ServerTest, DrainFinishesWhatIsInFlight) {
  factory = FunctionFactory([] { return std::make_unique<SlowSession>(); });
  RunningServer server(Make());
  const Fd busy = Dial(server->addresses()[0]);
  const Fd idle = Dial(server->addresses()[0]);
  ASSERT_TRUE(SendAll(busy.get(), "request"));
  while (Sum(*server).bytes_in == 0 || Sum(*server).accepted < 2) std::this_thread::yield();
  server->Stop();
  EXPECT_EQ(ReceiveToEnd(idle.get()), "");
  // io_uring takes a turn or two to give a listener up; in the end nobody listens.
  while (Dial(server->addresses()[0])) std::this_thread::yield();
  EXPECT_EQ(ReceiveToEnd(busy.get()), "done");
}

TEST_P(ServerTest, AStopServesThoseWhoWaitToBeAccepted) {
  for (const ListenPolicy policy : kListenPolicies) {
    options.policy = policy;
    options.max_connections_per_shard = 1;
    factory = FunctionFactory([] { return std::make_unique<LastAnswerSession>(); });
    RunningServer server(Make());
    std::vector<Fd> clients;
    for (int i = 0; i < 40; ++i) clients.push_back(Dial(server->addresses()[0]));
    server->Stop();
    for (Fd& client : clients) {
      ExpectEcho(client, "late");
      int error = 0;
      EXPECT_EQ(ReceiveToEnd(client.get(), &error), "");
      EXPECT_EQ(error, 0);
      client.Reset();  // or the server would wait for its FIN
    }
    EXPECT_TRUE(server.Join().ok());
  }
}

TEST_P(ServerTest, ThreadsThatWereStartedMayBeGivenUp) {
  auto server = Make();
  EXPECT_TRUE(server->StartThreads().ok());
  EXPECT_TRUE(server->StartThreads().ok()) << "once more does nothing";
}

class StubbornSession final : public EchoSession {
 public:
  void OnDrain() override {}
};

TEST_P(ServerTest, DrainDeadlineAbortsAndFurtherStopsDoNotPutItOff) {
  factory = FunctionFactory([] { return std::make_unique<StubbornSession>(); });
  options.drain_timeout = 300ms;
  RunningServer server(Make());
  const Fd client = Dial(server->addresses()[0]);
  ExpectEcho(client, "x");
  std::atomic<bool> ended = false;
  // A user who is impatient, for much longer than the deadline.
  std::thread impatient([&] {
    const auto end = std::chrono::steady_clock::now() + 15s;
    while (!ended && std::chrono::steady_clock::now() < end) {
      server->Stop();
      std::this_thread::sleep_for(20ms);
    }
    EXPECT_TRUE(ended);
  });
  int error = 0;
  EXPECT_EQ(ReceiveToEnd(client.get(), &error), "");
  EXPECT_EQ(error, ECONNRESET);
  ended = true;
  impatient.join();
  EXPECT_TRUE(server.Join().ok());
}

// CPU time of the calling thread.
Duration ThreadTime() {
  timespec ts;
  EXPECT_EQ(::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts), 0);
  return std::chrono::seconds(ts.tv_sec) + std::chrono::nanoseconds(ts.tv_nsec);
}

TEST_P(ServerTest, SleepsWhileItDrains) {
  factory = FunctionFactory([] { return std::make_unique<StubbornSession>(); });
  options.drain_timeout = 600ms;
  const std::unique_ptr<Server> server = Make();
  std::thread stopper([&] {
    const Fd client = Dial(server->addresses()[0]);
    ExpectEcho(client, "x");
    server->Stop();
    static_cast<void>(ReceiveToEnd(client.get()));
  });
  const Duration before = ThreadTime();
  EXPECT_TRUE(server->Run().ok());
  EXPECT_LT(ThreadTime() - before, 200ms) << "the stop request was taken again and again";
  stopper.join();
}

TEST_P(ServerTest, DestroyedInASessionCallback) {
  std::unique_ptr<Server> server;
  class Destroyer final : public EchoSession {
   public:
    explicit Destroyer(std::unique_ptr<Server>& server) : server_(server) {}
    size_t OnData(std::span<const std::byte> data) override {
      server_.reset();
      return data.size();
    }

   private:
    std::unique_ptr<Server>& server_;
  };
  factory = FunctionFactory([&server] { return std::make_unique<Destroyer>(server); });
  server = Make();
  const Address address = server->addresses()[0];
  std::thread runner([raw = server.get()] { EXPECT_TRUE(raw->Run().ok()); });
  const Fd bystander = Dial(address);
  const Fd client = Dial(address);
  ASSERT_TRUE(SendAll(client.get(), "bye"));
  static_cast<void>(ReceiveToEnd(client.get()));
  static_cast<void>(ReceiveToEnd(bystander.get()));
  runner.join();
  EXPECT_EQ(server, nullptr);
  ExpectPortFree(address);
}

TEST_P(ServerTest, MaxConnectionsWaitInTheBacklog) {
  if (std::get<1>(GetParam()) > 1) GTEST_SKIP() << "which shard a client meets is the kernel's";
  options.max_connections_per_shard = 2;
  RunningServer server(Make());
  const Address address = server->addresses()[0];
  Fd first = Dial(address);
  Fd second = Dial(address);
  ExpectEcho(first, "1");
  ExpectEcho(second, "2");
  const Fd third = Dial(address);
  ASSERT_TRUE(SendAll(third.get(), "3"));
  std::this_thread::sleep_for(50ms);
  EXPECT_EQ(Sum(*server).active, 2U);
  first.Reset();
  EXPECT_EQ(ReceiveExactly(third.get(), 1), "3");
  EXPECT_LE(Sum(*server).active, 2U);
}

TEST_P(ServerTest, AnAbortDoesNotWaitForWhoeverComesMeanwhile) {
  options.drain_timeout = Duration::zero();
  factory = FunctionFactory([] { return std::make_unique<StubbornSession>(); });
  for (int round = 0; round < 20; ++round) {
    RunningServer server(Make());
    std::vector<Fd> clients;
    for (int i = 0; i < 10; ++i) clients.push_back(Dial(server->addresses()[0]));
    EXPECT_TRUE(server.StopAndJoin().ok());
  }
}

TEST_P(ServerTest, OptionsThatMakeNoSense) {
  options.addresses.clear();
  EXPECT_EQ(Server::Create(options, factory).status().code(), absl::StatusCode::kInvalidArgument);
  options.addresses = {*Address::Parse("127.0.0.1:0")};
  options.shards = -1;
  EXPECT_EQ(Server::Create(options, factory).status().code(), absl::StatusCode::kInvalidArgument);
}

INSTANTIATE_TEST_SUITE_P(Backends, ServerTest,
                         ::testing::Combine(AllBackends(), ::testing::Values(1, 3)),
                         [](const auto& tested) {
                           return std::string(BackendName(std::get<0>(tested.param))) + "_" +
                                  std::to_string(std::get<1>(tested.param));
                         });

}  // namespace
}  // namespace quintet::testing
