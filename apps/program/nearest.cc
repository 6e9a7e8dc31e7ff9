#include "apps/program/nearest.h"

#include <algorithm>
#include <cassert>
#include <numeric>
#include <vector>

namespace quintet::program {

size_t EditDistance(std::string_view a, std::string_view b) {
  // Row i of the usual table: costs[j] turns the first i characters of a into the first j of b.
  std::vector<size_t> costs(b.size() + 1);
  std::iota(costs.begin(), costs.end(), size_t{0});
  for (size_t i = 0; i < a.size(); ++i) {
    size_t diagonal = costs[0];
    costs[0] = i + 1;
    for (size_t j = 0; j < b.size(); ++j) {
      const size_t replace = diagonal + (a[i] == b[j] ? 0 : 1);
      diagonal = costs[j + 1];
      costs[j + 1] = std::min({replace, costs[j] + 1, costs[j + 1] + 1});
    }
  }
  return costs.back();
}

const std::string& Nearest(std::string_view word, std::span<const std::string> candidates) {
  assert(!candidates.empty());
  return *std::min_element(candidates.begin(), candidates.end(),
                           [word](const std::string& a, const std::string& b) {
                             return EditDistance(word, a) < EditDistance(word, b);
                           });
}

}  // namespace quintet::program
