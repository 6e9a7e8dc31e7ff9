// The one source of chance in a simulation.
#ifndef QUINTET_REACTOR_SIM_SIM_RANDOM_H_
#define QUINTET_REACTOR_SIM_SIM_RANDOM_H_

#include <cstdint>

namespace quintet {

// SplitMix64 (Steele, Lea and Flood, OOPSLA 2014). Not <random>: its distributions differ between
// standard libraries, and a seed must mean the same everywhere.
class SimRandom {
 public:
  explicit SimRandom(uint64_t seed) : state_(seed) {}

  uint64_t Next() {
    uint64_t z = state_ += 0x9e3779b97f4a7c15;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return z ^ (z >> 31);
  }
  // 0 to limit - 1; `limit` is positive. The bias of the remainder does not matter here.
  uint64_t Below(uint64_t limit) { return Next() % limit; }
  // low to high, both included.
  uint64_t Between(uint64_t low, uint64_t high) { return low + Below(high - low + 1); }
  // True `per_mille` times in a thousand. Draws nothing for 0, so that a fault switched off leaves
  // the others where they were.
  bool Chance(uint32_t per_mille) { return per_mille > 0 && Below(1000) < per_mille; }

 private:
  uint64_t state_;
};

}  // namespace quintet

#endif  // QUINTET_REACTOR_SIM_SIM_RANDOM_H_
