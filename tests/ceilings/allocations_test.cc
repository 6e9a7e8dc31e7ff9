// After warm-up a hello request costs no allocation, in no layer and on no backend.
#include "tests/promises/lockstep_fixture.h"
#include "tests/support/counting_new.h"

namespace quintet::testing {
namespace {

class AllocationsTest : public LockstepTest {
 protected:
  // Calls of operator new while the loop turned.
  size_t AllocationsIn(int rounds) {
    size_t before = 0;
    size_t sum = 0;
    bool turning = false;
    for (int i = 0; i < rounds; ++i) {
      Round([&] {
        turning = !turning;
        if (turning) {
          before = Allocations();
        } else {
          sum += Allocations() - before;
        }
      });
    }
    return sum;
  }

  void ExpectNone(size_t connections, size_t pipelined, bool varied = false) {
    ASSERT_NO_FATAL_FAILURE(Start(connections, pipelined, varied));
    static_cast<void>(AllocationsIn(kWarmUpRounds));
    EXPECT_EQ(AllocationsIn(kRounds), 0U) << "in " << kRounds * requests_per_round() << " requests";
  }

 private:
  static constexpr int kWarmUpRounds = 10;
  static constexpr int kRounds = 20;
};

TEST_P(AllocationsTest, OneConnection) { ExpectNone(1, 1); }
TEST_P(AllocationsTest, SixtyFourConnections) { ExpectNone(64, 1); }
TEST_P(AllocationsTest, Pipelined) { ExpectNone(64, 16); }
// The only one in which every head is read: those above repeat the head before.
TEST_P(AllocationsTest, Varied) { ExpectNone(64, 1, /*varied=*/true); }

INSTANTIATE_TEST_SUITE_P(Backends, AllocationsTest, AllBackends(), KindName);

}  // namespace
}  // namespace quintet::testing
