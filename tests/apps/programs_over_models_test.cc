// The sample programs as they are built, under every server model: the same answers, signals and
// exit codes.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <functional>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "net/address.h"
#include "net/models/server_model.h"
#include "reactor/backend_kind.h"
#include "tests/support/backend_kinds.h"
#include "tests/support/child_process.h"
#include "tests/support/descriptors.h"
#include "tests/support/peers.h"
#include "tests/support/process_info.h"
#include "tests/support/scratch_directory.h"

namespace quintet {
namespace {

using ::testing::AllOf;
using testing::ChildProcess;
using testing::Fd;
using ::testing::HasSubstr;
using ::testing::Not;
using testing::ReceiveExactly;
using testing::ReceiveToEnd;
using testing::ScratchDirectory;
using testing::SendAll;
using ::testing::StartsWith;

constexpr std::chrono::seconds kPatience{60};
constexpr std::string_view kGet = "GET / HTTP/1.1\r\nHost: test\r\n\r\n";

std::string PathOf(const std::string& name) {
  return std::string(QUINTET_PROGRAMS_DIRECTORY) + "/" + name;
}

// A program that has said where it listens.
class RunningProgram {
 public:
  RunningProgram(const std::string& name, const std::vector<std::string>& arguments)
      : child(PathOf(name), arguments), start_line(child.ReadErrorLine()) {
    const std::string prefix = name + ": listening on ";
    EXPECT_THAT(start_line, StartsWith(prefix));
    if (!start_line.starts_with(prefix)) return;
    const auto parsed =
        Address::Parse(start_line.substr(prefix.size(), start_line.find(';') - prefix.size()));
    EXPECT_TRUE(parsed.ok()) << parsed.status();
    if (parsed.ok()) address = *parsed;
  }

  // The next line of standard error that holds `text`; empty at the end.
  std::string LineWith(std::string_view text) {
    std::string line = child.ReadErrorLine();
    while (!line.empty() && line.find(text) == std::string::npos) line = child.ReadErrorLine();
    EXPECT_NE(line, "") << "no line with " << text;
    return line;
  }

  ChildProcess child;
  const std::string start_line;
  Address address = *Address::Parse("127.0.0.1:1");
};

struct Ended {
  int code;
  std::string output;
  std::string error;
};

Ended RunProgram(const std::string& name, const std::vector<std::string>& arguments) {
  ChildProcess child(PathOf(name), arguments);
  const int code = child.Wait();
  return {code, child.output(), child.error()};
}

Fd ConnectTo(const Address& address) {
  Fd fd(::socket(address.family(), SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!testing::Connect(fd.get(), address.data(), address.size())) return Fd();
  testing::SetTimeouts(fd.get(), testing::kPeerTimeout);
  return fd;
}

// A response of hello up to the end of its body, which is the classic one.
std::string ReceiveHello(const Fd& client) {
  std::string received;
  while (!received.ends_with("Hello, World!")) {
    const std::string byte = ReceiveExactly(client.get(), 1);
    if (byte.empty()) {
      ADD_FAILURE() << "the end, behind: " << received;
      break;
    }
    received += byte;
  }
  return received;
}

class ProgramsOverModelsTest : public testing::DescriptorLeakTest,
                               public ::testing::WithParamInterface<ServerModel> {
 protected:
  // The arguments for this model on a free port, and `more`.
  std::vector<std::string> Arguments(const std::vector<std::string>& more = {}) const {
    std::vector<std::string> arguments = {"--listen", "127.0.0.1:0", "--model", ModelName()};
    arguments.insert(arguments.end(), more.begin(), more.end());
    if (GetParam() == ServerModel::kReactor) {
      arguments.push_back("--backend=" + std::string(BackendName(backend)));
    }
    return arguments;
  }
  // Runs `test` under the model, and under each backend of the one that has them.
  void UnderEach(const std::function<void()>& test) {
    if (GetParam() != ServerModel::kReactor) return test();
    for (const BackendKind kind : kRealBackends) {
      SCOPED_TRACE(BackendName(kind));
      if (!testing::WhyUnavailable(kind).empty()) continue;  // other tests say so
      backend = kind;
      test();
    }
  }
  static std::string ModelName() { return std::string(ServerModelName(GetParam())); }

  // What auto comes to differs from machine to machine.
  BackendKind backend = BackendKind::kPoll;
};

TEST_P(ProgramsOverModelsTest, HelloKeepsItsConnections) {
  RunningProgram hello("hello", Arguments());
  EXPECT_THAT(hello.start_line, HasSubstr("; model " + ModelName() + "; "));
  for (int connection = 0; connection < 3; ++connection) {
    const Fd client = ConnectTo(hello.address);
    for (int request = 0; request < 3; ++request) {
      ASSERT_TRUE(SendAll(client.get(), kGet));
      EXPECT_THAT(ReceiveHello(client),
                  AllOf(StartsWith("HTTP/1.1 200 OK\r\n"), Not(HasSubstr("Connection: close"))));
    }
  }
}

TEST_P(ProgramsOverModelsTest, EchoSendsBack) {
  UnderEach([this] {
    RunningProgram echo("echo", Arguments());
    const Fd client = ConnectTo(echo.address);
    const std::string bytes = testing::PatternBytes(100'000);
    ASSERT_TRUE(SendAll(client.get(), "first"));
    EXPECT_EQ(ReceiveExactly(client.get(), 5), "first");
    // At the same time: the server takes no more than it can give back.
    std::thread sender([&] {
      EXPECT_TRUE(SendAll(client.get(), bytes));
      ::shutdown(client.get(), SHUT_WR);
    });
    EXPECT_TRUE(ReceiveToEnd(client.get()) == bytes);
    sender.join();
  });
}

TEST_P(ProgramsOverModelsTest, EchoAnswersLines) {
  UnderEach([this] {
    RunningProgram echo("echo", Arguments({"--reply", "OK"}));
    const Fd client = ConnectTo(echo.address);
    ASSERT_TRUE(SendAll(client.get(), "one\ntw"));
    EXPECT_EQ(ReceiveExactly(client.get(), 3), "OK\n");
    ASSERT_TRUE(SendAll(client.get(), "o\nthree"));
    ::shutdown(client.get(), SHUT_WR);
    EXPECT_EQ(ReceiveToEnd(client.get()), "OK\nOK\n");
  });
}

TEST_P(ProgramsOverModelsTest, TheClientOfIncrementGetsItsAnswer) {
  UnderEach([this] {
    RunningProgram increment("increment", Arguments());
    if (GetParam() == ServerModel::kReactor) {
      EXPECT_THAT(increment.start_line, HasSubstr(std::string(BackendName(backend))));
    }
    for (const auto& [byte, answer] : {std::pair("A", "B"), std::pair("y", "z")}) {
      const Ended client = RunProgram("increment", {"client", byte, increment.address.ToString()});
      EXPECT_EQ(client.code, 0) << client.error;
      EXPECT_EQ(client.output, std::string("char from server = ") + answer + "\n");
    }
  });
}

TEST_P(ProgramsOverModelsTest, SignalsThatEndDrainAndEndWithZero) {
  for (const int signo : {SIGTERM, SIGINT, SIGQUIT}) {
    RunningProgram hello("hello", Arguments({"--drain-timeout=1h"}));
    Fd client = ConnectTo(hello.address);
    ASSERT_TRUE(SendAll(client.get(), kGet));
    ReceiveHello(client);
    const std::vector<pid_t> children = testing::ChildrenOf(hello.child.pid());
    hello.child.Signal(signo);
    // Nobody listens any more.
    bool refused = false;
    const auto end = std::chrono::steady_clock::now() + kPatience;
    while (!refused && std::chrono::steady_clock::now() < end) {
      refused = !ConnectTo(hello.address);
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    EXPECT_TRUE(refused);
    // Whoever serves the connection may learn of the drain later than the one who listened, and
    // says with the first response from then on that it is the last.
    std::string response;
    while (response.find("\r\nConnection: close\r\n") == std::string::npos) {
      ASSERT_LT(std::chrono::steady_clock::now(), end);
      ASSERT_TRUE(SendAll(client.get(), kGet));
      response = ReceiveHello(client);
    }
    int error = -1;
    EXPECT_EQ(ReceiveToEnd(client.get(), &error), "");
    EXPECT_EQ(error, 0);
    client.Reset();
    EXPECT_EQ(hello.child.Wait(), 0);
    EXPECT_EQ(testing::WithoutStalls(hello.child.error()), "");
    for (const pid_t pid : children) EXPECT_EQ(testing::StateOf(pid), 0) << pid;
  }
}

TEST_P(ProgramsOverModelsTest, WhoeverAsksTwiceDoesNotWait) {
  RunningProgram hello("hello", Arguments({"--drain-timeout=1h"}));
  const Fd client = ConnectTo(hello.address);
  ASSERT_TRUE(SendAll(client.get(), kGet));
  ReceiveHello(client);
  hello.child.Signal(SIGQUIT);
  hello.child.Signal(SIGTERM);
  EXPECT_EQ(hello.child.Wait(), 0);
  ReceiveToEnd(client.get());
}

TEST_P(ProgramsOverModelsTest, Sigusr1PrintsTheCounters) {
  RunningProgram hello("hello", Arguments());
  {
    const Fd client = ConnectTo(hello.address);
    ASSERT_TRUE(SendAll(client.get(), kGet));
    ReceiveHello(client);
    hello.child.Signal(SIGUSR1);
    const std::string line = hello.LineWith("accepted ");
    EXPECT_THAT(line, StartsWith(GetParam() == ServerModel::kReactor
                                     ? std::string("hello: worker 0 ")
                                     : "hello: model " + ModelName() + ": "));
    EXPECT_THAT(line,
                AllOf(HasSubstr("accepted 1, active 1, bytes in "), HasSubstr(", refused 0, ")));
  }
  hello.child.Signal(SIGTERM);
  EXPECT_EQ(hello.child.Wait(), 0);
}

// The reactor reloads and upgrades.
class ProgramsOverClassicModelsTest : public ProgramsOverModelsTest {};

TEST_P(ProgramsOverClassicModelsTest, SighupAndSigusr2AreRefused) {
  RunningProgram hello("hello", Arguments());
  for (const auto& [signo, what] : {std::pair(SIGHUP, "reload"), std::pair(SIGUSR2, "upgrade")}) {
    hello.child.Signal(signo);
    EXPECT_THAT(hello.LineWith("refused"),
                AllOf(StartsWith(std::string("hello: ") + what + " refused: model " + ModelName() +
                                 " has no supervisor"),
                      HasSubstr("use model reactor")));
  }
  const Fd client = ConnectTo(hello.address);
  ASSERT_TRUE(SendAll(client.get(), kGet));
  ReceiveHello(client);
}

TEST_P(ProgramsOverModelsTest, RunsAsADaemon) {
  const ScratchDirectory directory;
  const std::string pid_file = directory / "pid";
  const std::string log_file = directory / "log";
  const std::string socket = directory / "socket";
  {
    ChildProcess start(PathOf("hello"),
                       {"--model", ModelName(), "--listen", "unix:" + socket, "--daemon",
                        "--pid-file", pid_file, "--log-file", log_file});
    EXPECT_EQ(start.Wait(), 0);
  }
  pid_t pid = 0;
  std::ifstream(pid_file) >> pid;
  ASSERT_GT(pid, 1);
  {
    const Fd client = ConnectTo(*Address::Parse("unix:" + socket));
    EXPECT_TRUE(SendAll(client.get(), kGet));
    ReceiveHello(client);
  }
  EXPECT_THAT(testing::ReadFile(log_file), HasSubstr("; model " + ModelName() + "; "));
  ASSERT_EQ(::kill(pid, SIGTERM), 0);
  // It is no child of the test: its files tell.
  const auto end = std::chrono::steady_clock::now() + kPatience;
  while (std::filesystem::exists(pid_file) && std::chrono::steady_clock::now() < end) {
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  EXPECT_FALSE(std::filesystem::exists(pid_file));
  EXPECT_FALSE(std::filesystem::exists(socket));
}

std::string NameOf(const ::testing::TestParamInfo<ServerModel>& model) {
  return std::string(ServerModelName(model.param));
}

INSTANTIATE_TEST_SUITE_P(Models, ProgramsOverModelsTest, ::testing::ValuesIn(kServerModels),
                         NameOf);
INSTANTIATE_TEST_SUITE_P(Models, ProgramsOverClassicModelsTest,
                         ::testing::Values(ServerModel::kIterative, ServerModel::kFork,
                                           ServerModel::kThread, ServerModel::kPrefork),
                         NameOf);

TEST(ProgramsTest, OptionsThatDoNotGoTogetherEndWithTwo) {
  for (const std::string name : {"hello", "echo", "increment"}) {
    const Ended ended = RunProgram(name, {"--model", "iterative", "--backend", "io_uring"});
    EXPECT_EQ(ended.code, 2);
    EXPECT_EQ(ended.output, "");
    EXPECT_EQ(ended.error, name +
                               ": reactor.backend = \"io_uring\" (flag --backend) is for model "
                               "reactor, but server.model = \"iterative\" (flag --model)\n");
    const Ended unknown = RunProgram(name, {"--model", "forks"});
    EXPECT_EQ(unknown.code, 2);
    EXPECT_EQ(unknown.error, name +
                                 ": flag --model: \"forks\" is not allowed; allowed: reactor, "
                                 "iterative, fork, thread, prefork\n");
    EXPECT_EQ(RunProgram(name, {"--model", "thread", "--check-config"}).code, 0);
  }
}

TEST(ProgramsTest, AReloadDoesNotChangeTheModel) {
  const ScratchDirectory directory;
  const std::string file = directory / "hello.toml";
  std::ofstream(file) << "[listen]\naddresses = [\"127.0.0.1:0\"]\n";
  RunningProgram hello("hello", {"--config", file, "--backend=auto"});
  std::ofstream(file, std::ios::app) << "[server]\nmodel = \"fork\"\n";
  hello.child.Signal(SIGHUP);
  EXPECT_THAT(hello.LineWith("reload refused"),
              HasSubstr("server.model is read at the start only: it is reactor and cannot become "
                        "fork"));
  const Fd client = ConnectTo(hello.address);
  ASSERT_TRUE(SendAll(client.get(), kGet));
  ReceiveHello(client);
}

TEST(ProgramsTest, AModelThatBindsItsOwnSocketsTakesNoOthers) {
  // A socket as a service manager gives it, at descriptor 3.
  const testing::TestListener listener = testing::MakeListener();
  ChildProcess::Options options;
  options.before_exec = [&listener] {
    if (listener.fd.get() == 3) {
      ::fcntl(3, F_SETFD, 0);
    } else {
      ::dup2(listener.fd.get(), 3);
    }
  };
  options.environment = {"LISTEN_FDS=1"};
  // LISTEN_PID is that of the program, which is the shell's (sd_listen_fds(3)).
  ChildProcess child("/bin/sh",
                     {"-c", "LISTEN_PID=$$; export LISTEN_PID; exec \"$0\" \"$@\"", PathOf("hello"),
                      "--model", "fork"},
                     options);
  EXPECT_EQ(child.Wait(), 1);
  EXPECT_EQ(child.error(),
            "hello: server.model = \"fork\" takes no sockets of a service manager or a "
            "predecessor; reactor does\n");
}

}  // namespace
}  // namespace quintet
