#include "tests/support/backend_kinds.h"

#include <cstdlib>
#include <map>
#include <string_view>

#include "reactor/backend_factory.h"

namespace quintet::testing {
namespace {

void Skip(const std::string& reason) { GTEST_SKIP() << reason; }

}  // namespace

const std::string& WhyUnavailable(BackendKind kind) {
  static const std::map<BackendKind, std::string> reasons = [] {
    std::map<BackendKind, std::string> found;
    for (const BackendAvailability& backend : AvailableBackends()) {
      found[backend.kind] = backend.available ? "" : backend.reason;
    }
    return found;
  }();
  return reasons.at(kind);
}

bool RequireBackend(BackendKind kind) {
  // The others always work: a reason there is a failure of its own, found by the test.
  if (kind != BackendKind::kIoUring) return true;
  const std::string& reason = WhyUnavailable(kind);
  if (reason.empty()) return true;
  const char* required = std::getenv("QUINTET_REQUIRE_IO_URING");
  if (required != nullptr && std::string_view(required) == "1") {
    ADD_FAILURE() << "QUINTET_REQUIRE_IO_URING=1, but: " << reason;
  } else {
    Skip(reason);
  }
  return false;
}

}  // namespace quintet::testing
