#include "net/http/server_session_factory.h"

#include <memory>
#include <thread>
#include <utility>
#include <vector>

#include "gtest/gtest.h"
#include "tests/net/http/http_peer.h"

namespace quintet::testing {
namespace {

using http::ServerSessionFactory;

constexpr std::string_view kGet = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";

TEST(ServerSessionFactoryTest, RefusesWhatCannotServe) {
  http::Router wrong;
  wrong.Get("no-slash", [](http::Exchange&) {});
  EXPECT_FALSE(ServerSessionFactory::Create(std::move(wrong)).ok());
  http::Options options;
  options.limits.header_count = 0;
  EXPECT_FALSE(ServerSessionFactory::Create(MakeTestRouter(), options).ok());
  options = {};
  options.server_name = "a\r\nb";
  EXPECT_FALSE(ServerSessionFactory::Create(MakeTestRouter(), options).ok());
  EXPECT_TRUE(ServerSessionFactory::Create(MakeTestRouter()).ok());
}

TEST(ServerSessionFactoryTest, SessionsOutliveTheFactory) {
  auto factory = *ServerSessionFactory::Create(MakeTestRouter());
  MemoryTransport transport(factory->CreateSession());
  factory.reset();
  transport.Open();
  transport.Feed(kGet);
  EXPECT_EQ(ParseResponses(transport.received()).responses.size(), 1U);
}

TEST(ServerSessionFactoryTest, SeveralFactoriesOnOneThread) {
  auto first = *ServerSessionFactory::Create(MakeTestRouter());
  for (int round = 0; round < 10; ++round) {
    auto second = *ServerSessionFactory::Create(http::Router());
    MemoryTransport one(first->CreateSession());
    MemoryTransport two(second->CreateSession());
    for (MemoryTransport* transport : {&one, &two}) {
      transport->Open();
      transport->Feed(kGet);
    }
    EXPECT_EQ(ParseResponses(one.received()).responses.at(0).status, 200);
    EXPECT_EQ(ParseResponses(two.received()).responses.at(0).status, 404);
  }
}

TEST(ServerSessionFactoryTest, ThreadsShareNothing) {
  auto factory = *ServerSessionFactory::Create(MakeTestRouter());
  // Sessions that are left over are destroyed by another thread than ran them.
  std::vector<std::unique_ptr<MemoryTransport>> left(4);
  std::vector<std::thread> threads;
  for (auto& transport : left) {
    threads.emplace_back([&factory, &transport] {
      for (int i = 0; i < 200; ++i) {
        transport = std::make_unique<MemoryTransport>(factory->CreateSession());
        transport->Open();
        transport->Feed(std::string(kGet) + std::string(kGet) + "GET /unfin");
        EXPECT_EQ(ParseResponses(transport->received()).responses.size(), 2U);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  factory.reset();
  left.clear();
}

}  // namespace
}  // namespace quintet::testing
