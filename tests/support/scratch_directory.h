// A directory of a test's own, and what is in its files.
#ifndef QUINTET_TESTS_SUPPORT_SCRATCH_DIRECTORY_H_
#define QUINTET_TESTS_SUPPORT_SCRATCH_DIRECTORY_H_

#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <string_view>

namespace quintet::testing {

// Empty at first, and removed with everything in it.
class ScratchDirectory {
 public:
  ScratchDirectory() {
    char name[] = "/tmp/quintet_test_XXXXXX";
    EXPECT_NE(::mkdtemp(name), nullptr);
    path_ = name;
  }
  ~ScratchDirectory() { std::filesystem::remove_all(path_); }
  ScratchDirectory(const ScratchDirectory&) = delete;
  ScratchDirectory& operator=(const ScratchDirectory&) = delete;

  const std::string& path() const { return path_; }
  // The path of a file in it, whether it is there or not.
  std::string operator/(std::string_view name) const { return path_ + "/" + std::string(name); }

 private:
  std::string path_;
};

// Empty where there is no such file.
inline std::string ReadFile(const std::string& path) {
  std::stringstream text;
  text << std::ifstream(path).rdbuf();
  return text.str();
}
inline void WriteFile(const std::string& path, std::string_view text) {
  std::ofstream(path) << text;
}

}  // namespace quintet::testing

#endif  // QUINTET_TESTS_SUPPORT_SCRATCH_DIRECTORY_H_
