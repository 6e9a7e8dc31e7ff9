// The processor cores that the process may use.
#ifndef QUINTET_NET_CORES_H_
#define QUINTET_NET_CORES_H_

#include <cstddef>
#include <vector>

namespace quintet {

// Their numbers, at least one. Any thread.
std::vector<int> UsableCores();

// Lets the calling thread run on the `index`-th of `cores` only, modulo their number. A refusal
// costs locality, nothing else.
void PinToCore(const std::vector<int>& cores, size_t index);

}  // namespace quintet

#endif  // QUINTET_NET_CORES_H_
