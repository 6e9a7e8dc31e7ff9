// The increment service, and its client against servers of every kind of manners.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "apps/increment/increment_client.h"
#include "apps/increment/increment_program.h"
#include "apps/increment/increment_session.h"
#include "tests/support/child_process.h"
#include "tests/support/descriptors.h"
#include "tests/support/memory_transport.h"
#include "tests/support/peers.h"

namespace quintet::increment {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using ::testing::AllOf;
using testing::ChildProcess;
using testing::Fd;
using ::testing::HasSubstr;
using testing::MemoryTransport;
using ::testing::StartsWith;
using testing::TestListener;

std::unique_ptr<MemoryTransport> Connected(const program::SessionTimeouts& timeouts = {}) {
  auto transport = std::make_unique<MemoryTransport>(IncrementFactory(timeouts).CreateSession());
  transport->Open();
  return transport;
}

TEST(IncrementSessionTest, AnswersEveryByteWithTheNextAndCloses) {
  for (int byte = 0; byte < 256; ++byte) {
    const auto client = Connected();
    client->Feed(std::string(1, static_cast<char>(byte)));
    EXPECT_EQ(client->received(), std::string(1, static_cast<char>(byte == 255 ? 0 : byte + 1)));
    EXPECT_TRUE(client->closing());
    EXPECT_FALSE(client->aborted());
  }
}

TEST(IncrementSessionTest, OneByteHasOneAnswer) {
  const auto client = Connected();
  client->Feed("ABC");
  EXPECT_EQ(client->received(), "B");
  EXPECT_TRUE(client->closing());

  const auto silent = Connected();
  silent->FeedEof();
  EXPECT_EQ(silent->received(), "");
  EXPECT_TRUE(silent->closing());
}

TEST(IncrementSessionTest, DeadlinesEndIt) {
  const auto idle = Connected({.idle = seconds(10)});
  idle->Advance(milliseconds(9999));
  EXPECT_FALSE(idle->closing());
  idle->Advance(milliseconds(1));
  EXPECT_TRUE(idle->closing());
  EXPECT_FALSE(idle->aborted());

  const auto total = Connected({.idle = seconds(10), .total = seconds(5)});
  total->Advance(seconds(5));
  EXPECT_EQ(total->abort_reason(), CloseReason::kDeadline);
}

TEST(IncrementSessionTest, TheAddressIsThatOfTheClassicTexts) {
  EXPECT_EQ(IncrementProgram().defaults.server.addresses.front().ToString(), "127.0.0.1:6240");
}

// ---- The client ----

Address ToAddress(const sockaddr_in& address) {
  return *Address::FromSockaddr(reinterpret_cast<const sockaddr*>(&address), sizeof(address));
}

// Accepts one client on a thread of its own and does with it what a test says.
class OneClientServer {
 public:
  explicit OneClientServer(std::function<void(Fd&)> serve)
      : thread_([this, serve = std::move(serve)] {
          pollfd ready{.fd = listener_.fd.get(), .events = POLLIN, .revents = 0};
          ::poll(&ready, 1, static_cast<int>(milliseconds(testing::kPeerTimeout).count()));
          Fd client(::accept(listener_.fd.get(), nullptr, nullptr));
          testing::SetTimeouts(client.get(), testing::kPeerTimeout);
          serve(client);
        }) {}
  ~OneClientServer() { thread_.join(); }

  Address address() const { return ToAddress(listener_.address); }

 private:
  const TestListener listener_ = testing::MakeListener();
  std::thread thread_;
};

class IncrementClientTest : public testing::DescriptorLeakTest {};

TEST_F(IncrementClientTest, ReturnsWhatTheServerAnswers) {
  std::string question;
  std::string end;
  {
    OneClientServer server([&](Fd& client) {
      question = testing::ReceiveExactly(client.get(), 1);
      EXPECT_TRUE(testing::SendAll(client.get(), "7 and more"));
      end = testing::ReceiveToEnd(client.get());
    });
    const auto answer = AskForIncrement(server.address(), 0xff);
    ASSERT_TRUE(answer.ok()) << answer.status();
    EXPECT_EQ(*answer, '7');
  }
  EXPECT_EQ(question, "\xff");
  EXPECT_EQ(end, "");
}

TEST_F(IncrementClientTest, SaysThatNobodyListens) {
  const Address address = ToAddress(testing::RefusingAddress());
  const absl::Status status = AskForIncrement(address, 'A').status();
  EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(status.message(), "cannot connect to " + address.ToString() + ": nobody listens there");
}

TEST_F(IncrementClientTest, SaysThatTheServerClosedOrReset) {
  for (const bool reset : {false, true}) {
    OneClientServer server([reset](Fd& client) {
      testing::ReceiveExactly(client.get(), 1);
      if (reset) testing::Reset(client);
    });
    const absl::Status status = AskForIncrement(server.address(), 'A').status();
    EXPECT_EQ(status.code(),
              reset ? absl::StatusCode::kUnavailable : absl::StatusCode::kOutOfRange);
    EXPECT_THAT(std::string(status.message()),
                AllOf(HasSubstr(server.address().ToString()),
                      HasSubstr(reset ? "has ended" : "without an answer")));
  }
}

TEST_F(IncrementClientTest, DoesNotWaitForEver) {
  OneClientServer server([](Fd& client) { testing::ReceiveToEnd(client.get()); });
  const absl::Status status =
      AskForIncrement(server.address(), 'A', {.timeout = milliseconds(50)}).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kDeadlineExceeded);
  EXPECT_EQ(status.message(), server.address().ToString() + " did not answer in time");
}

// ---- The program ----

struct Ended {
  int code;
  std::string output;
  std::string error;
};

Ended RunIncrement(const std::vector<std::string>& arguments) {
  ChildProcess child(QUINTET_INCREMENT_PATH, arguments);
  const int code = child.Wait();
  return {code, child.output(), child.error()};
}

TEST(IncrementProgramTest, TheClientPrintsTheAnswerOfTheServer) {
  ChildProcess server(QUINTET_INCREMENT_PATH, {"--listen", "127.0.0.1:0", "--backend", "poll"});
  const std::string start = server.ReadErrorLine();
  const std::string prefix = "increment: listening on ";
  ASSERT_THAT(start, StartsWith(prefix));
  const std::string address = start.substr(prefix.size(), start.find(';') - prefix.size());
  const Ended letter = RunIncrement({"client", "A", address});
  EXPECT_EQ(letter.code, 0);
  EXPECT_EQ(letter.output, "char from server = B\n");
  EXPECT_EQ(letter.error, "");
  EXPECT_EQ(RunIncrement({"client", "\xff", address}).output,
            std::string("char from server = \0\n", 21));
  server.Signal(SIGTERM);
  EXPECT_EQ(server.Wait(), 0);
}

TEST(IncrementProgramTest, TheClientSaysWhatIsWrong) {
  const std::string nobody = ToAddress(testing::RefusingAddress()).ToString();
  const Ended refused = RunIncrement({"client", "A", nobody});
  EXPECT_EQ(refused.code, 1);
  EXPECT_EQ(refused.output, "");
  EXPECT_EQ(refused.error, "increment: cannot connect to " + nobody + ": nobody listens there\n");

  const TestListener silent = testing::MakeListener();
  const std::string address = ToAddress(silent.address).ToString();
  const Ended late = RunIncrement({"client", "A", address, "--timeout", "50ms"});
  EXPECT_EQ(late.code, 1);
  EXPECT_EQ(late.error, "increment: " + address + " did not answer in time\n");

  for (const auto& [arguments, error] :
       std::vector<std::pair<std::vector<std::string>, std::string>>{
           {{"client"}, "CHAR"},
           {{"client", "AB"}, "CHAR: \"AB\" is not one byte"},
           {{"client", ""}, "CHAR: \"\" is not one byte"},
           {{"client", "A", "localhost:6240"}, "names are not resolved"},
           {{"client", "A", "127.0.0.1:1", "more"}, "more"},
           {{"client", "A", "--timeout", "0s"}, "--timeout: \"0s\" is not allowed"},
           {{"client", "A", "--timeout", "soon"}, "--timeout: \"soon\" is not allowed"}}) {
    const Ended ended = RunIncrement(arguments);
    EXPECT_EQ(ended.code, 2) << error;
    EXPECT_THAT(ended.error, AllOf(StartsWith("increment: "), HasSubstr(error)));
    EXPECT_EQ(ended.output, "");
  }
  const Ended help = RunIncrement({"client", "--help"});
  EXPECT_EQ(help.code, 0);
  EXPECT_THAT(help.output, AllOf(HasSubstr("CHAR"), HasSubstr("127.0.0.1:6240")));
}

}  // namespace
}  // namespace quintet::increment
