// What the tests of io_uring share: sources that record, sockets, and a loop of a few lines.
#ifndef QUINTET_TESTS_REACTOR_URING_SUPPORT_H_
#define QUINTET_TESTS_REACTOR_URING_SUPPORT_H_

#include <sys/socket.h>
#include <sys/uio.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "gtest/gtest.h"
#include "reactor/backend.h"
#include "reactor/clock.h"
#include "reactor/uring_backend.h"

namespace quintet {

// Why io_uring does not work here; empty where it does.
std::string UringMissing();
// Whether the environment says that its absence is a failure (QUINTET_REQUIRE_IO_URING=1).
bool UringRequired();

// Skips the test with the reason where the kernel has no io_uring for us.
#define QUINTET_REQUIRE_URING()                            \
  do {                                                     \
    const std::string missing = ::quintet::UringMissing(); \
    if (missing.empty()) break;                            \
    if (::quintet::UringRequired()) FAIL() << missing;     \
    GTEST_SKIP() << missing;                               \
  } while (false)

// A kernel to run on: this one, or this one without what later releases brought.
struct UringKernel {
  const char* name;
  uint32_t unknown_flags;  // IORING_SETUP_*
};
inline constexpr UringKernel kUringKernels[] = {
    {"this", 0},
    {"linux_6_1", 1U << 16},  // IORING_SETUP_NO_SQARRAY came with 6.6
    {"linux_6_0", 1U << 16 | IORING_SETUP_DEFER_TASKRUN},
};
std::string UringKernelName(const ::testing::TestParamInfo<UringKernel>& kernel);

class UringKernelTest : public ::testing::TestWithParam<UringKernel> {
 protected:
  void SetUp() override { QUINTET_REQUIRE_URING(); }
  // Runs the test's body on its kernel.
  static void Run(const std::function<void()>& body);
};

// Keeps what it is told, and optionally reacts.
class RecordingSource : public Source {
 public:
  explicit RecordingSource(int fd) : Source(fd) {}

  void OnCompletion(const Completion& completion) override;

  std::function<void(const Completion&)> react;

  std::string received;         // bytes of all kRecv
  std::vector<int> accepted;    // descriptors of all kAccept, the test's to close
  std::vector<int32_t> errors;  // results below zero
  std::vector<int32_t> sent;    // results of kSend
  std::vector<int32_t> ready;   // results of kReady
  int ends = 0;                 // kRecv with 0
  int connected = 0;            // kConnect with 0
  int closed = 0;               // kClosed
  int after_close = 0;          // anything else once Close() was called, or after kClosed
  bool close_called = false;    // set by whoever calls Backend::Close()
};

// A pair of connected, non-blocking stream sockets.
std::pair<int, int> UnixPair();
std::pair<int, int> TcpPair();
// A non-blocking socket that listens on 127.0.0.1, and its port.
std::pair<int, uint16_t> TcpListener(int backlog = 4096);
// A blocking socket connected to that port; -1 with errno set.
int TcpConnect(uint16_t port);
sockaddr* LoopbackAddress(uint16_t port, sockaddr_storage* storage, socklen_t* length);

// Writes all of `text`.
void Send(int fd, const std::string& text);
// `text` as the one buffer of a send.
std::vector<iovec> Buffers(const std::string& text);
size_t OpenDescriptors();

// The turns of an event loop, without tasks and timers.
class BackendDriver {
 public:
  static std::unique_ptr<BackendDriver> Make(const UringOptions& options, bool bind = true);
  ~BackendDriver();

  // A source for `fd`, which is its from now on, kept until the driver ends.
  RecordingSource& Attach(int fd);

  UringBackend& operator*() { return *backend_; }
  UringBackend* operator->() { return backend_.get(); }

  // One turn: waits, delivers up to `limit` completions, validates. How many were delivered.
  size_t Turn(Duration max_wait, size_t limit = SIZE_MAX);
  size_t Poll() { return Turn(Duration::zero()); }
  // Turns until `done` or, as a failure, until a generous time is up.
  bool RunUntil(const std::function<bool()>& done);
  void Close(RecordingSource& source, CloseMode mode = CloseMode::kClose);
  // Closes everything and delivers each kClosed.
  void Drain();

 private:
  SteadyClock clock_;
  std::vector<std::unique_ptr<RecordingSource>> sources_;
  std::unique_ptr<UringBackend> backend_;
};

}  // namespace quintet

#endif  // QUINTET_TESTS_REACTOR_URING_SUPPORT_H_
