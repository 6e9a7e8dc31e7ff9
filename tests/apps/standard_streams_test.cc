#include "apps/program/standard_streams.h"

#include <errno.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <string>

#include "tests/support/descriptors.h"
#include "tests/support/in_child.h"

namespace quintet::program {
namespace {

using testing::InChild;
using testing::OpenDescriptors;

class StandardStreamsTest : public testing::DescriptorLeakTest {};

bool Works(int fd) {
  char byte = 0;
  const ssize_t size = fd == STDIN_FILENO ? read(fd, &byte, 1) : write(fd, &byte, 0);
  return size >= 0 || errno != EBADF;
}

TEST_F(StandardStreamsTest, ClosedOnesAreOpenedAndGoOnFailing) {
  for (unsigned closed = 0; closed < 8; ++closed) {
    EXPECT_EQ(InChild([closed]() -> std::string {
                for (int fd = 0; fd < 3; ++fd) dup2(open("/dev/zero", O_RDWR), fd);
                for (int fd = 0; fd < 3; ++fd) {
                  if ((closed & (1u << fd)) != 0) close(fd);
                }
                if (absl::Status status = EnsureStandardStreams(); !status.ok()) {
                  return status.ToString();
                }
                auto open_now = OpenDescriptors();
                for (int fd = 0; fd < 3; ++fd) {
                  const bool was_closed = (closed & (1u << fd)) != 0;
                  if (open_now[fd] != (was_closed ? "/dev/null" : "/dev/zero")) {
                    return std::to_string(fd) + " is " + open_now[fd];
                  }
                  if (Works(fd) == was_closed) return std::to_string(fd) + " has changed";
                }
                return dup(0) > 2 ? "in order" : "a number is free";
              }),
              "in order")
        << closed;
  }
}

TEST_F(StandardStreamsTest, DetachedOnesAreTheNullDevice) {
  EXPECT_EQ(InChild([]() -> std::string {
              for (int fd = 0; fd < 3; ++fd) dup2(open("/dev/zero", O_RDWR), fd);
              if (!DetachStreams(StandardError::kKeep).ok()) return "failed";
              std::string text;
              for (int fd = 0; fd < 3; ++fd) text += OpenDescriptors()[fd] + " ";
              if (!DetachStreams(StandardError::kDetach).ok()) return "failed";
              text += OpenDescriptors()[STDERR_FILENO];
              for (int fd = 0; fd < 3; ++fd) {
                if (!Works(fd)) text += " unusable";
                if (fcntl(fd, F_GETFD) != 0) text += " close-on-exec";
              }
              return text;
            }),
            "/dev/null /dev/null /dev/zero /dev/null");
}

}  // namespace
}  // namespace quintet::program
