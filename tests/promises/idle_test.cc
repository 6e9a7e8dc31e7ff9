// Promise 36: an idle server costs nothing: no wake-ups, no CPU time, no kernel thread that polls.
#include <dirent.h>
#include <pthread.h>
#include <time.h>
#include <unistd.h>

#include <atomic>
#include <fstream>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "tests/promises/hello_factory.h"
#include "tests/promises/promise_fixture.h"

namespace quintet::testing {
namespace {

constexpr size_t kConnections = 100;
constexpr std::chrono::milliseconds kWindow{1500};

// Remembers on which thread sessions are made: that of the loop.
class ThreadNotingFactory final : public SessionFactory {
 public:
  std::unique_ptr<Session> CreateSession() override {
    thread_id = ::gettid();
    return hello_->CreateSession();
  }

  std::atomic<pid_t> thread_id = 0;

 private:
  const std::unique_ptr<SessionFactory> hello_ = MakeHelloFactory();
};

// How often a thread went to sleep (proc(5)): each wake-up ends in one.
uint64_t Sleeps(pid_t thread) {
  std::ifstream status(absl::StrCat("/proc/self/task/", thread, "/status"));
  std::string key;
  uint64_t value = 0;
  while (status >> key) {
    if (key == "voluntary_ctxt_switches:" && status >> value) return value;
  }
  ADD_FAILURE() << "no count of context switches";
  return 0;
}

Duration CpuTime(pthread_t thread) {
  clockid_t clock = 0;
  timespec time{};
  EXPECT_EQ(::pthread_getcpuclockid(thread, &clock), 0);
  EXPECT_EQ(::clock_gettime(clock, &time), 0);
  return std::chrono::seconds(time.tv_sec) + std::chrono::nanoseconds(time.tv_nsec);
}

// The names of all threads of the process: those that the kernel made for a ring among them.
std::vector<std::string> ThreadNames() {
  std::vector<std::string> names;
  DIR* const directory = ::opendir("/proc/self/task");
  while (const dirent* entry = ::readdir(directory)) {
    std::ifstream comm(absl::StrCat("/proc/self/task/", entry->d_name, "/comm"));
    std::string name;
    if (std::getline(comm, name)) names.push_back(name);
  }
  ::closedir(directory);
  return names;
}

class IdleTest : public PromiseTest {};

TEST_P(IdleTest, ServerWithIdleConnectionsSleeps) {
  ThreadNotingFactory factory;
  RunningServer running(GetParam(), factory);
  std::vector<Fd> clients;
  for (size_t i = 0; i < kConnections; ++i) {
    clients.push_back(running.Connect());
    ASSERT_TRUE(SendAll(clients.back().get(), "GET / HTTP/1.1\r\nHost: a\r\n\r\n"));
    ASSERT_EQ(ReceiveExactly(clients.back().get(), 15), "HTTP/1.1 200 OK");
  }
  // What the last request left to do is done.
  std::this_thread::sleep_for(std::chrono::milliseconds(100));

  const uint64_t sleeps = Sleeps(factory.thread_id);
  const Duration cpu = CpuTime(running.thread().native_handle());
  std::this_thread::sleep_for(kWindow);
  EXPECT_LE(Sleeps(factory.thread_id) - sleeps, 2U) << "wake-ups without a cause";
  EXPECT_LT(CpuTime(running.thread().native_handle()) - cpu, kWindow / 1000);
  for (const std::string& name : ThreadNames()) {
    EXPECT_FALSE(name.starts_with("iou-sqp")) << "the ring has a polling thread";
    EXPECT_FALSE(name.starts_with("iou-wrk")) << "operations were handed to worker threads";
  }
  // It was alive all the while.
  ASSERT_TRUE(SendAll(clients.front().get(), "GET / HTTP/1.1\r\nHost: a\r\n\r\n"));
  EXPECT_NE(ReceiveExactly(clients.front().get(), 15), "");
}

// A loop with nothing but timers far away does not wake up to look at them.
TEST_P(IdleTest, LoopWithDistantTimersSleeps) {
  MakeGroup();
  for (const int seconds : {60, 75, 3600, 86400}) {
    loop().RunAfter(std::chrono::seconds(seconds), [] { ADD_FAILURE(); });
  }
  const uint64_t waits = loop().backend().stats().wait_syscalls;
  const TimePoint end = loop().clock().Now() + std::chrono::milliseconds(500);
  while (loop().clock().Now() < end) loop().RunOnce(end - loop().clock().Now());
  EXPECT_LE(loop().backend().stats().wait_syscalls - waits, 3U);
}

INSTANTIATE_TEST_SUITE_P(Backends, IdleTest, AllBackends(), KindName);

}  // namespace
}  // namespace quintet::testing
