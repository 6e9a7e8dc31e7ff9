#include "net/models/signal_relay.h"

#include <errno.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <atomic>
#include <memory>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "tests/support/descriptors.h"
#include "tests/support/in_child.h"

namespace quintet::testing {
namespace {

// What was added to it since the last time.
uint64_t Take(const Fd& eventfd) {
  uint64_t value = 0;
  return ::read(eventfd.get(), &value, sizeof(value)) == sizeof(value) ? value : 0;
}

Fd MakeEventfd() { return Fd(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)); }

std::atomic<int> former_calls = 0;
void SetFormer() {
  former_calls = 0;
  ::signal(SIGUSR1, [](int) { ++former_calls; });
}

class SignalRelayTest : public DescriptorLeakTest {
 protected:
  void TearDown() override {
    ::signal(SIGUSR1, SIG_DFL);
    fd.Reset();
    DescriptorLeakTest::TearDown();
  }
  std::unique_ptr<SignalRelay> Relay(SignalRelay::Former former) {
    auto relay = SignalRelay::Create(SIGUSR1, fd.get(), 7, former);
    EXPECT_TRUE(relay.ok()) << relay.status();
    return *std::move(relay);
  }

  Fd fd = MakeEventfd();
};

TEST_F(SignalRelayTest, AddsItsValueAndCallsTheFormerHandlerIfAsked) {
  for (const auto& [former, calls] :
       {std::pair(SignalRelay::Former::kCalled, 1), std::pair(SignalRelay::Former::kSilenced, 0)}) {
    SetFormer();
    {
      const auto relay = Relay(former);
      ::raise(SIGUSR1);
      EXPECT_EQ(Take(fd), 7U);
      EXPECT_EQ(former_calls, calls);
    }
    ::raise(SIGUSR1);
    EXPECT_EQ(Take(fd), 0U);
    EXPECT_EQ(former_calls, calls + 1) << "it is back";
  }
}

TEST_F(SignalRelayTest, NoSuchSignal) {
  EXPECT_TRUE(absl::IsInvalidArgument(
      SignalRelay::Create(0, fd.get(), 1, SignalRelay::Former::kCalled).status()));
}

// What the host forks has the handler, but is not whom the signal is about.
TEST_F(SignalRelayTest, AForkedProcessHasTheFormerHandlingAgain) {
  for (const auto former : {SignalRelay::Former::kCalled, SignalRelay::Former::kSilenced}) {
    SetFormer();
    const auto relay = Relay(former);
    EXPECT_EQ(InChild([] {
                ::raise(SIGUSR1);
                ::raise(SIGUSR1);
                return absl::StrCat(former_calls.load());
              }),
              "2");
    EXPECT_EQ(Take(fd), 0U) << "the signal of another process was relayed";
    ::raise(SIGUSR1);
    EXPECT_EQ(Take(fd), 7U);
  }
}

TEST_F(SignalRelayTest, AForkedProcessDiesOfASignalThatIsDeadly) {
  const auto relay = Relay(SignalRelay::Former::kSilenced);
  ForkedProcess child([] {
    ::raise(SIGUSR1);
    return 0;
  });
  EXPECT_EQ(child.Wait(), 128 + SIGUSR1);
  EXPECT_EQ(Take(fd), 0U);
}

// Whoever forks may make relays of its own.
TEST_F(SignalRelayTest, AForkedProcessMayHaveItsOwn) {
  SetFormer();
  auto relay = Relay(SignalRelay::Former::kSilenced);
  EXPECT_EQ(InChild([&relay]() -> std::string {
              ::raise(SIGUSR1);  // puts the former handling back
              const Fd own = MakeEventfd();
              const auto own_relay =
                  SignalRelay::Create(SIGUSR1, own.get(), 3, SignalRelay::Former::kSilenced);
              relay.reset();  // of the other process: that changes nothing here
              ::raise(SIGUSR1);
              return absl::StrCat(own_relay.ok(), " ", Take(own), " ", former_calls.load());
            }),
            "1 3 1");
  EXPECT_EQ(Take(fd), 0U);
}

}  // namespace
}  // namespace quintet::testing
