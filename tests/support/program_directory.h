// A directory of scripts that a test writes.
#ifndef QUINTET_TESTS_SUPPORT_PROGRAM_DIRECTORY_H_
#define QUINTET_TESTS_SUPPORT_PROGRAM_DIRECTORY_H_

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <string>

#include "tests/support/scratch_directory.h"

namespace quintet::testing {

// Removed with this. Write all programs before the first is run: one that is open for writing
// cannot be executed.
class ProgramDirectory {
 public:
  const std::string& path() const { return directory_.path(); }

  // A file as it is, and its path; folders in `name` are made.
  std::string WriteFile(const std::string& name, const std::string& text, mode_t mode) const {
    const std::filesystem::path file = directory_ / name;
    std::filesystem::create_directories(file.parent_path());
    testing::WriteFile(file, text);
    EXPECT_EQ(::chmod(file.c_str(), mode), 0);
    return file;
  }
  // A program for sh(1).
  void Write(const std::string& name, const std::string& script) const {
    WriteFile(name, "#!/bin/sh\n" + script + "\n", 0755);
  }

 private:
  const ScratchDirectory directory_;
};

}  // namespace quintet::testing

#endif  // QUINTET_TESTS_SUPPORT_PROGRAM_DIRECTORY_H_
