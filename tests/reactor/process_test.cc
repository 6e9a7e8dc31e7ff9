#include "reactor/process.h"

#include <errno.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "tests/reactor/syscall_filter.h"
#include "tests/support/in_child.h"
#include "tests/support/loop_test.h"
#include "tests/support/process_info.h"
#include "tests/support/program_directory.h"
#include "tests/support/sanitizers.h"

namespace quintet::testing {
namespace {

using Stream = ProcessOptions::Stream;

ProcessOptions Shell(const std::string& script) {
  ProcessOptions options;
  options.program = "/bin/sh";
  options.arguments = {"sh", "-c", script};
  options.output = Stream::kPipe;
  return options;
}

// What a process said and how it ended.
struct Record {
  std::string output;
  std::string error;
  bool output_ended = false;
  bool error_ended = false;
  int drained = 0;
  std::optional<ProcessEnd> end;

  Process::Events Events() {
    return {.on_output =
                [this](std::string_view bytes) {
                  output.append(bytes);
                  output_ended = bytes.empty();
                },
            .on_error_output =
                [this](std::string_view bytes) {
                  error.append(bytes);
                  error_ended = bytes.empty();
                },
            .on_input_drained = [this] { ++drained; },
            .on_ended = [this](const ProcessEnd& how) { end = how; }};
  }
};

class ProcessTest : public LoopTest {
 protected:
  std::unique_ptr<Process> Spawn(const ProcessOptions& options) {
    auto process = Process::Spawn(loop(), options, record_.Events());
    EXPECT_TRUE(process.ok()) << process.status();
    return process.ok() ? *std::move(process) : nullptr;
  }
  // Its end and that of its output.
  [[nodiscard]] bool AwaitEnd() {
    return TurnUntil([&] { return record_.end.has_value() && record_.output_ended; });
  }
  absl::StatusCode CodeOf(const ProcessOptions& options) {
    return Process::Spawn(loop(), options, record_.Events()).status().code();
  }

  Record record_;
};
INSTANTIATE_TEST_SUITE_P(Backends, ProcessTest, AllBackends(), KindName);

TEST_P(ProcessTest, ArgumentsEnvironmentAndDirectoryAreItsOwn) {
  const ProgramDirectory directory;
  ProcessOptions options = Shell("echo \"$0|$1|$2\"; pwd; env; cat; exit 4");
  options.arguments.insert(options.arguments.end(), {"zero", "", "two words"});
  options.environment = {"A=1", "PATH=/usr/bin:/bin", "B=x y"};
  options.working_directory = directory.path();
  const auto process = Spawn(options);
  ASSERT_NE(process, nullptr);
  EXPECT_EQ(process->input(), nullptr);
  EXPECT_EQ(process->error_output(), nullptr);
  ASSERT_TRUE(AwaitEnd());
  EXPECT_EQ(record_.end->status, W_EXITCODE(4, 0));
  EXPECT_FALSE(record_.end->deadline_passed);
  EXPECT_TRUE(process->ended());
  EXPECT_TRUE(record_.output.starts_with("zero||two words\n" + directory.path() + "\n"))
      << record_.output;
  EXPECT_NE(record_.output.find("\nA=1\n"), std::string::npos) << record_.output;
  EXPECT_NE(record_.output.find("\nB=x y\n"), std::string::npos) << record_.output;
  EXPECT_EQ(record_.output.find("HOME="), std::string::npos) << record_.output;
}

TEST_P(ProcessTest, EnvironmentAndDirectoryOfThisProcessWhereNoneAreGiven) {
  ::setenv("QUINTET_PROCESS_TEST", "inherited", 1);
  const auto process = Spawn(Shell("echo $QUINTET_PROCESS_TEST; pwd"));
  ASSERT_TRUE(AwaitEnd());
  ::unsetenv("QUINTET_PROCESS_TEST");
  char here[4096];
  ASSERT_NE(::getcwd(here, sizeof(here)), nullptr);
  EXPECT_EQ(record_.output, "inherited\n" + std::string(here) + "\n");
}

TEST_P(ProcessTest, DirectoryByDescriptor) {
  const ProgramDirectory directory;
  const Fd fd(::open(directory.path().c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  ProcessOptions options = Shell("pwd");
  options.working_directory_fd = fd.get();
  const auto process = Spawn(options);
  ASSERT_TRUE(AwaitEnd());
  EXPECT_EQ(record_.output, directory.path() + "\n");
  EXPECT_TRUE(IsOpen(fd.get()));
}

TEST_P(ProcessTest, ThreeStreamsAreApart) {
  ProcessOptions options = Shell("read line; echo \"got $line\"; echo complaint >&2");
  options.input = options.error = Stream::kPipe;
  const auto process = Spawn(options);
  ASSERT_NE(process, nullptr);
  process->input()->Write("a word\n");
  ASSERT_TRUE(AwaitEnd());
  ASSERT_TRUE(TurnUntil([&] { return record_.error_ended; }));
  EXPECT_EQ(record_.output, "got a word\n");
  EXPECT_EQ(record_.error, "complaint\n");
  EXPECT_EQ(record_.drained, 1);
  EXPECT_TRUE(process->output()->ended());
}

TEST_P(ProcessTest, StreamsWithNames) {
  // A socket could not be opened by its name.
  ProcessOptions options = Shell("cat /dev/stdin >/dev/stdout; echo error >/dev/stderr");
  options.input = options.error = Stream::kPipe;
  const auto process = Spawn(options);
  process->input()->Write("text");
  process->input()->Close();
  ASSERT_TRUE(AwaitEnd());
  ASSERT_TRUE(TurnUntil([&] { return record_.error_ended; }));
  EXPECT_EQ(record_.output, "text");
  EXPECT_EQ(record_.error, "error\n");
}

// Byte `i` of the stream that is echoed: a period that no buffer's size divides.
char ByteAt(size_t i) { return static_cast<char>(i % 251); }

TEST_P(ProcessTest, EchoOf64MiBIsIntactUnderBackPressure) {
  const size_t total = (size_t{64} << 20) / static_cast<size_t>(kLoadDivisor);
  constexpr size_t kPiece = 100'000;
  constexpr size_t kHighMark = 256 << 10;
  size_t written = 0;
  size_t read = 0;
  size_t wrong = 0;
  size_t pauses = 0;
  size_t most_pending = 0;
  bool output_ended = false;
  std::unique_ptr<Process> process;
  std::string piece;
  const auto produce = [&] {
    while (written < total && process->input()->pending_bytes() < kHighMark) {
      piece.clear();
      const size_t size = std::min(kPiece, total - written);
      for (size_t i = 0; i < size; ++i) piece.push_back(ByteAt(written + i));
      process->input()->Write(piece);
      written += size;
      most_pending = std::max(most_pending, process->input()->pending_bytes());
    }
    if (written == total) process->input()->Close();
  };
  ProcessOptions options;
  options.program = "/bin/cat";
  options.arguments = {"cat"};
  options.input = options.output = Stream::kPipe;
  auto spawned = Process::Spawn(loop(), options,
                                {.on_output =
                                     [&](std::string_view bytes) {
                                       output_ended = bytes.empty();
                                       for (const char c : bytes)
                                         wrong += c != ByteAt(read++) ? 1 : 0;
                                       // Now and then the consumer is not ready for some turns.
                                       if (!bytes.empty() && read / (1 << 20) > pauses) {
                                         ++pauses;
                                         process->output()->Pause();
                                         loop().RunAfter(std::chrono::microseconds(500),
                                                         [&] { process->output()->Resume(); });
                                       }
                                     },
                                 .on_error_output = nullptr,
                                 .on_input_drained = produce,
                                 .on_ended = [&](const ProcessEnd& end) { record_.end = end; }});
  ASSERT_TRUE(spawned.ok()) << spawned.status();
  process = *std::move(spawned);
  produce();
  for (size_t before = 0; !output_ended;) {
    before = read + written;
    ASSERT_TRUE(TurnUntil([&] { return read + written > before || output_ended; })) << read;
  }
  EXPECT_EQ(read, total);
  EXPECT_EQ(wrong, 0U);
  EXPECT_LT(most_pending, kHighMark + kPiece);
  EXPECT_GE(pauses, total >> 21);
  ASSERT_TRUE(TurnUntil([&] { return record_.end.has_value(); }));
  EXPECT_EQ(record_.end->status, 0);
}

TEST_P(ProcessTest, PausedOutputHoldsTheProgramBack) {
  const auto process = Spawn(Shell("exec cat /dev/zero"));
  ASSERT_TRUE(TurnUntil([&] { return !record_.output.empty(); }));
  process->output()->Pause();
  EXPECT_TRUE(process->output()->paused());
  const size_t before = record_.output.size();
  for (int i = 0; i < 20; ++i) loop().RunOnce(std::chrono::milliseconds(5));
  EXPECT_EQ(record_.output.size(), before);
  process->output()->Resume();
  ASSERT_TRUE(TurnUntil([&] { return record_.output.size() > before; }));
}

TEST_P(ProcessTest, LastWordsCanBeReadAtOnce) {
  const auto process = Spawn(Shell("head -c 60000 /dev/zero"));
  process->output()->Pause();
  ASSERT_TRUE(TurnUntil([&] { return record_.end.has_value(); }));
  process->output()->ReadAvailable();
  EXPECT_EQ(record_.output, "");
  process->output()->Resume();
  process->output()->ReadAvailable();
  EXPECT_EQ(record_.output.size(), 60'000U);
  EXPECT_TRUE(record_.output_ended);
  process->output()->ReadAvailable();
  for (int i = 0; i < 5; ++i) loop().RunOnce(std::chrono::milliseconds(1));
  EXPECT_EQ(record_.output.size(), 60'000U);
}

TEST_P(ProcessTest, ProgramThatDoesNotReadRaisesNoSignalAndLosesNobody) {
  ProcessOptions options = Shell("exec <&-; echo closed; read line; exit 0");
  options.input = Stream::kPipe;
  const auto process = Spawn(options);
  ASSERT_TRUE(AwaitEnd());
  for (int i = 1; i <= 3; ++i) {
    process->input()->Write(std::string(200'000, 'x'));
    ASSERT_TRUE(TurnUntil([&] { return record_.drained == i; }));
    EXPECT_TRUE(process->input()->broken());
    EXPECT_EQ(process->input()->pending_bytes(), 0U);
  }
  sigset_t pending;
  ::sigpending(&pending);
  EXPECT_EQ(::sigismember(&pending, SIGPIPE), 0);
  sigset_t mask;
  ::pthread_sigmask(SIG_SETMASK, nullptr, &mask);
  EXPECT_EQ(::sigismember(&mask, SIGPIPE), 0);
}

TEST_P(ProcessTest, WhyAProgramCannotBeExecutedIsTold) {
  const ProgramDirectory directory;
  ProcessOptions options;
  options.arguments = {"x"};
  options.output = Stream::kPipe;
  const auto code = [&](const std::string& program) {
    options.program = program;
    return CodeOf(options);
  };
  using absl::StatusCode;
  EXPECT_EQ(code(directory.path() + "/missing"), StatusCode::kNotFound);
  EXPECT_EQ(code("/dev/null/x"), StatusCode::kNotFound);
  EXPECT_EQ(code(directory.path()), StatusCode::kPermissionDenied);
  EXPECT_EQ(code(directory.WriteFile("no_x", "#!/bin/sh\n", 0644)), StatusCode::kPermissionDenied);
  EXPECT_EQ(code(directory.WriteFile("no_interpreter", "#!/no/such/interpreter\n", 0755)),
            StatusCode::kNotFound);
  EXPECT_EQ(code(directory.WriteFile("garbage", "\x01\x02garbage", 0755)),
            StatusCode::kFailedPrecondition);
  options.working_directory = directory.path() + "/missing";
  EXPECT_EQ(code("/bin/true"), StatusCode::kNotFound);
  options.working_directory.clear();
  EXPECT_EQ(code(std::string("/bin/true\0x", 11)), StatusCode::kInvalidArgument);
  options.arguments = {"x", std::string("a\0b", 3)};
  EXPECT_EQ(code("/bin/true"), StatusCode::kInvalidArgument);
  // More than ARG_MAX can be: execve(2) takes no string above 128 KiB.
  options.arguments = {"x", std::string(1 << 20, 'a')};
  EXPECT_EQ(code("/bin/true"), StatusCode::kInvalidArgument);
  const absl::Status status = Process::Spawn(loop(), options, {}).status();
  EXPECT_NE(status.message().find("E2BIG"), std::string_view::npos) << status;
  ASSERT_TRUE(TurnUntil([] { return ChildrenOf(::getpid()).empty(); }));
}

TEST_P(ProcessTest, DeadlineKillsIt) {
  ProcessOptions options = Shell("echo begun; exec sleep 1000");
  options.deadline = std::chrono::milliseconds(50);
  const auto process = Spawn(options);
  ASSERT_TRUE(AwaitEnd());
  EXPECT_TRUE(record_.end->deadline_passed);
  EXPECT_TRUE(WIFSIGNALED(record_.end->status));
  EXPECT_EQ(WTERMSIG(record_.end->status), SIGKILL);
}

TEST_P(ProcessTest, DeadlineThatIsNotReachedIsHarmless) {
  ProcessOptions options = Shell("exit 0");
  options.deadline = std::chrono::hours(1);
  auto process = Spawn(options);
  ASSERT_TRUE(AwaitEnd());
  EXPECT_FALSE(record_.end->deadline_passed);
  process.reset();
  options.deadline = std::chrono::milliseconds(20);
  options.arguments[2] = "exec sleep 1000";
  process = Spawn(options);
  process.reset();
  // Past the deadline of what is gone.
  for (int i = 0; i < 10; ++i) loop().RunOnce(std::chrono::milliseconds(10));
}

// The process ids that a script has printed, one a line; empty until there are `count`.
std::vector<pid_t> Pids(const std::string& output, size_t count) {
  std::vector<pid_t> pids;
  size_t begin = 0;
  for (size_t end = 0; (end = output.find('\n', begin)) != std::string::npos; begin = end + 1) {
    pids.push_back(std::stoi(output.substr(begin, end - begin)));
  }
  return pids.size() == count ? pids : std::vector<pid_t>();
}

bool Gone(pid_t pid) {
  const char state = StateOf(pid);
  return state == 0 || state == 'Z' || state == 'X';
}

TEST_P(ProcessTest, KillTakesGrandchildrenAlong) {
  const auto process = Spawn(Shell("sleep 1000 & echo $!; (sleep 1000 & echo $!; wait) & wait"));
  std::vector<pid_t> pids;
  ASSERT_TRUE(TurnUntil([&] { return !(pids = Pids(record_.output, 2)).empty(); }));
  process->Kill(SIGTERM);
  // Whoever holds the pipe is gone, too, or the output would not end.
  ASSERT_TRUE(AwaitEnd());
  EXPECT_TRUE(WIFSIGNALED(record_.end->status));
  for (const pid_t pid : pids) {
    EXPECT_TRUE(TurnUntil([&] { return Gone(pid); })) << pid;
  }
}

TEST_P(ProcessTest, KillReachesTheGroupOfOneThatHasEnded) {
  const auto process = Spawn(Shell("sleep 1000 & echo $!"));
  ASSERT_TRUE(TurnUntil([&] { return record_.end.has_value(); }));
  std::vector<pid_t> pids;
  ASSERT_TRUE(TurnUntil([&] { return !(pids = Pids(record_.output, 1)).empty(); }));
  EXPECT_FALSE(Gone(pids[0]));
  EXPECT_FALSE(record_.output_ended);
  process->Kill(SIGKILL);
  ASSERT_TRUE(AwaitEnd());
  EXPECT_TRUE(TurnUntil([&] { return Gone(pids[0]); }));
}

TEST_P(ProcessTest, DestroyedItsGroupIsKilledAndNoZombieStays) {
  auto process = Spawn(Shell("sleep 1000 & echo $!; wait"));
  const pid_t pid = process->pid();
  std::vector<pid_t> pids;
  ASSERT_TRUE(TurnUntil([&] { return !(pids = Pids(record_.output, 1)).empty(); }));
  process.reset();
  ASSERT_TRUE(TurnUntil([&] { return StateOf(pid) == 0; }));
  EXPECT_TRUE(TurnUntil([&] { return Gone(pids[0]); }));
  EXPECT_FALSE(record_.end.has_value());
}

TEST_P(ProcessTest, LoopThatEndsLeavesNoZombie) {
  auto process = Spawn(Shell("exec sleep 1000"));
  const pid_t pid = process->pid();
  process.reset();
  DestroyLoop();
  EXPECT_EQ(StateOf(pid), 0);
}

TEST_P(ProcessTest, MayBeDestroyedInEachOfItsCallbacks) {
  for (int which = 0; which < 4; ++which) {
    SCOPED_TRACE(which);
    std::unique_ptr<Process> process;
    pid_t pid = -1;
    int calls = 0;
    const auto destroy = [&](int callback) {
      if (callback != which || process == nullptr) return;
      ++calls;
      process.reset();
    };
    ProcessOptions options = Shell("echo output; echo error >&2; read line; exit 0");
    options.input = options.error = Stream::kPipe;
    auto spawned = Process::Spawn(loop(), options,
                                  {.on_output = [&](std::string_view) { destroy(0); },
                                   .on_error_output = [&](std::string_view) { destroy(1); },
                                   .on_input_drained = [&] { destroy(2); },
                                   .on_ended = [&](const ProcessEnd&) { destroy(3); }});
    ASSERT_TRUE(spawned.ok()) << spawned.status();
    process = *std::move(spawned);
    pid = process->pid();
    process->input()->Write("line\n");
    ASSERT_TRUE(TurnUntil([&] { return process == nullptr; }));
    EXPECT_EQ(calls, 1);
    ASSERT_TRUE(TurnUntil([&] { return StateOf(pid) == 0; }));
  }
}

TEST_P(ProcessTest, NoDescriptorLeaksIntoTheProgramOrStaysBehind) {
  const DescriptorLeakCheck leaks;
  // Opened without O_CLOEXEC by code that does not know of children.
  const Fd careless(::open("/dev/null", O_RDONLY));
  const Fd high(::fcntl(careless.get(), F_DUPFD, 600));
  ProcessOptions options = Shell("exec ls -l /proc/self/fd");
  options.input = options.error = Stream::kPipe;
  auto process = Spawn(options);
  ASSERT_TRUE(AwaitEnd());
  // 0, 1, 2 and the directory that ls reads, behind a line of its own.
  EXPECT_EQ(std::count(record_.output.begin(), record_.output.end(), '\n'), 5) << record_.output;
  EXPECT_EQ(record_.output.find("/dev/null"), std::string::npos) << record_.output;
  process.reset();
  for (int i = 0; i < 20; ++i) {
    process = Spawn(options);
    process.reset();
    options.program = "/no/such/program";
    EXPECT_EQ(CodeOf(options), absl::StatusCode::kNotFound);
    options.program = "/bin/sh";
  }
  ASSERT_TRUE(TurnUntil([] { return ChildrenOf(::getpid()).empty(); }));
  const_cast<Fd&>(careless).Reset();
  const_cast<Fd&>(high).Reset();
  leaks.ExpectNoneLeaked();
}

TEST_P(ProcessTest, StreamsFindTheirPlacesWhereThisProcessHasNone) {
  const std::string found = InChild([&]() -> std::string {
    ::close(STDIN_FILENO);
    ::close(STDOUT_FILENO);
    ::close(STDERR_FILENO);
    auto own = MakeLoop();
    if (own == nullptr) return "no loop";
    Record record;
    ProcessOptions options = Shell("read line; echo \"out $line\"; echo error >&2");
    options.input = options.error = Stream::kPipe;
    auto process = Process::Spawn(*own, options, record.Events());
    if (!process.ok()) return process.status().ToString();
    (*process)->input()->Write("word\n");
    for (int i = 0; i < 1000 && !(record.output_ended && record.error_ended); ++i) {
      own->RunOnce(std::chrono::milliseconds(20));
    }
    return record.output + record.error;
  });
  EXPECT_EQ(found, "out word\nerror\n");
}

TEST_P(ProcessTest, SignalsAreAsForANewProgram) {
  sigset_t blocked;
  sigset_t before;
  ::sigemptyset(&blocked);
  for (const int signo : {SIGTERM, SIGCHLD, SIGUSR1}) ::sigaddset(&blocked, signo);
  ASSERT_EQ(::pthread_sigmask(SIG_BLOCK, &blocked, &before), 0);
  const auto old_pipe = ::signal(SIGPIPE, SIG_IGN);
  const auto old_hangup = ::signal(SIGHUP, SIG_IGN);
  const auto process = Spawn(Shell("grep -E '^Sig(Blk|Ign)' /proc/self/status"));
  ::signal(SIGPIPE, old_pipe);
  ::signal(SIGHUP, old_hangup);
  ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
  ASSERT_TRUE(AwaitEnd());
  EXPECT_TRUE(record_.output.starts_with("SigBlk:\t0000000000000000\nSigIgn:\t")) << record_.output;
  // posix_spawn(3) may leave those ignored that the C library keeps for itself.
  constexpr uint64_t kInternal = uint64_t{3} << (32 - 1);
  const std::string ignored = record_.output.substr(record_.output.rfind('\t') + 1);
  EXPECT_EQ(std::stoull(ignored, nullptr, 16) & ~kInternal, 0U) << ignored;
}

TEST_P(ProcessTest, ManyAtOnceLeaveNoZombie) {
  const int count = Scaled(100);
  std::vector<Record> records(static_cast<size_t>(count));
  std::vector<std::unique_ptr<Process>> processes;
  for (int i = 0; i < count; ++i) {
    auto process = Process::Spawn(loop(), Shell("echo " + std::to_string(i)),
                                  records[static_cast<size_t>(i)].Events());
    ASSERT_TRUE(process.ok()) << process.status();
    processes.push_back(*std::move(process));
  }
  ASSERT_TRUE(TurnUntil([&] {
    return std::all_of(records.begin(), records.end(),
                       [](const Record& r) { return r.end.has_value() && r.output_ended; });
  }));
  for (int i = 0; i < count; ++i) {
    EXPECT_EQ(records[static_cast<size_t>(i)].output, std::to_string(i) + "\n");
  }
  processes.clear();
  EXPECT_TRUE(ChildrenOf(::getpid()).empty());
}

TEST_P(ProcessTest, WorksWithoutDescriptorsOfProcesses) {
  const std::string found = InChild([&]() -> std::string {
    if (!InstallSyscallRule({.number = SYS_pidfd_open, .error = ENOSYS})) return "no filter";
    auto own = MakeLoop();
    if (own == nullptr) return "no loop";
    Record record;
    auto process = Process::Spawn(*own, Shell("echo text; exit 6"), record.Events());
    if (!process.ok()) return process.status().ToString();
    for (int i = 0; i < 1000 && !(record.output_ended && record.end.has_value()); ++i) {
      own->RunOnce(std::chrono::milliseconds(20));
    }
    process->reset();
    if (!record.end.has_value() || !ChildrenOf(::getpid()).empty()) return "not ended";
    return record.output + std::to_string(WEXITSTATUS(record.end->status));
  });
  EXPECT_EQ(found, "text\n6");
}

TEST_P(ProcessTest, RefusedForkIsAnErrorAndLeavesNothing) {
  if (::geteuid() != 0) GTEST_SKIP() << "needs to become another user";
  const std::string found = InChild([&]() -> std::string {
    constexpr uid_t kNobody = 65534;
    const rlimit none = {.rlim_cur = 0, .rlim_max = 0};
    auto own = MakeLoop();
    if (own == nullptr) return "no loop";
    if (::setrlimit(RLIMIT_NPROC, &none) != 0 || ::setuid(kNobody) != 0) return "no other user";
    Record record;
    const size_t before = OpenDescriptors().size();
    const auto process = Process::Spawn(*own, Shell("exit 0"), record.Events());
    while (own->RunOnce(Duration::zero())) {
    }
    if (OpenDescriptors().size() != before) return "a descriptor was leaked";
    return process.status().ToString();
  });
  EXPECT_TRUE(found.starts_with("RESOURCE_EXHAUSTED: ")) << found;
  EXPECT_NE(found.find("EAGAIN"), std::string::npos) << found;
}

TEST_P(ProcessTest, WithoutDescriptorsItIsAnErrorAndLeavesNothing) {
  const std::string found = InChild([&]() -> std::string {
    auto own = MakeLoop();
    if (own == nullptr) return "no loop";
    const rlimit few = {.rlim_cur = 256, .rlim_max = 256};
    ::setrlimit(RLIMIT_NOFILE, &few);
    std::vector<int> taken;
    for (int fd = 0; (fd = ::open("/dev/null", O_RDONLY | O_CLOEXEC)) >= 0;) taken.push_back(fd);
    ProcessOptions options = Shell("exit 0");
    options.input = options.error = Stream::kPipe;
    // One more each time, until there are enough of them.
    for (int freed = 0; !taken.empty(); ++freed) {
      Record record;
      auto process = Process::Spawn(*own, options, record.Events());
      if (process.ok()) return freed > 5 ? "started" : "too early";
      if (process.status().code() != absl::StatusCode::kResourceExhausted) {
        return process.status().ToString();
      }
      while (own->RunOnce(Duration::zero())) {
      }
      ::close(taken.back());
      taken.pop_back();
    }
    return "never";
  });
  EXPECT_EQ(found, "started");
}

}  // namespace
}  // namespace quintet::testing
