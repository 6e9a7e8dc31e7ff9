#include "net/models/model_server.h"

#include <errno.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>

#include "absl/strings/str_cat.h"
#include "tests/net/models/served.h"
#include "tests/promises/promise_fixture.h"
#include "tests/support/in_child.h"
#include "tests/support/peers.h"
#include "tests/support/scratch_directory.h"

namespace quintet::testing {
namespace {

using namespace std::chrono_literals;

TEST(ServerModelTest, NamesAreThereAndBack) {
  for (const ServerModel model : kServerModels) {
    EXPECT_EQ(ParseServerModel(ServerModelName(model)), model);
  }
  for (const AtCap at_cap : kAtCaps) EXPECT_EQ(ParseAtCap(AtCapName(at_cap)), at_cap);
  for (const PreforkAccept accept : kPreforkAccepts) {
    EXPECT_EQ(ParsePreforkAccept(PreforkAcceptName(accept)), accept);
  }
  EXPECT_EQ(ParseServerModel("Fork"), std::nullopt);
  EXPECT_EQ(ParseAtCap(""), std::nullopt);
  EXPECT_EQ(ParsePreforkAccept("reuseport "), std::nullopt);
}

class ModelServerTest : public DescriptorLeakTest {
 protected:
  ModelServerTest() {
    options.addresses = {*Address::Parse("127.0.0.1:0")};
    options.loop.backend.log = nullptr;
  }
  // Why it is refused; empty where it is not.
  std::string Refusal() {
    const auto server = ModelServer::Create(model, options, sessions);
    if (server.ok()) return "";
    EXPECT_EQ(server.status().code(), absl::StatusCode::kInvalidArgument);
    return std::string(server.status().message());
  }

  ScriptedFactory sessions{EchoScript()};
  ModelOptions model{.model = ServerModel::kThread};
  ServerOptions options;
};

TEST_F(ModelServerTest, RefusesWhatTheModelsDoNotHave) {
  EXPECT_EQ(Refusal(), "");
  options.loop.backend.kind = BackendKind::kIoUring;
  EXPECT_EQ(Refusal(), "model thread and backend io_uring: it has no event loop");
  options.loop.backend.kind = BackendKind::kAuto;
  options.shards = 4;
  EXPECT_EQ(Refusal(), "model thread and 4 shards: it has none");
  options.shards = 1;
  options.max_connections_per_shard = 7;
  EXPECT_EQ(Refusal(), "model thread and 7 connections per shard: it has none");
  options.max_connections_per_shard = 0;
  options.policy = ListenPolicy::kHandoff;
  EXPECT_EQ(Refusal(), "model thread and listen policy handoff: it has its own ways");
  options.policy = ListenPolicy::kReusePort;
  options.steer_by_cpu = true;
  EXPECT_EQ(Refusal(), "model thread and steering by core: that needs prefork with reuseport");
  options.steer_by_cpu = false;
  model.max_children = 0;
  EXPECT_EQ(Refusal(), "max_children 0: 1 to 32768");
  model.model = ServerModel::kReactor;
  EXPECT_EQ(Refusal(), "model reactor is that of Server, not of ModelServer");
}

TEST_F(ModelServerTest, RefusesPoolsThatCannotBe) {
  model.model = ServerModel::kPrefork;
  EXPECT_EQ(Refusal(), "");
  model.min_workers = 5;
  EXPECT_NE(Refusal().find("min_workers 5 and max_workers 4"), std::string::npos);
  model.min_workers = 0;
  EXPECT_NE(Refusal().find("min_workers 0"), std::string::npos);
  model.min_workers = 2;
  EXPECT_EQ(Refusal(), "");
  model.prefork_accept = PreforkAccept::kReusePort;
  EXPECT_NE(Refusal().find("fixed number"), std::string::npos);
  model.prefork_accept = PreforkAccept::kBlocking;
  options.addresses.push_back(*Address::Parse("127.0.0.2:0"));
  EXPECT_EQ(Refusal(), "prefork with blocking accept serves one address, not 2");
  model.prefork_accept = PreforkAccept::kPoll;
  EXPECT_EQ(Refusal(), "");
  model.idle_worker_timeout = 0s;
  EXPECT_EQ(Refusal(), "idle_worker_timeout is not positive");
}

TEST_F(ModelServerTest, AnAddressInUseIsNamed) {
  auto first = ModelServer::Create(model, options, sessions);
  ASSERT_TRUE(first.ok());
  options.addresses = (*first)->addresses();
  const auto second = ModelServer::Create(model, options, sessions);
  EXPECT_EQ(second.status().code(), absl::StatusCode::kAlreadyExists);
  EXPECT_NE(second.status().message().find(options.addresses[0].ToString()), std::string::npos);
}

TEST_F(ModelServerTest, StoppedBeforeItRuns) {
  for (const ServerModel each : kServerModels) {
    if (each == ServerModel::kReactor) continue;
    SCOPED_TRACE(ServerModelName(each));
    model.model = each;
    auto server = ModelServer::Create(model, options, sessions);
    ASSERT_TRUE(server.ok()) << server.status();
    (*server)->Stop();
    EXPECT_TRUE((*server)->Run().ok());
    EXPECT_EQ((*server)->Stats().workers, 0U);
  }
}

// TCP and Unix sockets, several of them.
TEST_F(ModelServerTest, ServesAllItsAddresses) {
  const ScratchDirectory directory;
  const std::string path = directory / "socket";
  options.addresses.push_back(*Address::Parse("127.0.0.2:0"));
  options.addresses.push_back(*Address::Parse("unix:" + path));
  for (const ServerModel each : {ServerModel::kIterative, ServerModel::kThread}) {
    SCOPED_TRACE(ServerModelName(each));
    model.model = each;
    auto server = ModelServer::Create(model, options, sessions);
    ASSERT_TRUE(server.ok()) << server.status();
    std::thread thread([&] { EXPECT_TRUE((*server)->Run().ok()); });
    for (const Address& address : (*server)->addresses()) {
      Fd client(::socket(address.family(), SOCK_STREAM | SOCK_CLOEXEC, 0));
      SetTimeouts(client.get(), kPeerTimeout);
      ASSERT_TRUE(Connect(client.get(), address.data(), address.size()));
      EXPECT_TRUE(Echoes(client));
    }
    (*server)->Stop();
    thread.join();
    EXPECT_NE(::access(path.c_str(), F_OK), 0) << "the file of the socket is left";
  }
}

// With a plan that has all the time, and one that has none.
TEST_F(ModelServerTest, ALaterDrainShortensTheFirst) {
  for (const ServerModel each : {ServerModel::kIterative, ServerModel::kThread}) {
    SCOPED_TRACE(ServerModelName(each));
    const auto notes = MakeNotes();
    ScriptedFactory stubborn({.on_drain = [&](ScriptedSession& session) {
      notes->marks[0] += session.transport().stopping() ? 10 : 1;
    }});
    model.model = each;
    auto server = ModelServer::Create(model, options, stubborn);
    ASSERT_TRUE(server.ok()) << server.status();
    std::thread thread([&] { EXPECT_TRUE((*server)->Run().ok()); });
    const Address& address = (*server)->addresses()[0];
    const Fd client(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    SetTimeouts(client.get(), kPeerTimeout);
    ASSERT_TRUE(Connect(client.get(), address.data(), address.size()));
    ASSERT_TRUE(Eventually([&] { return (*server)->Stats().active == 1; }));
    (*server)->Drain({.timeout = DrainPlan::kNoTimeout, .stopping = false});
    ASSERT_TRUE(Eventually([&] { return notes->marks[0] > 0; }));
    EXPECT_EQ(notes->marks[0], 1U) << "told once, and not that it is stopping";
    (*server)->Drain({.timeout = 0s});
    int error = 0;
    EXPECT_EQ(ReceiveToEnd(client.get(), &error), "");
    EXPECT_EQ(error, ECONNRESET);
    thread.join();
  }
}

// A factory that throws costs a client, not the server.
TEST_F(ModelServerTest, ASessionThatCannotBeMade) {
  class Failing final : public SessionFactory {
   public:
    std::unique_ptr<Session> CreateSession() override {
      if (calls_++ == 0) throw std::runtime_error("as the test wants it");
      return MakeSession(EchoScript());
    }

   private:
    std::atomic<int> calls_ = 0;
  };
  for (const ServerModel each : {ServerModel::kIterative, ServerModel::kThread}) {
    SCOPED_TRACE(ServerModelName(each));
    Failing factory;
    Served served({.model = each}, factory);
    int error = 0;
    EXPECT_EQ(ReceiveToEnd(served.Connect().get(), &error), "");
    EXPECT_EQ(error, ECONNRESET);
    EXPECT_TRUE(Echoes(served.Connect()));
    EXPECT_EQ(served.Stats().refused, 1U);
    EXPECT_EQ(served.Stats().accepted, 2U);
  }
}

TEST_F(ModelServerTest, SignalsStopItAndAreGivenBack) {
  const std::string said = InChild([&]() -> std::string {
    std::string result;
    for (const int signo : {SIGINT, SIGTERM}) {
      ::signal(signo, SIG_IGN);
      auto server = ModelServer::Create(model, options, sessions);
      if (!(*server)->StopOnSignals().ok()) return "no handler";
      ::raise(signo);
      absl::StrAppend(&result, (*server)->Run().ok());
      absl::StrAppend(&result, ::signal(signo, SIG_DFL) == SIG_IGN);
    }
    return result;
  });
  EXPECT_EQ(said, "1111");
}

}  // namespace
}  // namespace quintet::testing
