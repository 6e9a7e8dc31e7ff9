#include "net/shard_taker.h"

#include <gtest/gtest.h>

#include <memory>
#include <thread>
#include <vector>

#include "tests/net/real_server.h"
#include "tests/support/loop_test.h"

namespace quintet::testing {
namespace {

using ShardTakerTest = LoopTest;
INSTANTIATE_TEST_SUITE_P(Backends, ShardTakerTest, AllBackends(), KindName);

TEST_P(ShardTakerTest, AShardThatHasEndedLeavesConnectionsToOthers) {
  auto sockets = ListenSockets::Open(
      {.addresses = {*Address::Parse("127.0.0.1:0")}, .policy = ListenPolicy::kHandoff});
  ASSERT_TRUE(sockets.ok()) << sockets.status();
  ServerOptions options;
  options.loop.backend.kind = GetParam();
  options.loop.backend.log = nullptr;
  FunctionFactory sessions = EchoFactory();
  const auto counters = CreateCounters(2);
  auto ended = Shard::Create(options, sessions, counters[0]);
  ASSERT_TRUE(ended.ok()) << ended.status();
  auto serving = Shard::Create(options, sessions, counters[1]);
  ASSERT_TRUE(serving.ok()) << serving.status();
  ShardTaker of_ended(**ended, /*max_connections=*/0);
  ShardTaker of_serving(**serving, /*max_connections=*/0);
  (*ended)->TearDown();
  std::thread thread([shard = serving->get()] {
    shard->Run();
    shard->TearDown();
  });

  auto acceptor = std::make_unique<Acceptor>(loop());
  acceptor->Add(&of_ended);
  acceptor->Add(&of_serving);
  EXPECT_TRUE(acceptor->Start(**sockets).ok());
  std::vector<Fd> clients;
  for (int i = 0; i < 4; ++i) clients.push_back(Dial((*sockets)->addresses()[0]));
  // Each of them is offered to both.
  EXPECT_TRUE(TurnUntil([&] { return counters[1].connections.opened == clients.size(); }));
  for (const Fd& client : clients) {
    EXPECT_TRUE(SendAll(client.get(), "hello"));
    EXPECT_EQ(ReceiveExactly(client.get(), 5), "hello");
  }
  EXPECT_EQ(of_ended.load(), 0U);
  acceptor.reset();
  EXPECT_TRUE((*serving)->executor()->Post(
      [shard = serving->get()] { shard->Drain(Duration::zero(), {}, nullptr); }));
  thread.join();
}

}  // namespace
}  // namespace quintet::testing
