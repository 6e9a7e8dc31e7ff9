// Growth of tables that may become large.
#ifndef QUINTET_REACTOR_GROW_H_
#define QUINTET_REACTOR_GROW_H_

#include <cstddef>
#include <vector>

namespace quintet {

// Makes room for `size` elements, and a quarter more when there is none: by itself a vector would
// double, and half of a table with one row per connection could be empty.
template <typename T>
void GrowByAQuarter(std::vector<T>& table, size_t size) {
  if (size > table.capacity()) table.reserve(size + size / 4 + 16);
}

}  // namespace quintet

#endif  // QUINTET_REACTOR_GROW_H_
