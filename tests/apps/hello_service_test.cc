// The routes of hello whose answers depend on what becomes of the server. The others are asked over
// real sockets in hello_cli_test.cc.
#include "apps/hello/hello_service.h"

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <utility>

#include "tests/support/memory_transport.h"
#include "tests/support/response_parser.h"

namespace quintet::hello {
namespace {

class HelloServiceTest : public ::testing::Test {
 protected:
  HelloServiceTest() : service_(*CreateHelloService({})), transport_(service_->CreateSession()) {
    transport_.Open();
  }

  // The answer to GET `path`.
  testing::ParsedResponse Get(const std::string& path) {
    transport_.Feed("GET " + path + " HTTP/1.1\r\nHost: a\r\n\r\n");
    testing::ParsedOutput output = testing::ParseResponses(transport_.TakeReceived());
    EXPECT_EQ(output.responses.size(), 1U);
    return output.responses.empty() ? testing::ParsedResponse() : std::move(output.responses[0]);
  }

  const std::unique_ptr<SessionFactory> service_;
  testing::MemoryTransport transport_;
};

TEST_F(HelloServiceTest, HealthTurnsWhenTheServerIsAboutToStop) {
  EXPECT_EQ(Get("/healthz").status, 200);
  transport_.set_stopping(true);
  for (int i = 0; i < 2; ++i) {
    const testing::ParsedResponse response = Get("/healthz");
    EXPECT_EQ(response.status, 503);
    EXPECT_EQ(response.body, "stopping");
    // It is served as ever until it drains.
    EXPECT_EQ(response.Field("Connection"), "");
  }
  EXPECT_EQ(Get("/").status, 200);
  transport_.Drain();
  const testing::ParsedResponse last = Get("/healthz");
  EXPECT_EQ(last.status, 503);
  EXPECT_EQ(last.Field("Connection"), "close");
}

// Replaced by a successor: whoever asks need not go elsewhere.
TEST_F(HelloServiceTest, HealthHoldsDuringADrainThatIsNoStop) {
  transport_.Drain();
  const testing::ParsedResponse response = Get("/healthz");
  EXPECT_EQ(response.status, 200);
  EXPECT_EQ(response.body, "ok");
  EXPECT_EQ(response.Field("Connection"), "close");
}

TEST_F(HelloServiceTest, ClientIsWhomTheTransportNames) {
  transport_.SetPeerAddress(*Address::Parse("[2001:db8::1]:4711"));
  const testing::ParsedResponse response = Get("/client");
  EXPECT_EQ(response.status, 200);
  EXPECT_EQ(response.Field("Content-Type"), "text/plain");
  EXPECT_EQ(response.body, "[2001:db8::1]:4711");
}

}  // namespace
}  // namespace quintet::hello
