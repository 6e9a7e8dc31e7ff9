// File requests under the simulator: no threads, virtual time, the same again for the same seed.
#include <errno.h>
#include <fcntl.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "reactor/event_loop.h"
#include "reactor/sim/sim_backend.h"
#include "reactor/sim/sim_network.h"
#include "tests/support/descriptors.h"
#include "tests/support/scratch_directory.h"

namespace quintet::testing {
namespace {

using namespace std::chrono_literals;

constexpr open_how kReadOnly{.flags = O_RDONLY, .mode = 0, .resolve = 0};

class SimFileTest : public DescriptorLeakTest {
 protected:
  static std::unique_ptr<EventLoop> MakeLoop(SimNetwork& network) {
    return EventLoop::CreateWith(std::make_unique<SimBackend>(network), network.clock());
  }

  ScratchDirectory directory_;
};

TEST_F(SimFileTest, PerformsEverythingOnTheLoopsThreadInALaterTurn) {
  SimNetwork network;
  const auto loop = MakeLoop(network);
  const std::string path = directory_ / "a";
  WriteFile(path, "abc");
  std::vector<int64_t> results;
  const auto note = [&](int64_t result) { results.push_back(result); };
  const Fd file(::open(path.c_str(), O_RDWR | O_CLOEXEC));
  char buffer[8] = {};
  loop->StartFile(FileRequest::Read(file.get(), buffer, sizeof(buffer), 1), note);
  loop->StartFile(FileRequest::Unlink(AT_FDCWD, path.c_str()), note);
  loop->StartFile(FileRequest::Call([self = std::this_thread::get_id()] {
                    return std::this_thread::get_id() == self ? 1 : 0;
                  }),
                  note);
  loop->StartFile(FileRequest::Sync(-1), note);
  EXPECT_TRUE(results.empty());
  const TimePoint before = network.Now();
  EXPECT_TRUE(loop->RunOnce(1s));
  EXPECT_EQ(results, (std::vector<int64_t>{2, 0, 1, -EBADF}));
  EXPECT_STREQ(buffer, "bc");
  EXPECT_LT(network.Now() - before, 1ms) << "a well-behaved disk is quick";
}

// What becomes of a few requests, when, and in which order.
std::vector<std::string> TraceOf(uint64_t seed) {
  SimOptions options;
  options.seed = seed;
  options.faults = SimFaults::Hostile();
  SimNetwork network(options);
  const auto loop = EventLoop::CreateWith(std::make_unique<SimBackend>(network), network.clock());
  std::vector<std::string> trace;
  int left = 40;
  for (int i = 0; i < 20; ++i) {
    const auto note = [&, i](int64_t result) {
      trace.push_back(std::to_string(i) + "=" + std::to_string(result) + "@" +
                      std::to_string(network.Now().time_since_epoch().count()));
      --left;
    };
    loop->StartFile(FileRequest::Call([i] { return i; }), note);
    loop->StartFile(FileRequest::Unlink(AT_FDCWD, "/nowhere/at/all"), note);
  }
  while (left > 0) loop->RunOnce(1s);
  return trace;
}

TEST_F(SimFileTest, TheSameSeedTheSameOrderAndTimes) {
  for (uint64_t seed = 1; seed <= 20; ++seed) EXPECT_EQ(TraceOf(seed), TraceOf(seed)) << seed;
  EXPECT_NE(TraceOf(1), TraceOf(2));
}

TEST_F(SimFileTest, AHostileDiskTakesItsTime) {
  const std::vector<std::string> trace = TraceOf(1);
  const auto time = [](const std::string& line) { return line.substr(line.find('@')); };
  EXPECT_NE(time(trace.front()), time(trace.back()));
}

TEST_F(SimFileTest, TheEndDropsWhatIsThere) {
  SimNetwork network;
  auto loop = MakeLoop(network);
  auto owned = std::make_shared<int>(0);
  for (int i = 0; i < 3; ++i) {
    loop->StartFile(FileRequest::Open(AT_FDCWD, "/dev/null", kReadOnly),
                    [owned](int64_t) { ADD_FAILURE(); });
  }
  EXPECT_EQ(owned.use_count(), 4);
  loop.reset();
  EXPECT_EQ(owned.use_count(), 1);
}

TEST_F(SimFileTest, WhatIsOpenAndNotToldIsClosed) {
  SimNetwork network;
  EventLoopOptions options;
  options.max_completions_per_turn = 1;
  auto loop = EventLoop::CreateWith(std::make_unique<SimBackend>(network), network.clock(),
                                    std::move(options));
  int opened = 0;
  for (int i = 0; i < 3; ++i) {
    loop->StartFile(FileRequest::Open(AT_FDCWD, "/dev/null", kReadOnly), [&](int64_t fd) {
      ++opened;
      const Fd closed(static_cast<int>(fd));
    });
  }
  loop->RunOnce(1ms);
  EXPECT_EQ(opened, 1);
  loop.reset();  // the fixture looks for the other two
}

}  // namespace
}  // namespace quintet::testing
