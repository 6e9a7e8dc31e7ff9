// What the HTTP sessions of one thread share.
#ifndef QUINTET_NET_HTTP_SERVER_CONTEXT_H_
#define QUINTET_NET_HTTP_SERVER_CONTEXT_H_

#include <atomic>
#include <memory>
#include <vector>

#include "net/http/active_request.h"
#include "net/http/date_cache.h"
#include "net/http/options.h"
#include "net/http/router.h"
#include "net/http/wall_clock.h"

namespace quintet::http {

// The same for all contexts, unchanging.
struct ServerConfig {
  Router router;
  Options options;
  std::shared_ptr<const WallClock> clock;
};

// Used on one thread at a time: that of the loop whose sessions share it. Sessions keep it alive,
// so that it does not matter whether they, the factory or the thread goes first.
class ServerContext {
 public:
  // Requests kept for reuse. What a burst needed beyond goes back to the allocator.
  static constexpr size_t kMaxIdleRequests = 1024;

  explicit ServerContext(std::shared_ptr<const ServerConfig> config)
      : config_(std::move(config)), dates_(*config_->clock) {}

  const ServerConfig& config() const { return *config_; }
  DateCache& dates() { return dates_; }

  // A request as new.
  std::unique_ptr<ActiveRequest> Acquire();
  void Release(std::unique_ptr<ActiveRequest> request);

  // Any thread: the thread it was made for has ended, so that nobody will ask for it again.
  void MarkThreadGone() { thread_gone_.store(true, std::memory_order_relaxed); }
  bool thread_gone() const { return thread_gone_.load(std::memory_order_relaxed); }

 private:
  const std::shared_ptr<const ServerConfig> config_;
  DateCache dates_;
  std::vector<std::unique_ptr<ActiveRequest>> idle_;
  std::atomic<bool> thread_gone_ = false;
};

}  // namespace quintet::http

#endif  // QUINTET_NET_HTTP_SERVER_CONTEXT_H_
