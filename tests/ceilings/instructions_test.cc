// User-space instructions per hello request, counted by callgrind.
#include <unistd.h>

#include <charconv>
#include <cstdlib>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "tests/support/backend_kinds.h"
#include "tests/support/ceilings.h"
#include "tests/support/child_process.h"
#include "tests/support/sanitizers.h"

namespace quintet::testing {
namespace {

constexpr char kValgrind[] = "/usr/bin/valgrind";
constexpr char kProgram[] = QUINTET_COUNTED_PROGRAM;
constexpr int kRequests = 3200;

// Why nothing can be counted here; empty where it can.
std::string WhyNot() {
  if (kAddressSanitizer || kThreadSanitizer) return "built with a sanitizer";
#ifndef NDEBUG
  return "not an optimised build";
#endif
  if (::access(kValgrind, X_OK) != 0 || *kProgram == '\0') return "valgrind is not installed";
  return "";
}

// Behind `label` in valgrind's text.
double NumberAfter(const std::string& text, std::string_view label) {
  const size_t at = text.find(label);
  if (at == std::string::npos) return 0;
  return std::strtod(text.c_str() + at + label.size(), nullptr);
}

class InstructionsTest : public ::testing::TestWithParam<std::string> {
 protected:
  void SetUp() override {
    const std::string why_not = WhyNot();
    if (why_not.empty()) return;
    const char* const required = std::getenv("QUINTET_REQUIRE_VALGRIND");
    if (why_not.starts_with("valgrind") && required != nullptr && *required == '1')
      FAIL() << why_not;
    GTEST_SKIP() << why_not;
  }

  void ExpectBelow(int connections, int pipelined, bool varied = false) {
    if (const auto kind = ParseBackendKind(GetParam()); kind && !RequireBackend(*kind)) return;
    const int rounds = kRequests / (connections * pipelined);
    std::vector<std::string> arguments = {"--tool=callgrind",
                                          "--collect-atstart=no",
                                          "--callgrind-out-file=/dev/null",
                                          kProgram,
                                          GetParam(),
                                          std::to_string(connections),
                                          std::to_string(pipelined),
                                          std::to_string(rounds)};
    if (varied) arguments.emplace_back("varied");
    ChildProcess valgrind(kValgrind, arguments);
    ASSERT_EQ(valgrind.Wait(), 0) << valgrind.error();
    const double requests = NumberAfter(valgrind.output(), "");
    const std::string report = valgrind.error();
    const double instructions = NumberAfter(report, "Collected :");
    ASSERT_GT(requests, 0);
    ASSERT_GT(instructions, 0) << report;
    const std::string load = std::to_string(connections) + "x" + std::to_string(pipelined);
    ExpectBelowCeiling("instructions/" + load + (varied ? "-varied" : ""), GetParam(),
                       instructions / requests, kCompiledMargin);
  }
};

TEST_P(InstructionsTest, OneConnection) { ExpectBelow(1, 1); }
TEST_P(InstructionsTest, SixtyFourConnections) { ExpectBelow(64, 1); }
TEST_P(InstructionsTest, Pipelined) { ExpectBelow(64, 16); }
// The only one in which every head is read: those above repeat the head before.
TEST_P(InstructionsTest, Varied) { ExpectBelow(64, 1, /*varied=*/true); }

std::vector<std::string> Paths() {
  std::vector<std::string> paths = {"session"};
  for (const BackendKind kind : kRealBackends) paths.emplace_back(BackendName(kind));
  return paths;
}

std::string PathName(const ::testing::TestParamInfo<std::string>& info) { return info.param; }

INSTANTIATE_TEST_SUITE_P(Paths, InstructionsTest, ::testing::ValuesIn(Paths()), PathName);

}  // namespace
}  // namespace quintet::testing
