// System calls per hello request, from the backend's own counters: 2 + 1/B on readiness backends,
// where B is the number of requests served by one wait, and 1/B on io_uring.
#include <functional>

#include "tests/promises/lockstep_fixture.h"
#include "tests/support/ceilings.h"

namespace quintet::testing {
namespace {

class SyscallsTest : public LockstepTest {
 protected:
  struct Count {
    double requests = 0;
    double waits = 0;    // wait_syscalls
    double updates = 0;  // update_syscalls
    double io = 0;       // io_syscalls
    double total() const { return waits + updates + io; }
    double per_request() const { return total() / requests; }
  };

  Count Measure(int rounds) {
    return Measure(rounds, [&] {
      for (int i = 0; i < rounds; ++i) Round();
    });
  }
  Count Measure(int rounds, const std::function<void()>& serve) {
    const BackendStats before = loop().backend().stats();
    serve();
    const BackendStats& after = loop().backend().stats();
    Count count;
    count.requests = static_cast<double>(rounds) * static_cast<double>(requests_per_round());
    count.waits = static_cast<double>(after.wait_syscalls - before.wait_syscalls);
    count.updates = static_cast<double>(after.update_syscalls - before.update_syscalls);
    count.io = static_cast<double>(after.io_syscalls - before.io_syscalls);
    return count;
  }
};

TEST_P(SyscallsTest, PerRequestAt64Connections) {
  ASSERT_NO_FATAL_FAILURE(Start(64));
  const Count count = Measure(50);
  ExpectBelowCeiling("syscalls/64", BackendName(GetParam()), count.per_request(), kExactMargin);
  if (GetParam() == BackendKind::kIoUring) {
    EXPECT_EQ(count.io, 0) << "receives and sends go through the ring";
    return;
  }
  const double batch = count.requests / count.waits;
  EXPECT_LE(count.per_request(), 2.0 + 1.0 / batch + 0.02);
  EXPECT_GE(count.io, 2 * count.requests) << "not counted";
  EXPECT_EQ(count.updates, 0) << "a steady connection is never registered anew";
  EXPECT_GT(batch, 1.0);
}

// B = 1: a single connection costs a readiness backend exactly three. On io_uring one call sends
// the reply and waits for the next request.
TEST_P(SyscallsTest, PerRequestAtOneConnection) {
  ASSERT_NO_FATAL_FAILURE(Start(1));
  const int rounds = 1000;
  const Count count = Measure(rounds, [&] { PingPong(rounds); });
  ExpectBelowCeiling("syscalls/1", BackendName(GetParam()), count.per_request(), kExactMargin);
}

INSTANTIATE_TEST_SUITE_P(Backends, SyscallsTest, AllBackends(), KindName);

}  // namespace
}  // namespace quintet::testing
