// For the fuzzers: makes a finding of each failed expectation of GoogleTest, which by itself only
// prints it.
#include <cstdlib>

#include "gtest/gtest.h"

namespace {

class AbortOnFailure final : public ::testing::EmptyTestEventListener {
  void OnTestPartResult(const ::testing::TestPartResult& result) override {
    if (result.failed()) std::abort();
  }
};

}  // namespace

extern "C" int LLVMFuzzerInitialize(int* /*argc*/, char*** /*argv*/) {
  // Behind the printer, and owned by the list.
  ::testing::UnitTest::GetInstance()->listeners().Append(new AbortOnFailure);
  return 0;
}
