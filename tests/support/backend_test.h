// Fixture of tests that speak to a Backend directly, once for each kind.
#ifndef QUINTET_TESTS_SUPPORT_BACKEND_TEST_H_
#define QUINTET_TESTS_SUPPORT_BACKEND_TEST_H_

#include <gtest/gtest.h>
#include <sys/uio.h>

#include <chrono>
#include <functional>
#include <memory>
#include <string_view>
#include <vector>

#include "reactor/backend.h"
#include "reactor/backend_factory.h"
#include "reactor/clock.h"
#include "tests/support/backend_kinds.h"
#include "tests/support/descriptors.h"
#include "tests/support/peers.h"
#include "tests/support/recording_source.h"

namespace quintet::testing {

// After this long a wait for something that must come counts as failed.
inline constexpr std::chrono::seconds kPatience{20};
// For this long nothing must come where silence is expected.
inline constexpr std::chrono::milliseconds kSilence{60};

class BackendTest : public DescriptorLeakTest, public ::testing::WithParamInterface<BackendKind> {
 protected:
  // Makes the backend of the parameter, bound to this thread, and asserts that it is that kind.
  void SetUp() override;
  // Closes what is left, pumps until each kClosed was delivered, and looks for leaks.
  void TearDown() override;

  // For tests that want sizes of their own: replaces the backend, which must have no sources.
  void MakeBackend(const UringOptions& uring);

  Backend& backend() { return *backend_; }
  SteadyClock& clock() { return clock_; }

  // A source of the fixture's, alive until TearDown(), that owns `fd` from here on.
  RecordingSource& NewSource(Fd fd);
  // The same, added to the backend.
  RecordingSource& AddSource(Fd fd);
  // Frees the source's memory at once.
  void DestroySource(RecordingSource& source);

  // One turn as a loop makes it: waits at most until `deadline`, delivers what is there, in bounded
  // number, and validates. Returns how many completions there were.
  size_t Turn(TimePoint deadline);
  // Turns until `done()`; false when it never came. The waits last as long as the patience does: a
  // completion that Wait() does not return for is a failure, not a delay.
  [[nodiscard]] bool PumpUntil(const std::function<bool()>& done, Duration patience = kPatience);
  // Turns for a while; returns how many completions came.
  size_t PumpFor(Duration duration);
  // Fails unless the next `duration` brings no completion and next to no returns of Wait().
  void ExpectSilence(Duration duration = kSilence);

  // Sends bytes that stay in place until the test ends.
  void Send(RecordingSource& source, std::string_view bytes);
  // Sends all of it, however short the sends; `bytes` must outlive that. False on an error.
  [[nodiscard]] bool SendFully(RecordingSource& source, std::string_view bytes);
  // Closes and pumps until kClosed.
  void CloseAndPump(RecordingSource& source, CloseMode mode = CloseMode::kClose);

 private:
  static constexpr size_t kCompletionsPerTurn = 512;

  SteadyClock clock_;
  std::unique_ptr<Backend> backend_;
  std::vector<std::unique_ptr<RecordingSource>> sources_;
  std::vector<std::unique_ptr<iovec>> vectors_;
  std::vector<std::unique_ptr<std::string>> sent_;
};

}  // namespace quintet::testing

#endif  // QUINTET_TESTS_SUPPORT_BACKEND_TEST_H_
