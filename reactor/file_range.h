// Part of a file, for who sends it.
#ifndef QUINTET_REACTOR_FILE_RANGE_H_
#define QUINTET_REACTOR_FILE_RANGE_H_

#include <cstdint>

namespace quintet {

// `length` bytes from `offset` of the regular file behind `fd`, which is open for reading and stays
// its owner's. The file's own position plays no part.
struct FileRange {
  int fd = -1;
  uint64_t offset = 0;
  uint64_t length = 0;

  friend bool operator==(const FileRange&, const FileRange&) = default;
};

}  // namespace quintet

#endif  // QUINTET_REACTOR_FILE_RANGE_H_
