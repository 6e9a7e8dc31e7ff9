// Tests that run once for each real backend.
#ifndef QUINTET_TESTS_SUPPORT_BACKEND_KINDS_H_
#define QUINTET_TESTS_SUPPORT_BACKEND_KINDS_H_

#include <gtest/gtest.h>

#include <string>

#include "reactor/backend_kind.h"

namespace quintet::testing {

// Names a test after its backend: INSTANTIATE_TEST_SUITE_P(Backends, FooTest, AllBackends(),
// KindName).
inline std::string KindName(const ::testing::TestParamInfo<BackendKind>& info) {
  return std::string(BackendName(info.param));
}

inline auto AllBackends() { return ::testing::ValuesIn(kRealBackends); }
inline auto ReadinessBackends() {
  return ::testing::Values(BackendKind::kSelect, BackendKind::kPoll, BackendKind::kEpollLt,
                           BackendKind::kEpollEt);
}
// The backends that have edges.
inline auto EdgeBackends() {
  return ::testing::Values(BackendKind::kEpollLt, BackendKind::kEpollEt, BackendKind::kIoUring);
}

// Why the backend does not work on this machine; empty where it does. Asked once per process.
const std::string& WhyUnavailable(BackendKind kind);

// Skips the running test, saying why, where the backend does not work; fails it instead when the
// environment has QUINTET_REQUIRE_IO_URING=1. Call from SetUp(); false means: return at once.
[[nodiscard]] bool RequireBackend(BackendKind kind);

}  // namespace quintet::testing

#endif  // QUINTET_TESTS_SUPPORT_BACKEND_KINDS_H_
