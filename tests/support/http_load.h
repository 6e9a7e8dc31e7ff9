// A load generator that loses count of nothing: what became of each connection and each request.
#ifndef QUINTET_TESTS_SUPPORT_HTTP_LOAD_H_
#define QUINTET_TESTS_SUPPORT_HTTP_LOAD_H_

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "net/address.h"
#include "tests/support/load_client.h"
#include "tests/support/load_report.h"

namespace quintet::testing {

// Clients that ask for "/" all the time, until stopped, on a thread of their own: see LoadClient
// for what each does and how it counts. They ask the kernel with poll(2), and nothing of the
// library, which is under test.
class HttpLoad {
 public:
  struct Options {
    size_t connections = 64;
    size_t reconnecting = 0;  // of them: these connect anew for each request
    // The others close after so many requests and connect anew; 0: never.
    uint64_t requests_per_connection = 0;
    // Between a reply and the next request; as exact as HttpLoad::kTick.
    std::chrono::milliseconds think_time{0};
    // What the load is bounded by, whatever the test does: it then ends by itself.
    uint64_t max_requests = 20'000'000;
    std::chrono::milliseconds max_duration{std::chrono::minutes(4)};
    // Until a connection, and from a request to the end of its reply.
    std::chrono::milliseconds patience{std::chrono::seconds(20)};
  };

  using Report = LoadReport;

  // How late a pause may end, or Stop() be seen.
  static constexpr std::chrono::milliseconds kTick{5};

  // Begins at once.
  HttpLoad(const Address& address, const Options& options);
  explicit HttpLoad(const Address& address) : HttpLoad(address, Options()) {}
  ~HttpLoad();
  HttpLoad(const HttpLoad&) = delete;
  HttpLoad& operator=(const HttpLoad&) = delete;

  // Waits until `count` more requests were answered; false when they were not within a minute, or
  // when the load has ended before.
  [[nodiscard]] bool WaitForRequests(uint64_t count);
  // The same for anything else that is reported.
  [[nodiscard]] bool WaitUntil(const std::function<bool(const Report&)>& done);

  // As of now.
  Report report() const;
  // Sends no more requests, waits for the replies to those that are under way, closes everything.
  // The report is final then. Idempotent.
  Report Stop();

 private:
  void Run();
  void Publish(bool ended);

  const Options options_;
  Report counts_;  // the thread's own
  std::vector<std::unique_ptr<LoadClient>> clients_;
  std::atomic<bool> stop_ = false;

  mutable std::mutex mutex_;
  std::condition_variable changed_;
  Report published_;
  bool ended_ = false;

  std::thread thread_;
};

}  // namespace quintet::testing

#endif  // QUINTET_TESTS_SUPPORT_HTTP_LOAD_H_
