// Descriptors in tests: owned ones, and the check that none was leaked.
#ifndef QUINTET_TESTS_SUPPORT_DESCRIPTORS_H_
#define QUINTET_TESTS_SUPPORT_DESCRIPTORS_H_

#include <gtest/gtest.h>
#include <sys/types.h>

#include <map>
#include <string>
#include <utility>

namespace quintet::testing {

// Owns one descriptor. Movable.
class Fd {
 public:
  Fd() = default;
  explicit Fd(int fd) : fd_(fd) {}
  Fd(Fd&& other) noexcept : fd_(other.Release()) {}
  Fd& operator=(Fd&& other) noexcept {
    Reset(other.Release());
    return *this;
  }
  ~Fd() { Reset(); }

  int get() const { return fd_; }
  explicit operator bool() const { return fd_ >= 0; }
  int Release() { return std::exchange(fd_, -1); }
  void Reset(int fd = -1);

 private:
  int fd_ = -1;
};

// Whether the number names an open descriptor.
bool IsOpen(int fd);
void SetNonBlocking(int fd);

// Every open descriptor with what it refers to, from /proc/self/fd.
std::map<int, std::string> OpenDescriptors();
// The same of another process; nothing when there is none.
std::map<int, std::string> OpenDescriptors(pid_t pid);

// Compares the descriptors at its end with those at its beginning.
class DescriptorLeakCheck {
 public:
  DescriptorLeakCheck() : before_(OpenDescriptors()) {}
  // Fails the running test for each descriptor that is open now and was not at construction. What
  // the kernel closes in the background (a ring's files) has some seconds to go.
  void ExpectNoneLeaked() const;

 private:
  const std::map<int, std::string> before_;
};

// Base of fixtures whose tests leave no descriptor behind. A derived TearDown() calls this one
// last.
class DescriptorLeakTest : public ::testing::Test {
 protected:
  void TearDown() override { leaks_.ExpectNoneLeaked(); }

 private:
  const DescriptorLeakCheck leaks_;
};

}  // namespace quintet::testing

#endif  // QUINTET_TESTS_SUPPORT_DESCRIPTORS_H_
