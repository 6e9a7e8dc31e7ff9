#include "reactor/backend_factory.h"

#include <errno.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <barrier>
#include <string>
#include <thread>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/reactor/syscall_filter.h"
#include "tests/reactor/uring_support.h"

namespace quintet {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::StartsWith;

constexpr long kSetup = __NR_io_uring_setup;

// What kAuto finds out holds for the whole process: each question is asked in a process of its own.
// Prints what was not as expected; the child's exit status is the number of such things.
class Expectations {
 public:
  template <typename Value, typename Matcher>
  void That(const Value& value, const Matcher& matcher, const char* what) {
    const ::testing::Matcher<const Value&> expected = matcher;
    if (expected.Matches(value)) return;
    ++failures_;
    std::fprintf(stderr, "%s: %s\n", what, ::testing::PrintToString(value).c_str());
  }
  int failures() const { return failures_; }

 private:
  int failures_ = 0;
};

struct Log {
  LogFunction function() {
    return [this](LogLevel level, std::string_view message) {
      EXPECT_EQ(level, LogLevel::kWarning);
      lines.emplace_back(message);
    };
  }
  std::vector<std::string> lines;
};

constexpr int kNoFilter = 77;

// Promise 1.
TEST(BackendFactoryTest, AutoFallsBackOncePerProcessAndSaysWhy) {
  for (const int error : {ENOSYS, EPERM, EOPNOTSUPP, ENOMEM, EINVAL}) {
    const int status = RunInChild([error] {
      if (!InstallSyscallRule({.number = kSetup, .error = error})) return kNoFilter;
      Expectations expect;
      SteadyClock clock;
      Log log;
      BackendOptions options{.kind = BackendKind::kAuto, .uring = {}, .log = log.function()};
      expect.That(AutoFallbackReason(), IsEmpty(), "reason before");
      const std::string words =
          std::string("io_uring: io_uring_setup: ") + ::strerrorname_np(error) + " (";
      for (int i = 0; i < 3; ++i) {
        auto backend = CreateBackend(options, clock);
        expect.That(backend.ok(), true, "falls back");
        if (!backend.ok()) return 1;
        expect.That((*backend)->kind() == BackendKind::kEpollEt, true, "to epoll_et");
      }
      expect.That(AutoFallbackReason(), StartsWith(words), "reason");
      expect.That(log.lines.size(), size_t{1}, "said once");
      if (log.lines.empty()) return 1;
      expect.That(log.lines[0], StartsWith(words), "log");
      expect.That(log.lines[0], HasSubstr("using epoll_et"), "log");

      // Explicitly: the same words, as an error.
      options.kind = BackendKind::kIoUring;
      const absl::Status refused = CreateBackend(options, clock).status();
      expect.That(refused.code() == absl::StatusCode::kUnavailable, true, "code");
      expect.That(std::string(refused.message()), AutoFallbackReason(), "same words");
      return expect.failures();
    });
    if (status == kNoFilter) GTEST_SKIP() << "no seccomp filters here";
    EXPECT_EQ(status, 0) << ::strerrorname_np(error);
  }
}

// Shards that start together get one answer and one line.
TEST(BackendFactoryTest, AutoIsAskedByManyThreadsAtOnce) {
  const int status = RunInChild([] {
    if (!InstallSyscallRule({.number = kSetup, .error = ENOSYS})) return kNoFilter;
    std::atomic<int> lines{0};
    std::atomic<int> wrong{0};
    std::barrier start(8);
    std::vector<std::thread> shards;
    for (int i = 0; i < 8; ++i) {
      shards.emplace_back([&] {
        SteadyClock clock;
        BackendOptions options;
        start.arrive_and_wait();
        options.log = [&](LogLevel, std::string_view) { ++lines; };
        auto backend = CreateBackend(options, clock);
        if (!backend.ok() || (*backend)->kind() != BackendKind::kEpollEt) ++wrong;
      });
    }
    for (std::thread& shard : shards) shard.join();
    return wrong == 0 && lines == 1 ? 0 : 1;
  });
  if (status == kNoFilter) GTEST_SKIP() << "no seccomp filters here";
  EXPECT_EQ(status, 0);
}

// Sizes that make no sense are no reason to serve on something else.
TEST(BackendFactoryTest, AutoDoesNotHideAMistakeInTheOptions) {
  QUINTET_REQUIRE_URING();
  SteadyClock clock;
  BackendOptions options;
  options.uring.recv_buffers = 3;
  EXPECT_EQ(CreateBackend(options, clock).status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(AutoFallbackReason(), "");
}

TEST(BackendFactoryTest, AutoTakesIoUringWhereItWorks) {
  QUINTET_REQUIRE_URING();
  SteadyClock clock;
  auto backend = CreateBackend({}, clock);
  ASSERT_TRUE(backend.ok()) << backend.status();
  EXPECT_EQ((*backend)->kind(), BackendKind::kIoUring);
  EXPECT_EQ(AutoFallbackReason(), "");
}

// Promise 2.
TEST(BackendFactoryTest, AnExplicitReadinessBackendMakesNoUringSystemCall) {
  for (const BackendKind kind :
       {BackendKind::kSelect, BackendKind::kPoll, BackendKind::kEpollLt, BackendKind::kEpollEt}) {
    const int status = RunInChild([kind] {
      for (const long call : {__NR_io_uring_setup, __NR_io_uring_enter, __NR_io_uring_register}) {
        if (!InstallSyscallRule({.number = call})) return kNoFilter;
      }
      SteadyClock clock;
      auto backend = CreateBackend({.kind = kind, .uring = {}, .log = {}}, clock);
      if (!backend.ok() || (*backend)->kind() != kind) return 1;
      if (!(*backend)->BindToThread().ok()) return 2;
      const auto [a, b] = UnixPair();
      RecordingSource source(a);
      if (!(*backend)->Add(source).ok()) return 3;
      (*backend)->StartRecv(source);
      if (::write(b, "x", 1) != 1) return 4;
      Completion completion{};
      while (source.received.empty()) {
        (*backend)->Wait(kNever);
        while ((*backend)->Next(&completion)) completion.source->OnCompletion(completion);
      }
      (*backend)->CloseAll();
      while ((*backend)->attached_sources() > 0) {
        (*backend)->Wait(kPollOnly);
        while ((*backend)->Next(&completion)) completion.source->OnCompletion(completion);
      }
      return 0;
    });
    if (status == kNoFilter) GTEST_SKIP() << "no seccomp filters here";
    EXPECT_EQ(status, 0) << BackendName(kind);
  }
  // The filter itself: io_uring does not get past it.
  const int status = RunInChild([] {
    InstallSyscallRule({.number = kSetup});
    SteadyClock clock;
    static_cast<void>(
        CreateBackend({.kind = BackendKind::kIoUring, .uring = {}, .log = {}}, clock));
    return 0;
  });
  EXPECT_EQ(status, 128 + SIGSYS);
}

TEST(BackendFactoryTest, EachKindIsWhatWasAskedFor) {
  SteadyClock clock;
  for (const BackendKind kind : kRealBackends) {
    if (kind == BackendKind::kIoUring && !UringMissing().empty()) continue;
    auto backend = CreateBackend({.kind = kind, .uring = {}, .log = {}}, clock);
    ASSERT_TRUE(backend.ok()) << backend.status();
    EXPECT_EQ((*backend)->kind(), kind);
  }
  EXPECT_EQ(
      CreateBackend({.kind = BackendKind::kSim, .uring = {}, .log = {}}, clock).status().code(),
      absl::StatusCode::kInvalidArgument);
}

TEST(BackendFactoryTest, ListsAllFiveWithTheReasonOfWhatDoesNotWork) {
  const std::vector<BackendAvailability> here = AvailableBackends();
  ASSERT_EQ(here.size(), kRealBackends.size());
  for (size_t i = 0; i < here.size(); ++i) {
    EXPECT_EQ(here[i].kind, kRealBackends[i]);
    EXPECT_EQ(here[i].available, here[i].reason.empty());
  }
  EXPECT_EQ(here.back().reason, UringMissing());

  std::vector<BackendAvailability> elsewhere;
  const bool ran = RunWithSyscallRule({.number = kSetup, .error = EPERM},
                                      [&] { elsewhere = AvailableBackends(); });
  if (!ran) GTEST_SKIP() << "no seccomp filters here";
  ASSERT_EQ(elsewhere.size(), kRealBackends.size());
  for (size_t i = 0; i + 1 < elsewhere.size(); ++i) EXPECT_TRUE(elsewhere[i].available);
  EXPECT_FALSE(elsewhere.back().available);
  EXPECT_THAT(elsewhere.back().reason, StartsWith("io_uring: io_uring_setup: EPERM ("));
}

}  // namespace
}  // namespace quintet
