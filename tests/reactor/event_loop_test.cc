#include "reactor/event_loop.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <functional>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "reactor/backend_factory.h"
#include "tests/support/loop_test.h"
#include "tests/support/recording_source.h"
#include "tests/support/sanitizers.h"

namespace quintet::testing {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::seconds;

using EventLoopTest = LoopTest;
INSTANTIATE_TEST_SUITE_P(Backends, EventLoopTest, AllBackends(), KindName);
using EventLoopDeathTest = LoopTest;
INSTANTIATE_TEST_SUITE_P(Backends, EventLoopDeathTest, AllBackends(), KindName);

TEST_P(EventLoopTest, StopBeforeRunMakesItReturnAtOnce) {
  loop().Stop();
  loop().Run();
  EXPECT_EQ(loop().stats().turns, 0U);
}

TEST_P(EventLoopTest, StopFromCallbacksAndRunAgain) {
  int tasks = 0;
  for (int i = 0; i < 3; ++i) {
    loop().Post([&] {
      ++tasks;
      loop().Stop();
      loop().Stop();
    });
    loop().Run();
  }
  EXPECT_EQ(tasks, 3);
  loop().RunAfter(milliseconds(1), [&] { loop().Stop(); });
  loop().Run();
  loop().Defer([&] { loop().Stop(); });
  loop().Run();
}

TEST_P(EventLoopTest, StopFromAnotherThread) {
  for (int i = 0; i < 50; ++i) {
    std::thread stopper([&] { loop().Stop(); });
    loop().Run();
    stopper.join();
  }
}

EventLoop* stopped_by_handler = nullptr;

TEST_P(EventLoopTest, StopFromASignalHandler) {
  if (kThreadSanitizer) GTEST_SKIP() << "TSan holds signals back while a call blocks";
  stopped_by_handler = &loop();
  struct sigaction action {};
  struct sigaction before {};
  action.sa_handler = [](int) { stopped_by_handler->Stop(); };
  ASSERT_EQ(::sigaction(SIGUSR1, &action, &before), 0);
  const pthread_t self = ::pthread_self();
  std::thread sender([&] {
    std::this_thread::sleep_for(milliseconds(20));
    ::pthread_kill(self, SIGUSR1);
  });
  loop().Run();
  sender.join();
  ::sigaction(SIGUSR1, &before, nullptr);
}

TEST_P(EventLoopTest, TasksRunInTheOrderOfPosting) {
  std::string order;
  for (const char c : {'a', 'b', 'c'}) loop().Post([&order, c] { order += c; });
  ASSERT_TRUE(TurnUntil([&] { return order.size() == 3; }));
  EXPECT_EQ(order, "abc");
  EXPECT_EQ(loop().stats().tasks, 3U);
}

TEST_P(EventLoopTest, PostsOfManyThreadsAreNeitherLostNorReordered) {
  constexpr size_t kThreads = 4;
  const int per_thread = Scaled(100'000);
  std::vector<int> next(kThreads, 0);
  size_t done = 0;
  bool ordered = true;
  std::vector<std::thread> threads;
  for (size_t t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < per_thread; ++i) {
        loop().Post([&, t, i] {
          ordered = ordered && next[t] == i;
          if (++next[t] == per_thread && ++done == kThreads) loop().Stop();
        });
      }
    });
  }
  loop().Run();
  for (std::thread& thread : threads) thread.join();
  EXPECT_TRUE(ordered);
  EXPECT_EQ(loop().stats().tasks, kThreads * static_cast<uint64_t>(per_thread));
}

TEST_P(EventLoopTest, PostWakesASleepingLoopEachTime) {
  const int rounds = Scaled(5000);
  std::atomic<int> ran = 0;
  std::thread poster([&] {
    for (int i = 1; i <= rounds; ++i) {
      loop().Post([&] { ++ran; });
      while (ran < i) std::this_thread::yield();
    }
    loop().Stop();
  });
  loop().Run();
  poster.join();
  EXPECT_EQ(ran, rounds);
}

TEST_P(EventLoopTest, BoundedPostsAreRefusedWhereThereIsNoRoom) {
  constexpr size_t kLimit = 3;
  const auto token = std::make_shared<int>(0);
  size_t ran = 0;
  for (size_t i = 0; i < kLimit; ++i) {
    EXPECT_TRUE(loop().TryPost([token, &ran] { ++ran; }, kLimit));
  }
  EXPECT_FALSE(loop().TryPost([token] { ADD_FAILURE(); }, kLimit));
  EXPECT_EQ(token.use_count(), 1 + static_cast<long>(kLimit)) << "the refused task lives on";
  loop().Post([token, &ran] { ++ran; });  // no bound
  loop().RunOnce(Duration::zero());
  EXPECT_EQ(ran, kLimit + 1);
  EXPECT_EQ(token.use_count(), 1);
  EXPECT_TRUE(loop().TryPost([] {}, 1));
}

TEST_P(EventLoopTest, BoundedPostWakesASleepingLoopEachTime) {
  const int rounds = Scaled(5000);
  std::atomic<int> ran = 0;
  std::thread poster([&] {
    for (int i = 1; i <= rounds; ++i) {
      // The one before has run, so there is room.
      EXPECT_TRUE(loop().TryPost([&] { ++ran; }, 1));
      while (ran < i) std::this_thread::yield();
    }
    loop().Stop();
  });
  loop().Run();
  poster.join();
  EXPECT_EQ(ran, rounds);
}

TEST_P(EventLoopTest, TaskThatPostsItselfStarvesNeitherTimersNorReaders) {
  SocketPair pair = MakeUnixPair();
  bool timer = false;
  bool readable = false;
  struct Forever {
    EventLoop& loop;
    const bool& stop;
    void operator()() {
      if (!stop) loop.Post(*this);
    }
  };
  bool stop = false;
  loop().Post(Forever{loop(), stop});
  loop().RunAfter(milliseconds(1), [&] { timer = true; });
  auto watch = loop().Watch(pair.ours.get(), Readiness::kReadable, Trigger::kLevel,
                            [&](Readiness) { readable = true; });
  ASSERT_TRUE(watch.ok());
  ASSERT_TRUE(SendAll(pair.peer.get(), "x"));
  EXPECT_TRUE(TurnUntil([&] { return timer && readable; }));
  stop = true;
  loop().RunOnce(Duration::zero());
}

TEST_P(EventLoopTest, DeferredTasksRunAtTheEndOfTheTurn) {
  std::string order;
  loop().Post([&] {
    loop().Defer([&] { order += 'd'; });
    order += 'a';
  });
  loop().Post([&] { order += 'b'; });
  loop().RunOnce(Duration::zero());
  EXPECT_EQ(order, "abd");
  // What is deferred while deferred tasks run has its turn too, and the loop does not sleep over
  // it.
  int left = 3;
  std::function<void()> again = [&] {
    if (--left > 0) loop().Defer(again);
  };
  loop().Defer(again);
  loop().RunOnce(hours(1));
  EXPECT_EQ(left, 1);
  loop().RunOnce(Duration::zero());
  EXPECT_EQ(left, 0);
}

TEST_P(EventLoopTest, TimersFireInOrderAndNeverEarly) {
  std::vector<int> fired;
  const TimePoint start = loop().clock().Now();
  const auto at = [&](int ms) {
    loop().RunAt(start + milliseconds(ms), [&, ms] {
      EXPECT_GE(loop().clock().Now(), start + milliseconds(ms));
      fired.push_back(ms);
    });
  };
  for (const int ms : {40, 5, 20, 0, 60}) at(ms);
  loop().RunAfter(-seconds(1), [&] { fired.push_back(-1); });
  ASSERT_TRUE(TurnUntil([&] { return fired.size() == 6; }));
  std::erase(fired, -1);
  EXPECT_EQ(fired, (std::vector<int>{0, 5, 20, 40, 60}));
  EXPECT_EQ(loop().stats().timers, 6U);
}

TEST_P(EventLoopTest, CancelledTimersDoNotFire) {
  bool fired = false;
  bool other = false;
  const TimerHandle timer = loop().RunAfter(milliseconds(5), [&] { fired = true; });
  loop().RunAfter(milliseconds(30), [&] { other = true; });
  EXPECT_TRUE(loop().Cancel(timer));
  EXPECT_FALSE(loop().Cancel(timer));
  EXPECT_FALSE(loop().Cancel(TimerHandle()));
  ASSERT_TRUE(TurnUntil([&] { return other; }));
  EXPECT_FALSE(fired);
}

TEST_P(EventLoopTest, PeriodicTimersRepeatUntilCancelledFromInside) {
  int count = 0;
  TimerHandle timer;
  timer = loop().RunEvery(milliseconds(2), [&] {
    if (++count == 5) {
      EXPECT_TRUE(loop().Cancel(timer));
      loop().Stop();
    }
  });
  loop().Run();
  EXPECT_EQ(count, 5);
  loop().RunAfter(milliseconds(10), [&] { loop().Stop(); });
  loop().Run();
  EXPECT_EQ(count, 5);
}

TEST_P(EventLoopTest, IdleLoopMakesNoTurns) {
  loop().RunAfter(hours(1), [] {});
  loop().RunAfter(milliseconds(150), [&] { loop().Stop(); });
  loop().Run();
  // The wheel may move a far timer to a lower level now and then.
  EXPECT_LE(loop().stats().turns, 12U);
}

TEST_P(EventLoopTest, WatchedDescriptorIsReportedAndStaysOpen) {
  SocketPair pair = MakeUnixPair();
  int calls = 0;
  auto watch =
      loop().Watch(pair.ours.get(), Readiness::kReadable, Trigger::kLevel, [&](Readiness ready) {
        EXPECT_TRUE(Any(ready & Readiness::kReadable));
        char byte;
        EXPECT_EQ(::read(pair.ours.get(), &byte, 1), 1);
        ++calls;
      });
  ASSERT_TRUE(watch.ok()) << watch.status();
  ASSERT_TRUE(SendAll(pair.peer.get(), "abc"));
  ASSERT_TRUE(TurnUntil([&] { return calls == 3; }));
  ASSERT_TRUE((*watch)->Modify(Readiness::kNone, Trigger::kLevel).ok());
  ASSERT_TRUE(SendAll(pair.peer.get(), "d"));
  loop().RunOnce(milliseconds(10));
  loop().RunOnce(milliseconds(10));
  EXPECT_EQ(calls, 3);
  watch->reset();
  loop().RunOnce(milliseconds(5));
  EXPECT_TRUE(IsOpen(pair.ours.get()));
}

TEST_P(EventLoopTest, WatchOfNoDescriptorFails) {
  EXPECT_FALSE(loop().Watch(-1, Readiness::kReadable, Trigger::kLevel, [](Readiness) {}).ok());
  EXPECT_EQ(loop().backend().attached_sources(), 0U);
}

TEST_P(EventLoopTest, DescriptorMayBeWatchedAnewInTheTurnThatEndedItsWatch) {
  SocketPair pair = MakeUnixPair();
  int first = 0;
  int second = 0;
  WatcherPtr watcher;
  const auto watch = [&](int* reports) {
    auto made = loop().Watch(pair.ours.get(), Readiness::kReadable, Trigger::kLevel,
                             [reports](Readiness) { ++*reports; });
    ASSERT_TRUE(made.ok()) << made.status();
    watcher = *std::move(made);
  };
  watch(&first);
  loop().RunOnce(Duration::zero());
  watcher.reset();
  watch(&second);
  ASSERT_EQ(::send(pair.peer.get(), "x", 1, 0), 1);
  while (second == 0) loop().RunOnce(std::chrono::seconds(20));
  EXPECT_EQ(first, 0);
  watcher.reset();
  // And the number is known to be free afterwards.
  watch(&first);
  while (first == 0) loop().RunOnce(std::chrono::seconds(20));
  watcher.reset();
  loop().RunOnce(Duration::zero());
  EXPECT_EQ(loop().backend().attached_sources(), 0U);
}

TEST_P(EventLoopTest, RefusedWatchLeavesNothingBehind) {
  SocketPair pair = MakeUnixPair();
  auto first =
      loop().Watch(pair.ours.get(), Readiness::kReadable, Trigger::kLevel, [](Readiness) {});
  ASSERT_TRUE(first.ok());
  auto second =
      loop().Watch(pair.ours.get(), Readiness::kReadable, Trigger::kLevel, [](Readiness) {});
  EXPECT_EQ(second.status().code(), absl::StatusCode::kAlreadyExists);
  if (GetParam() == BackendKind::kSelect || GetParam() == BackendKind::kPoll) {
    auto edge =
        loop().Watch(pair.peer.get(), Readiness::kReadable, Trigger::kEdge, [](Readiness) {});
    EXPECT_EQ(edge.status().code(), absl::StatusCode::kUnimplemented);
    loop().RunOnce(Duration::zero());
    EXPECT_EQ(loop().backend().attached_sources(), 1U);
  }
}

// Both watches are ready in one turn; the first to run destroys both.
TEST_P(EventLoopTest, WatchMayDestroyItselfAndAnotherThatIsReady) {
  for (int round = 0; round < 20; ++round) {
    SocketPair pairs[2] = {MakeUnixPair(), MakeUnixPair()};
    WatcherPtr watches[2];
    int calls = 0;
    for (int i = 0; i < 2; ++i) {
      auto watch = loop().Watch(pairs[i].ours.get(), Readiness::kReadable, Trigger::kLevel,
                                [&, owned = std::make_unique<int>(i)](Readiness) {
                                  ++calls;
                                  watches[0].reset();
                                  watches[1].reset();
                                  EXPECT_TRUE(*owned == 0 || *owned == 1);
                                });
      ASSERT_TRUE(watch.ok());
      watches[i] = *std::move(watch);
      ASSERT_TRUE(SendAll(pairs[i].peer.get(), "x"));
    }
    ASSERT_TRUE(TurnUntil([&] { return loop().backend().attached_sources() == 0; }));
    EXPECT_EQ(calls, 1);
  }
}

TEST_P(EventLoopTest, ExceptionsAreCountedAndTheLoopGoesOn) {
  SocketPair pair = MakeUnixPair();
  int after = 0;
  loop().Post([] { throw std::runtime_error("task"); });
  loop().Post([&] { ++after; });
  loop().Defer([] { throw 1; });
  loop().Defer([&] { ++after; });
  loop().RunAfter(milliseconds(1), [] { throw std::runtime_error("timer"); });
  loop().RunAfter(milliseconds(1), [&] { ++after; });
  auto watch = loop().Watch(pair.ours.get(), Readiness::kReadable, Trigger::kLevel, [&](Readiness) {
    char byte;
    EXPECT_EQ(::read(pair.ours.get(), &byte, 1), 1);
    ++after;
    throw std::runtime_error("watch");
  });
  ASSERT_TRUE(watch.ok());
  ASSERT_TRUE(SendAll(pair.peer.get(), "xy"));
  ASSERT_TRUE(TurnUntil([&] { return after == 5; }));
  EXPECT_EQ(loop().stats().exceptions, 5U);
}

TEST_P(EventLoopTest, DestructionDestroysWhatNeverRan) {
  const auto token = std::make_shared<int>(0);
  loop().Post([token] { ADD_FAILURE(); });
  loop().Post([token, &loop = loop()] { loop.Post([token] { ADD_FAILURE(); }); });
  loop().RunAfter(hours(1), [token] { ADD_FAILURE(); });
  loop().RunEvery(hours(1), [token] { ADD_FAILURE(); });
  EXPECT_EQ(token.use_count(), 5);
  DestroyLoop();
  EXPECT_EQ(token.use_count(), 1);
}

TEST_P(EventLoopTest, WatchesMayOutliveTheLoopAndTasksMayOwnThem) {
  for (const bool run_first : {false, true}) {
    SocketPair a = MakeUnixPair();
    SocketPair b = MakeUnixPair();
    auto owned = MakeLoop();
    auto outliving =
        owned->Watch(a.ours.get(), Readiness::kReadable, Trigger::kLevel, [](Readiness) {});
    auto in_task =
        owned->Watch(b.ours.get(), Readiness::kReadable, Trigger::kLevel, [](Readiness) {});
    ASSERT_TRUE(outliving.ok() && in_task.ok());
    if (run_first) owned->RunOnce(Duration::zero());
    owned->Post([watch = *std::move(in_task)] { ADD_FAILURE(); });
    owned.reset();
    EXPECT_FALSE((*outliving)->attached());
    EXPECT_TRUE(IsOpen(a.ours.get()));
    EXPECT_TRUE(IsOpen(b.ours.get()));
  }
}

TEST_P(EventLoopTest, AttachedSourcesAreToldClosedAtTheEnd) {
  for (const bool run_first : {false, true}) {
    SocketPair pair = MakeTcpPair();
    RecordingSource source(pair.ours.Release());
    auto owned = MakeLoop();
    ASSERT_TRUE(owned->backend().Add(source).ok());
    owned->backend().StartRecv(source);
    if (run_first) owned->RunOnce(Duration::zero());
    owned.reset();
    EXPECT_EQ(source.Count(Op::kClosed), 1U);
    EXPECT_FALSE(source.attached());
    int error = -1;
    ReceiveToEnd(pair.peer.get(), &error);
    EXPECT_EQ(error, 0);
  }
}

TEST_P(EventLoopTest, MadeOnOneThreadRunOnAnother) {
  SocketPair pair = MakeUnixPair();
  int calls = 0;
  auto watch = loop().Watch(pair.ours.get(), Readiness::kReadable, Trigger::kLevel, [&](Readiness) {
    ++calls;
    loop().Stop();
  });
  ASSERT_TRUE(watch.ok());
  EXPECT_TRUE(loop().InLoopThread()) << "before the first turn it is nobody's";
  std::thread runner([&] {
    loop().Run();
    EXPECT_TRUE(loop().InLoopThread());
    watch->reset();
    loop().RunOnce(Duration::zero());
  });
  ASSERT_TRUE(SendAll(pair.peer.get(), "x"));
  runner.join();
  EXPECT_EQ(calls, 1);
  EXPECT_FALSE(loop().InLoopThread());
}

TEST_P(EventLoopTest, DestroyedOnAnotherThreadAfterItsOwnHasEnded) {
  SocketPair watched = MakeUnixPair();
  SocketPair pair = MakeTcpPair();
  RecordingSource source(pair.ours.Release());
  WatcherPtr watch;
  {
    std::unique_ptr<EventLoop> owned = MakeLoop();
    std::thread([&] {
      auto made =
          owned->Watch(watched.ours.get(), Readiness::kReadable, Trigger::kLevel, [](Readiness) {});
      ASSERT_TRUE(made.ok());
      watch = *std::move(made);
      ASSERT_TRUE(owned->backend().Add(source).ok());
      owned->backend().StartRecv(source);
      owned->RunOnce(Duration::zero());
    }).join();
    // Destroys the watch while the loop still knows it.
    owned->Post([w = std::move(watch)] { ADD_FAILURE(); });
  }
  EXPECT_EQ(source.Count(Op::kClosed), 1U);
  int error = -1;
  ReceiveToEnd(pair.peer.get(), &error);
  EXPECT_EQ(error, 0);
}

TEST_P(EventLoopTest, TwoLoopsInOneProcessDoNotMeet) {
  std::unique_ptr<EventLoop> other = MakeLoop();
  int here = 0;
  std::atomic<int> there = 0;
  std::thread runner([&] { other->Run(); });
  const int rounds = Scaled(2000);
  for (int i = 0; i < rounds; ++i) {
    other->Post([&] {
      ++there;
      loop().Post([&] { ++here; });
    });
  }
  EXPECT_TRUE(TurnUntil([&] { return here == rounds; }));
  EXPECT_EQ(there, rounds);
  other->Stop();
  runner.join();
}

TEST_P(EventLoopTest, OneTurnDeliversABoundedNumberOfCompletions) {
  EventLoopOptions options;
  options.backend.kind = GetParam();
  options.max_completions_per_turn = 2;
  auto small = EventLoop::Create(options);
  ASSERT_TRUE(small.ok());
  std::vector<SocketPair> pairs;
  std::vector<WatcherPtr> watches;
  int calls = 0;
  for (int i = 0; i < 6; ++i) {
    pairs.push_back(MakeUnixPair());
    auto watch = (*small)->Watch(pairs.back().ours.get(), Readiness::kWritable, Trigger::kLevel,
                                 [&](Readiness) { ++calls; });
    ASSERT_TRUE(watch.ok());
    watches.push_back(*std::move(watch));
  }
  for (int i = 0; i < 10; ++i) {
    const int before = calls;
    (*small)->RunOnce(seconds(1));
    EXPECT_LE(calls - before, 2);
  }
  EXPECT_GE(calls, 6);
}

// Handlers that take 3 ms each: what they wrote on io_uring leaves at the end of the turn.
TEST_P(EventLoopTest, ATurnOfSlowHandlersEndsEarly) {
  class SlowClock final : public Clock {
   public:
    TimePoint Now() override { return real_.Now() + lost; }
    Duration lost{};

   private:
    SteadyClock real_;
  } clock;
  BackendOptions backend_options;
  backend_options.kind = GetParam();
  auto backend = CreateBackend(backend_options, clock);
  ASSERT_TRUE(backend.ok()) << backend.status();
  EventLoopOptions options;
  options.stall_threshold = Duration::zero();
  options.max_dispatch_time = milliseconds(20);
  auto slow = EventLoop::CreateWith(*std::move(backend), clock, options);
  std::vector<SocketPair> pairs;
  std::vector<WatcherPtr> watches;
  size_t calls = 0;
  for (int i = 0; i < 64; ++i) {
    pairs.push_back(MakeUnixPair());
    auto watch =
        slow->Watch(pairs.back().ours.get(), Readiness::kWritable, Trigger::kLevel, [&](Readiness) {
          ++calls;
          clock.lost += milliseconds(3);
        });
    ASSERT_TRUE(watch.ok());
    watches.push_back(*std::move(watch));
  }
  size_t most = 0;
  for (int i = 0; i < 20; ++i) {
    const size_t before = calls;
    slow->RunOnce(seconds(1));
    most = std::max(most, calls - before);
  }
  EXPECT_GE(calls, 64U);
  EXPECT_EQ(most, EventLoopOptions::kCompletionsPerLook);
}

TEST_P(EventLoopDeathTest, RunningInsideACallbackIsCaught) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  loop().Post([&] { loop().RunOnce(Duration::zero()); });
  EXPECT_DEATH(loop().RunOnce(Duration::zero()), "inside one of its callbacks");
}

TEST_P(EventLoopDeathTest, CallsFromAnotherThreadAreCaught) {
#ifdef NDEBUG
  GTEST_SKIP() << "checked in debug builds only";
#else
  if (kThreadSanitizer) GTEST_SKIP() << "death tests of threads and TSan do not mix";
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  loop().RunOnce(Duration::zero());
  const auto on_another_thread = [](auto&& call) {
    std::thread(call).join();
    std::_Exit(0);
  };
  EXPECT_DEATH(on_another_thread([&] { loop().Defer([] {}); }), "thread");
  EXPECT_DEATH(on_another_thread([&] { loop().RunAfter(seconds(1), [] {}); }), "thread");
  EXPECT_DEATH(on_another_thread([&] { loop().Cancel(TimerHandle()); }), "thread");
  EXPECT_DEATH(on_another_thread([&] { loop().RunOnce(Duration::zero()); }), "thread");
#endif
}

}  // namespace
}  // namespace quintet::testing
