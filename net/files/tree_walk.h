// A look at all that is below the root.
#ifndef QUINTET_NET_FILES_TREE_WALK_H_
#define QUINTET_NET_FILES_TREE_WALK_H_

#include <cstdint>

#include "net/files/file_store.h"
#include "reactor/clock.h"

namespace quintet::files {

struct TreeWalk {
  uint64_t bytes = 0;    // of regular files, those of unfinished uploads included
  uint64_t removed = 0;  // unfinished uploads that were too old
};

// Blocks, for as long as the tree is large. Adds up the sizes of files, and removes unfinished
// uploads whose last byte is older than `lifetime` (zero: none), but for those that go on. Follows
// no links. What cannot be read is passed over.
TreeWalk WalkTree(const FileStore& store, Duration lifetime);

}  // namespace quintet::files

#endif  // QUINTET_NET_FILES_TREE_WALK_H_
