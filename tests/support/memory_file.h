// Files that are in memory only, to send from.
#ifndef QUINTET_TESTS_SUPPORT_MEMORY_FILE_H_
#define QUINTET_TESTS_SUPPORT_MEMORY_FILE_H_

#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <memory>
#include <string_view>

#include "net/unique_fd.h"

namespace quintet::testing {

// A regular file (memfd_create(2)) with `bytes` in it, open for reading and writing.
inline std::shared_ptr<const UniqueFd> MakeFile(std::string_view bytes) {
  UniqueFd file(::memfd_create("quintet_test", MFD_CLOEXEC));
  EXPECT_TRUE(file.valid());
  for (size_t done = 0; done < bytes.size();) {
    const ssize_t count = ::write(file.get(), bytes.data() + done, bytes.size() - done);
    if (count <= 0) {
      ADD_FAILURE() << "write: " << errno;
      break;
    }
    done += static_cast<size_t>(count);
  }
  return std::make_shared<const UniqueFd>(std::move(file));
}

}  // namespace quintet::testing

#endif  // QUINTET_TESTS_SUPPORT_MEMORY_FILE_H_
