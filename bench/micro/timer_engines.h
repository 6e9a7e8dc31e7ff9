// Three sets of timers under one interface, and the trace that drives them.
//
//   Engine(count)            `count` timers, none armed
//   Run(work)                calls `work` as a callback of the engine's loop is called: with its
//                            time of the turn at hand, so that starting a timer asks no clock
//   Start(i, delay_ms)       arms timer i, also one that is armed
//   Cancel(i)
//   FireAll(count)           turns until `count` timers have fired since the last call
#ifndef QUINTET_BENCH_MICRO_TIMER_ENGINES_H_
#define QUINTET_BENCH_MICRO_TIMER_ENGINES_H_

#include <time.h>

#ifdef QUINTET_HAVE_LIBEVENT
#include <event2/event.h>
#include <event2/event_struct.h>
#endif
#ifdef QUINTET_HAVE_LIBUV
#include <uv.h>
#endif

#include <algorithm>
#include <cstdint>
#include <memory>
#include <numeric>
#include <random>
#include <vector>

#include "absl/functional/function_ref.h"
#include "reactor/clock.h"
#include "reactor/timer_wheel.h"

namespace quintet::bench {

inline int64_t ThreadCpuNs() {
  timespec time{};
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return int64_t{time.tv_sec} * 1'000'000'000 + time.tv_nsec;
}

inline void SleepMs(int64_t ms) {
  const timespec time{.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1'000'000};
  ::nanosleep(&time, nullptr);
}

// Delays are drawn evenly below these. The long ones let no timer fire while it is measured how
// others are started; in milliseconds, the unit of libuv.
inline constexpr int64_t kLongDelays = 3'600'000;
inline constexpr int64_t kShortDelays = 50;

class TimerTrace {
 public:
  TimerTrace(size_t size, int64_t below_ms) : delays_ms_(size), order_(size) {
    std::mt19937_64 random(1);
    std::generate(delays_ms_.begin(), delays_ms_.end(),
                  [&] { return 1 + static_cast<int64_t>(random() % (below_ms - 1)); });
    std::iota(order_.begin(), order_.end(), uint32_t{0});
    std::shuffle(order_.begin(), order_.end(), random);
  }

  size_t size() const { return delays_ms_.size(); }
  int64_t delay_ms(size_t i) const { return delays_ms_[i]; }
  size_t order(size_t i) const { return order_[i]; }

 private:
  std::vector<int64_t> delays_ms_;
  std::vector<uint32_t> order_;
};

class Quintet {
 public:
  explicit Quintet(size_t count) : wheel_(clock_.Now()), timers_(new CountingTimer[count]) {
    for (size_t i = 0; i < count; ++i) timers_[i].fired = &fired_;
  }

  void Run(absl::FunctionRef<void()> work) {
    now_ = clock_.Now();
    work();
  }
  void Start(size_t i, int64_t delay_ms) {
    wheel_.Start(timers_[i], now_ + std::chrono::milliseconds(delay_ms));
  }
  void Cancel(size_t i) { TimerWheel::Cancel(timers_[i]); }
  void FireAll(size_t count) {
    for (fired_ = 0; fired_ < count;) wheel_.FireExpired(clock_.Now(), kTimersPerTurn);
  }

 private:
  static constexpr size_t kTimersPerTurn = 512;

  struct CountingTimer final : Timer {
    void OnTimer(TimePoint /*now*/) override { ++*fired; }
    size_t* fired = nullptr;
  };

  SteadyClock clock_;
  TimePoint now_;
  TimerWheel wheel_;
  size_t fired_ = 0;
  std::unique_ptr<CountingTimer[]> timers_;
};

#ifdef QUINTET_HAVE_LIBEVENT
class Libevent {
 public:
  explicit Libevent(size_t count) : base_(event_base_new()), timers_(count) {
    const auto fired = [](evutil_socket_t, short, void* argument) {
      ++static_cast<Libevent*>(argument)->fired_;
    };
    for (event& timer : timers_) event_assign(&timer, base_, -1, 0, fired, this);
  }
  Libevent(const Libevent&) = delete;
  Libevent& operator=(const Libevent&) = delete;
  ~Libevent() {
    for (event& timer : timers_) event_del(&timer);
    event_base_free(base_);
  }

  void Run(absl::FunctionRef<void()> work) {
    const auto call = [](evutil_socket_t, short, void* argument) {
      (*static_cast<absl::FunctionRef<void()>*>(argument))();
    };
    event_base_once(base_, -1, EV_TIMEOUT, call, &work, nullptr);
    event_base_loop(base_, EVLOOP_ONCE | EVLOOP_NONBLOCK);
  }
  void Start(size_t i, int64_t delay_ms) {
    const timeval delay{.tv_sec = delay_ms / 1000, .tv_usec = delay_ms % 1000 * 1000};
    event_add(&timers_[i], &delay);
  }
  void Cancel(size_t i) { event_del(&timers_[i]); }
  void FireAll(size_t count) {
    for (fired_ = 0; fired_ < count;) event_base_loop(base_, EVLOOP_ONCE | EVLOOP_NONBLOCK);
  }

 private:
  event_base* const base_;
  size_t fired_ = 0;
  std::vector<event> timers_;
};
#endif  // QUINTET_HAVE_LIBEVENT

#ifdef QUINTET_HAVE_LIBUV
class Libuv {
 public:
  explicit Libuv(size_t count) : timers_(count) {
    uv_loop_init(&loop_);
    for (uv_timer_t& timer : timers_) {
      uv_timer_init(&loop_, &timer);
      timer.data = this;
    }
  }
  Libuv(const Libuv&) = delete;
  Libuv& operator=(const Libuv&) = delete;
  ~Libuv() {
    for (uv_timer_t& timer : timers_) uv_close(reinterpret_cast<uv_handle_t*>(&timer), nullptr);
    uv_run(&loop_, UV_RUN_DEFAULT);
    uv_loop_close(&loop_);
  }

  // Start() reads the loop's time and nothing else of the turn.
  void Run(absl::FunctionRef<void()> work) {
    uv_update_time(&loop_);
    work();
  }
  void Start(size_t i, int64_t delay_ms) {
    const auto fired = [](uv_timer_t* timer) { ++static_cast<Libuv*>(timer->data)->fired_; };
    uv_timer_start(&timers_[i], fired, static_cast<uint64_t>(delay_ms), 0);
  }
  void Cancel(size_t i) { uv_timer_stop(&timers_[i]); }
  void FireAll(size_t count) {
    for (fired_ = 0; fired_ < count;) uv_run(&loop_, UV_RUN_NOWAIT);
  }

 private:
  uv_loop_t loop_;
  size_t fired_ = 0;
  std::vector<uv_timer_t> timers_;
};
#endif  // QUINTET_HAVE_LIBUV

}  // namespace quintet::bench

#endif  // QUINTET_BENCH_MICRO_TIMER_ENGINES_H_
