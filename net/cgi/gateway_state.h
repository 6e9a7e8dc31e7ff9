// What all programs of a gateway share.
#ifndef QUINTET_NET_CGI_GATEWAY_STATE_H_
#define QUINTET_NET_CGI_GATEWAY_STATE_H_

#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <utility>

#include "net/cgi/options.h"
#include "reactor/clock.h"

namespace quintet::cgi {

// Any thread.
struct GatewayState {
  explicit GatewayState(Options all) : options(std::move(all)) {}

  // Whether one more line may be written, of `most` in each second, about what clients can bring
  // about as often as they like.
  bool MayLog(TimePoint now, int most) {
    const int64_t second =
        std::chrono::duration_cast<std::chrono::seconds>(now.time_since_epoch()).count();
    if (log_second.exchange(second, std::memory_order_relaxed) != second) {
      log_lines.store(0, std::memory_order_relaxed);
    }
    return log_lines.fetch_add(1, std::memory_order_relaxed) < most;
  }

  const Options options;
  std::atomic<int> running = 0;
  // Of MayLog(): the second at hand, and the lines in it.
  std::atomic<int64_t> log_second = 0;
  std::atomic<int> log_lines = 0;
};

// One of Options::max_programs, given back when this is destroyed.
class ProgramSlot {
 public:
  // Empty where all are taken.
  static ProgramSlot Take(std::shared_ptr<GatewayState> state) {
    if (state->running.fetch_add(1, std::memory_order_relaxed) < state->options.max_programs) {
      return ProgramSlot(std::move(state));
    }
    state->running.fetch_sub(1, std::memory_order_relaxed);
    return ProgramSlot(nullptr);
  }
  ~ProgramSlot() {
    if (state_ != nullptr) state_->running.fetch_sub(1, std::memory_order_relaxed);
  }
  ProgramSlot(ProgramSlot&& other) noexcept = default;
  ProgramSlot& operator=(ProgramSlot&& other) = delete;

  explicit operator bool() const { return state_ != nullptr; }
  const std::shared_ptr<GatewayState>& state() const { return state_; }

 private:
  explicit ProgramSlot(std::shared_ptr<GatewayState> state) : state_(std::move(state)) {}

  std::shared_ptr<GatewayState> state_;
};

}  // namespace quintet::cgi

#endif  // QUINTET_NET_CGI_GATEWAY_STATE_H_
