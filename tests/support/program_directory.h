// A directory of scripts that a test writes.
#ifndef QUINTET_TESTS_SUPPORT_PROGRAM_DIRECTORY_H_
#define QUINTET_TESTS_SUPPORT_PROGRAM_DIRECTORY_H_

#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <string>

namespace quintet::testing {

// Removed with this. Write all programs before the first is run: one that is open for writing
// cannot be executed.
class ProgramDirectory {
 public:
  ProgramDirectory() {
    char name[] = "/tmp/quintet_programs_XXXXXX";
    EXPECT_NE(::mkdtemp(name), nullptr);
    path_ = name;
  }
  ~ProgramDirectory() { std::filesystem::remove_all(path_); }
  ProgramDirectory(const ProgramDirectory&) = delete;
  ProgramDirectory& operator=(const ProgramDirectory&) = delete;

  const std::string& path() const { return path_; }

  // A file as it is, and its path; folders in `name` are made.
  std::string WriteFile(const std::string& name, const std::string& text, mode_t mode) const {
    const std::filesystem::path file = path_ + "/" + name;
    std::filesystem::create_directories(file.parent_path());
    std::ofstream(file) << text;
    EXPECT_EQ(::chmod(file.c_str(), mode), 0);
    return file;
  }
  // A program for sh(1).
  void Write(const std::string& name, const std::string& script) const {
    WriteFile(name, "#!/bin/sh\n" + script + "\n", 0755);
  }

 private:
  std::string path_;
};

}  // namespace quintet::testing

#endif  // QUINTET_TESTS_SUPPORT_PROGRAM_DIRECTORY_H_
