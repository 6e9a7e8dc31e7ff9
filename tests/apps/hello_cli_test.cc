// The hello server as its user meets it: the program itself, from start to exit code.
#include <errno.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <fstream>
#include <memory>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include "apps/hello/hello_program.h"
#include "apps/program/config_file.h"
#include "net/address.h"
#include "net/socket.h"
#include "reactor/backend_factory.h"
#include "reactor/version.h"
#include "tests/support/backend_kinds.h"
#include "tests/support/child_process.h"
#include "tests/support/descriptors.h"
#include "tests/support/peers.h"
#include "tests/support/response_parser.h"
#include "tests/support/scratch_directory.h"

namespace quintet {
namespace {

using ::testing::AllOf;
using testing::ChildProcess;
using ::testing::EndsWith;
using testing::Fd;
using ::testing::HasSubstr;
using ::testing::MatchesRegex;
using ::testing::Not;
using testing::ParsedOutput;
using testing::ParseResponses;
using testing::ReceiveExactly;
using testing::ReceiveToEnd;
using testing::ScratchDirectory;
using testing::SendAll;
using ::testing::StartsWith;

constexpr char kHello[] = QUINTET_HELLO_PATH;

struct Ended {
  int code;
  std::string output;
  std::string error;
};

Ended RunHello(const std::vector<std::string>& arguments,
               const ChildProcess::Options& options = {}) {
  ChildProcess child(kHello, arguments, options);
  const int code = child.Wait();
  return {code, child.output(), child.error()};
}

// A hello server that has said it is ready.
class RunningHello {
 public:
  explicit RunningHello(const std::vector<std::string>& arguments,
                        const ChildProcess::Options& options = {})
      : child(kHello, arguments, options), start_line(child.ReadErrorLine()) {}

  // The first address of the start line.
  Address address() const {
    const std::string prefix = "hello: listening on ";
    EXPECT_THAT(start_line, StartsWith(prefix));
    const std::string rest = start_line.substr(std::min(prefix.size(), start_line.size()));
    const absl::StatusOr<Address> address =
        Address::Parse(rest.substr(0, rest.find_first_of(",;")));
    EXPECT_TRUE(address.ok()) << address.status();
    return address.ok() ? *address : *Address::Parse("127.0.0.1:1");
  }

  ChildProcess child;
  const std::string start_line;
};

// A blocking client; no descriptor where nobody listens.
Fd Connect(const Address& address) {
  Fd fd(socket(address.family(), SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (connect(fd.get(), address.data(), address.size()) != 0) return Fd();
  testing::SetTimeouts(fd.get(), testing::kPeerTimeout);
  return fd;
}

// Sends one request that asks to close, and reads the whole answer.
std::string Ask(const Address& address, const std::string& request) {
  const Fd client = Connect(address);
  EXPECT_TRUE(client) << address.ToString() << ": " << strerror(errno);
  EXPECT_TRUE(SendAll(client.get(), request));
  return ReceiveToEnd(client.get());
}

// What comes until it ends with `end`.
std::string ReceiveUpTo(const Fd& client, const std::string& end) {
  std::string received;
  while (!received.ends_with(end)) {
    const std::string byte = ReceiveExactly(client.get(), 1);
    if (byte.empty()) {
      ADD_FAILURE() << "the end, behind: " << received;
      break;
    }
    received += byte;
  }
  return received;
}

std::string GetRequest(const std::string& path) {
  return "GET " + path + " HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n";
}

class HelloCliTest : public testing::DescriptorLeakTest {};

TEST_F(HelloCliTest, VersionIsTheLibrarys) {
  const Ended ended = RunHello({"--version"});
  EXPECT_EQ(ended.code, 0);
  EXPECT_EQ(ended.output, std::string("hello ") + Version() + "\n");
  EXPECT_EQ(ended.error, "");
}

TEST_F(HelloCliTest, HelpGoesToStandardOutput) {
  const Ended ended = RunHello({"--help"});
  EXPECT_EQ(ended.code, 0);
  EXPECT_THAT(ended.output, HasSubstr("--backend NAME"));
  EXPECT_EQ(ended.error, "");
}

TEST_F(HelloCliTest, OutputThatCannotBeWrittenIsAFailure) {
  // More than the buffer of standard output holds, and less.
  for (const char* action : {"--help", "--version"}) {
    const Ended ended = RunHello({action}, {.standard_output = "/dev/full"});
    EXPECT_EQ(ended.code, 1);
    EXPECT_EQ(ended.error, "hello: cannot write to standard output\n");
  }
}

TEST_F(HelloCliTest, OutputThatIsClosedIsAFailure) {
  ChildProcess::Options options;
  options.before_exec = [] { close(STDOUT_FILENO); };
  const Ended ended = RunHello({"--version"}, options);
  EXPECT_EQ(ended.code, 1);
  EXPECT_EQ(ended.error, "hello: cannot write to standard output\n");
}

TEST_F(HelloCliTest, ListsTheFiveBackends) {
  const Ended ended = RunHello({"--list-backends"});
  EXPECT_EQ(ended.code, 0);
  std::vector<std::string> lines;
  std::istringstream text(ended.output);
  for (std::string line; std::getline(text, line);) lines.push_back(line);
  const std::vector<BackendAvailability> available = AvailableBackends();
  ASSERT_EQ(lines.size(), available.size() + 1);
  EXPECT_EQ(lines[0], "backend   works  reason");
  for (size_t i = 0; i < available.size(); ++i) {
    EXPECT_THAT(lines[i + 1], StartsWith(std::string(BackendName(available[i].kind)) + " "));
    EXPECT_THAT(lines[i + 1], HasSubstr(available[i].available ? " yes" : " no  "));
    EXPECT_THAT(lines[i + 1], HasSubstr(available[i].reason));
  }
}

TEST_F(HelloCliTest, BadUsageAndConfigurationEndWithTwo) {
  const ScratchDirectory directory;
  const std::string file = directory / "hello.toml";
  std::ofstream(file) << "[workers]\ncount = \"many\"\n";

  EXPECT_EQ(RunHello({"--bakend", "poll"}).error,
            "hello: unknown flag --bakend; the nearest is --backend\n");
  for (const std::vector<std::string>& arguments : std::vector<std::vector<std::string>>{
           {"--bakend", "poll"}, {"--backend", "kqueue"}, {"--config", directory / "missing"}}) {
    const Ended ended = RunHello(arguments);
    EXPECT_EQ(ended.code, 2);
    EXPECT_EQ(ended.output, "");
    EXPECT_EQ(std::count(ended.error.begin(), ended.error.end(), '\n'), 1) << ended.error;
  }
  const std::string expected = "hello: " + file +
                               ":2: workers.count: \"many\" is not allowed; allowed: auto, or an "
                               "integer from 1 to 1024\n";
  for (const char* action : {"--check-config", "--print-config", "--pin"}) {
    const Ended ended = RunHello({"--config", file, action});
    EXPECT_EQ(ended.code, 2);
    EXPECT_EQ(ended.error, expected);
    EXPECT_EQ(ended.output, "");
  }
  const Ended variable = RunHello({}, {.environment = {"QUINTET_SHARDS=none"}});
  EXPECT_EQ(variable.code, 2);
  EXPECT_THAT(variable.error, StartsWith("hello: environment QUINTET_SHARDS: \"none\" is not"));
}

TEST_F(HelloCliTest, ChecksAConfigurationWithoutServing) {
  // The address is that of another machine: it could not be served.
  const Ended ended = RunHello({"--check-config", "--listen", "192.0.2.1:80"});
  EXPECT_EQ(ended.code, 0);
  EXPECT_EQ(ended.output, "the configuration is valid\n");
  EXPECT_EQ(ended.error, "");
}

TEST_F(HelloCliTest, PrintsTheEffectiveConfiguration) {
  const Ended ended =
      RunHello({"--print-config", "--backlog", "7"}, {.environment = {"QUINTET_BACKEND=poll"}});
  EXPECT_EQ(ended.code, 0);
  EXPECT_THAT(ended.output, HasSubstr("\nbacklog = 7  # flag --backlog\n"));
  EXPECT_THAT(ended.output, HasSubstr("\nbackend = \"poll\"  # environment QUINTET_BACKEND\n"));
  EXPECT_TRUE(program::ParseConfig(hello::HelloProgram().settings, ended.output, "printed").ok());
}

TEST_F(HelloCliTest, AnAddressInUseIsNamed) {
  const testing::TestListener listener = testing::MakeListener();
  const std::string taken = "127.0.0.1:" + std::to_string(listener.port());
  const Ended ended = RunHello({"--listen", "127.0.0.1:0", "--listen", taken});
  EXPECT_EQ(ended.code, 1);
  EXPECT_THAT(ended.error, HasSubstr(taken));
  EXPECT_THAT(ended.error, HasSubstr("EADDRINUSE"));
  EXPECT_EQ(std::count(ended.error.begin(), ended.error.end(), '\n'), 1) << ended.error;
  EXPECT_EQ(ended.output, "");
}

// Signals that are sent by a pid file must find somebody who takes them: it appears when nothing
// but the workers is left to be started.
TEST_F(HelloCliTest, APidFileAppearsWhenSignalsAreTaken) {
  const ScratchDirectory directory;
  const std::string pid_file = directory / "hello.pid";
  const Fd watch(::inotify_init1(IN_CLOEXEC | IN_NONBLOCK));
  ASSERT_GE(::inotify_add_watch(watch.get(), directory.path().c_str(), IN_CREATE | IN_MOVED_TO), 0);
  char events[4096];
  {
    const RunningHello hello({"--listen", "127.0.0.1:0", "--pid-file", pid_file});
    EXPECT_GT(::read(watch.get(), events, sizeof(events)), 0);
    while (::read(watch.get(), events, sizeof(events)) > 0) {
    }
    // A second one does nothing before it is refused, be it to find the address in use.
    const Ended second = RunHello({"--listen", hello.address().ToString(), "--pid-file", pid_file});
    EXPECT_EQ(second.code, 1);
    EXPECT_THAT(second.error, HasSubstr("already running"));
    // One that cannot bind has never shown its id.
    const Ended third =
        RunHello({"--listen", hello.address().ToString(), "--pid-file", directory / "other.pid"});
    EXPECT_EQ(third.code, 1);
    EXPECT_THAT(third.error, HasSubstr("EADDRINUSE"));
    EXPECT_EQ(::read(watch.get(), events, sizeof(events)), -1);
    EXPECT_EQ(errno, EAGAIN);
  }
}

TEST_F(HelloCliTest, SaysItsLimitsAtTheStart) {
  ChildProcess::Options options;
  options.before_exec = [] {
    const rlimit descriptors{.rlim_cur = 77, .rlim_max = 99};
    setrlimit(RLIMIT_NOFILE, &descriptors);
    const rlimit memory{.rlim_cur = 65536, .rlim_max = 65536};
    setrlimit(RLIMIT_MEMLOCK, &memory);
  };
  RunningHello hello({"--listen", "127.0.0.1:0", "--backend", "poll"}, options);
  EXPECT_THAT(hello.start_line, HasSubstr("; descriptors 77 (hard 99); locked memory 65536"));
}

TEST_F(HelloCliTest, ServesEveryKindOfAddressAndRemovesItsSocketFile) {
  const ScratchDirectory directory;
  const std::string path = directory / "hello.sock";
  RunningHello hello({"--listen", "127.0.0.1:0", "--listen", "unix:" + path, "--backend", "poll"});
  EXPECT_THAT(
      hello.start_line,
      MatchesRegex(
          "hello: listening on 127\\.0\\.0\\.1:[0-9]+, unix:" + path +
          "; model reactor; backend poll; shards 1; policy reuseport; descriptors .*; locked "
          "memory .*"));
  for (const Address& address : {hello.address(), *Address::Parse("unix:" + path)}) {
    EXPECT_THAT(Ask(address, GetRequest("/")), EndsWith("\r\n\r\nHello, World!"));
  }
  hello.child.Signal(SIGINT);
  EXPECT_EQ(hello.child.Wait(), 0);
  struct stat status {};
  EXPECT_NE(stat(path.c_str(), &status), 0);
}

class HelloServerTest : public testing::DescriptorLeakTest,
                        public ::testing::WithParamInterface<BackendKind> {
 protected:
  void SetUp() override {
    if (!testing::RequireBackend(GetParam())) return;
    StartWith({});
  }

  void StartWith(const std::vector<std::string>& more) {
    const std::string backend(BackendName(GetParam()));
    std::vector<std::string> arguments = {"--listen", "127.0.0.1:0", "--backend", backend};
    arguments.insert(arguments.end(), more.begin(), more.end());
    hello_.reset();
    hello_ = std::make_unique<RunningHello>(arguments);
    ASSERT_THAT(hello_->start_line, HasSubstr("; backend " + backend + "; "));
    address_ = hello_->address();
  }

  void TearDown() override {
    hello_.reset();
    DescriptorLeakTest::TearDown();
  }

  ChildProcess& child() { return hello_->child; }

  std::unique_ptr<RunningHello> hello_;
  Address address_ = *Address::Parse("127.0.0.1:1");
};

TEST_P(HelloServerTest, AnswersItsRoutes) {
  const ParsedOutput hello = ParseResponses(Ask(address_, GetRequest("/")));
  ASSERT_EQ(hello.responses.size(), 1u) << hello.rest;
  EXPECT_EQ(hello.responses[0].status, 200);
  EXPECT_EQ(hello.responses[0].Field("Content-Type"), "text/plain");
  EXPECT_EQ(hello.responses[0].body, "Hello, World!");

  const Fd client = Connect(address_);
  ASSERT_TRUE(SendAll(client.get(), GetRequest("/client")));
  Socket borrowed(client.get());
  const std::string own = borrowed.LocalAddress()->ToString();
  [[maybe_unused]] const int fd = borrowed.Release();
  EXPECT_THAT(ReceiveToEnd(client.get()), EndsWith("\r\n\r\n" + own));

  const ParsedOutput health = ParseResponses(Ask(address_, GetRequest("/healthz")));
  ASSERT_EQ(health.responses.size(), 1u) << health.rest;
  EXPECT_EQ(health.responses[0].status, 200);
  EXPECT_EQ(health.responses[0].body, "ok");

  EXPECT_THAT(Ask(address_, GetRequest("/nowhere")), StartsWith("HTTP/1.1 404 "));
  const ParsedOutput wrong = ParseResponses(Ask(address_, GetRequest("/echo")));
  ASSERT_EQ(wrong.responses.size(), 1u) << wrong.rest;
  EXPECT_EQ(wrong.responses[0].status, 405);
  EXPECT_THAT(wrong.responses[0].Field("Allow"), HasSubstr("POST"));
}

TEST_P(HelloServerTest, BelievesAProxyWhereItIsToldTo) {
  StartWith({"--proxy-protocol", "--proxy-header-timeout=10s"});
  EXPECT_THAT(
      Ask(address_, "PROXY TCP6 2001:db8::7 2001:db8::9 54321 80\r\n" + GetRequest("/client")),
      EndsWith("\r\n\r\n[2001:db8::7]:54321"));
  EXPECT_EQ(Ask(address_, GetRequest("/client")), "");
  EXPECT_THAT(child().ReadErrorLine(),
              AllOf(StartsWith("quintet: warning: PROXY header of 127.0.0.1:"),
                    EndsWith(": the connection does not begin with a PROXY header")));
}

TEST_P(HelloServerTest, EchoesEveryFramingAndSize) {
  for (const size_t size : {size_t{0}, size_t{1}, size_t{70'000}, size_t{6} << 20}) {
    const std::string body = testing::PatternBytes(size);
    const std::string head = "POST /echo HTTP/1.1\r\nHost: test\r\nConnection: close\r\n";
    std::string chunked = head + "Transfer-Encoding: chunked\r\n\r\n";
    constexpr size_t kChunk = 50'000;
    for (size_t at = 0; at < size; at += kChunk) {
      const std::string chunk = body.substr(at, kChunk);
      char line[32];
      std::snprintf(line, sizeof(line), "%zx\r\n", chunk.size());
      chunked.append(line).append(chunk).append("\r\n");
    }
    chunked += "0\r\n\r\n";
    std::string sized = head;
    sized.append("Content-Length: ").append(std::to_string(size)).append("\r\n\r\n").append(body);

    for (const std::string& request : {sized, chunked}) {
      const Fd client = Connect(address_);
      // At the same time: the server takes no more than it can give back.
      std::thread sender([&] { EXPECT_TRUE(SendAll(client.get(), request)); });
      const ParsedOutput output = ParseResponses(ReceiveToEnd(client.get()));
      sender.join();
      ASSERT_EQ(output.responses.size(), 1u) << output.rest.substr(0, 200);
      EXPECT_EQ(output.responses[0].status, 200);
      EXPECT_TRUE(output.responses[0].body == body) << output.responses[0].body.size();
      EXPECT_EQ(output.rest, "");
    }
  }
  // No body at all is an empty one.
  const ParsedOutput none = ParseResponses(
      Ask(address_, "POST /echo HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n"));
  ASSERT_EQ(none.responses.size(), 1u);
  EXPECT_EQ(none.responses[0].Field("Content-Length"), "0");
}

TEST_P(HelloServerTest, AClientThatDoesNotReadIsNotListenedTo) {
  const Fd client = Connect(address_);
  ASSERT_TRUE(SendAll(client.get(),
                      "POST /echo HTTP/1.1\r\nHost: test\r\nContent-Length: 1073741824\r\n\r\n"));
  // What the sockets on the way hold, and the output up to its mark; not what the server would
  // buffer if it went on reading.
  testing::SetNonBlocking(client.get());
  const size_t limit = size_t{64} << 20;
  size_t sent = 0;
  for (int quiet = 0; quiet < 10 && sent < limit;) {
    const size_t more = testing::FillSocket(client.get());
    sent += more;
    quiet = more == 0 ? quiet + 1 : 0;
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  EXPECT_LT(sent, limit);
  EXPECT_THAT(Ask(address_, GetRequest("/")), HasSubstr("Hello, World!"));
}

// While the echo waits for its reader, the client that sends is not the one to blame.
TEST_P(HelloServerTest, ASlowReaderDoesNotCostTheBodyItsDeadline) {
  StartWith({"--body-timeout", "1s"});
  const std::string body = testing::PatternBytes(size_t{16} << 20);
  const Fd client(socket(address_.family(), SOCK_STREAM | SOCK_CLOEXEC, 0));
  // More than the sockets on the way hold.
  const int receive_bytes = 64 << 10;
  ASSERT_EQ(setsockopt(client.get(), SOL_SOCKET, SO_RCVBUF, &receive_bytes, sizeof(receive_bytes)),
            0);
  ASSERT_EQ(connect(client.get(), address_.data(), address_.size()), 0);
  testing::SetTimeouts(client.get(), testing::kPeerTimeout);
  std::thread sender([&] {
    EXPECT_TRUE(SendAll(client.get(),
                        "POST /echo HTTP/1.1\r\nHost: test\r\nConnection: close\r\n"
                        "Content-Length: " +
                            std::to_string(body.size()) + "\r\n\r\n"));
    EXPECT_TRUE(SendAll(client.get(), body));
  });
  std::this_thread::sleep_for(std::chrono::seconds(2));
  const ParsedOutput output = ParseResponses(ReceiveToEnd(client.get()));
  sender.join();
  ASSERT_EQ(output.responses.size(), 1u) << output.rest.size();
  EXPECT_TRUE(output.responses[0].body == body) << output.responses[0].body.size();
}

TEST_P(HelloServerTest, SigtermAnswersEveryConnectionAndExitsWithZero) {
  const std::string get = "GET / HTTP/1.1\r\nHost: test\r\n\r\n";
  Fd idle = Connect(address_);
  ASSERT_TRUE(SendAll(idle.get(), get));
  EXPECT_THAT(ReceiveUpTo(idle, "Hello, World!"), Not(HasSubstr("Connection: close")));
  Fd busy = Connect(address_);
  ASSERT_TRUE(
      SendAll(busy.get(), "POST /echo HTTP/1.1\r\nHost: test\r\nContent-Length: 10\r\n\r\nhello"));
  EXPECT_THAT(ReceiveUpTo(busy, "hello"), Not(HasSubstr("Connection: close")));

  child().Signal(SIGTERM);
  // Nobody listens any more.
  bool refused = false;
  for (int attempt = 0; attempt < 1000 && !refused; ++attempt) {
    refused = !Connect(address_);
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  EXPECT_TRUE(refused);

  int error = -1;
  ASSERT_TRUE(SendAll(idle.get(), get));
  EXPECT_THAT(ReceiveToEnd(idle.get(), &error),
              AllOf(HasSubstr("\r\nConnection: close\r\n"), EndsWith("Hello, World!")));
  EXPECT_EQ(error, 0);
  // Its response was promised a connection that stays: the next one says that it is the last.
  ASSERT_TRUE(SendAll(busy.get(), "world"));
  EXPECT_EQ(ReceiveExactly(busy.get(), 5), "world");
  ASSERT_TRUE(SendAll(busy.get(), get));
  EXPECT_THAT(ReceiveToEnd(busy.get(), &error),
              AllOf(HasSubstr("\r\nConnection: close\r\n"), EndsWith("Hello, World!")));
  EXPECT_EQ(error, 0);
  // Otherwise the server lingers until they do.
  idle.Reset();
  busy.Reset();
  EXPECT_EQ(child().Wait(), 0);
  EXPECT_EQ(testing::WithoutStalls(child().error()), "");
}

TEST_P(HelloServerTest, SigintWithSeveralShardsExitsWithZeroAndFreesThePort) {
  StartWith({"--shards", "3", "--pin=false"});
  EXPECT_THAT(hello_->start_line, HasSubstr("; shards 3; "));
  EXPECT_THAT(Ask(address_, GetRequest("/")), HasSubstr("Hello, World!"));
  child().Signal(SIGINT);
  EXPECT_EQ(child().Wait(), 0);
  absl::StatusOr<Socket> socket = Socket::CreateStream(address_);
  ASSERT_TRUE(socket.ok());
  ASSERT_TRUE(socket->SetReuseAddress(true).ok());
  EXPECT_TRUE(socket->Bind(address_).ok());
}

TEST_P(HelloServerTest, DrainTimeoutEndsWhatDoesNotFinish) {
  StartWith({"--drain-timeout", "100ms"});
  const Fd idle = Connect(address_);
  ASSERT_TRUE(SendAll(idle.get(), "GET / HTTP/1.1\r\nHost: test\r\n\r\n"));
  ReceiveUpTo(idle, "Hello, World!");
  const Fd busy = Connect(address_);
  ASSERT_TRUE(
      SendAll(busy.get(), "POST /echo HTTP/1.1\r\nHost: test\r\nContent-Length: 10\r\n\r\nhello"));
  ASSERT_FALSE(ReceiveExactly(busy.get(), 1).empty());
  child().Signal(SIGTERM);
  EXPECT_EQ(child().Wait(), 0);
  int error = -1;
  EXPECT_EQ(ReceiveToEnd(idle.get(), &error), "");
  EXPECT_EQ(error, 0);
  static_cast<void>(ReceiveToEnd(busy.get(), &error));
  EXPECT_EQ(error, ECONNRESET);
}

INSTANTIATE_TEST_SUITE_P(Backends, HelloServerTest, testing::AllBackends(), testing::KindName);

}  // namespace
}  // namespace quintet
