// Fixture of tests of an EventLoop, once for each kind of backend.
#ifndef QUINTET_TESTS_SUPPORT_LOOP_TEST_H_
#define QUINTET_TESTS_SUPPORT_LOOP_TEST_H_

#include <gtest/gtest.h>

#include <chrono>
#include <functional>
#include <memory>
#include <utility>

#include "reactor/event_loop.h"
#include "tests/support/backend_kinds.h"
#include "tests/support/descriptors.h"
#include "tests/support/peers.h"

namespace quintet::testing {

class LoopTest : public DescriptorLeakTest, public ::testing::WithParamInterface<BackendKind> {
 protected:
  void SetUp() override {
    if (!RequireBackend(GetParam())) return;
    loop_ = MakeLoop();
    ASSERT_NE(loop_, nullptr);
  }
  void TearDown() override {
    loop_.reset();
    DescriptorLeakTest::TearDown();
  }

  // A loop on the backend of the parameter that logs nothing; null, and a failure, on error.
  std::unique_ptr<EventLoop> MakeLoop() {
    EventLoopOptions options;
    options.backend.kind = GetParam();
    options.backend.log = nullptr;
    auto loop = EventLoop::Create(std::move(options));
    EXPECT_TRUE(loop.ok()) << loop.status();
    if (!loop.ok()) return nullptr;
    EXPECT_EQ((*loop)->backend().kind(), GetParam());
    return *std::move(loop);
  }

  EventLoop& loop() { return *loop_; }
  void DestroyLoop() { loop_.reset(); }
  std::unique_ptr<EventLoop> TakeLoop() { return std::move(loop_); }

  // Turns until `done()`; false when it did not come in time.
  [[nodiscard]] bool TurnUntil(const std::function<bool()>& done) {
    const TimePoint deadline = loop_->clock().Now() + std::chrono::seconds(20);
    while (!done()) {
      if (loop_->clock().Now() >= deadline) return false;
      loop_->RunOnce(std::chrono::milliseconds(20));
    }
    return true;
  }

 private:
  std::unique_ptr<EventLoop> loop_;
};

}  // namespace quintet::testing

#endif  // QUINTET_TESTS_SUPPORT_LOOP_TEST_H_
