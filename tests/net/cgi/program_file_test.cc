#include "net/cgi/program_file.h"

#include <errno.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "tests/reactor/syscall_filter.h"
#include "tests/support/in_child.h"
#include "tests/support/program_directory.h"

namespace quintet::cgi {
namespace {

class CgiProgramFileTest : public ::testing::Test {
 protected:
  CgiProgramFileTest() {
    directory_.Write("run", "");
    directory_.Write("sp ace", "");
    directory_.Write("folder/deep/run", "");
    directory_.Write("nph-run", "");
    directory_.Write(".hidden", "");
    directory_.WriteFile("data", "text", 0644);
    outside_.Write("run", "");
    std::filesystem::create_symlink("folder/deep/run", directory_.path() + "/inside");
    std::filesystem::create_symlink("../run", directory_.path() + "/folder/up");
    std::filesystem::create_symlink(outside_.path() + "/run", directory_.path() + "/absolute");
    std::filesystem::create_symlink("../" + outside_.path().substr(5) + "/run",
                                    directory_.path() + "/relative");
    std::filesystem::create_symlink(outside_.path(), directory_.path() + "/elsewhere");
    std::filesystem::create_symlink("loop", directory_.path() + "/loop");
    std::filesystem::create_symlink("/proc/self/exe", directory_.path() + "/magic");
    EXPECT_EQ(::mkfifo((directory_.path() + "/fifo").c_str(), 0755), 0);
  }

  // "name|path_info|base_name", or the status.
  std::string Find(std::string_view path) const {
    const ProgramFile found = FindProgram(directory_.path(), path);
    if (found.status != 0) {
      EXPECT_NE(found.error, "");
      return std::to_string(found.status);
    }
    EXPECT_EQ(::faccessat(found.folder.get(), found.base_name.c_str(), X_OK, 0), 0);
    return found.name + "|" + found.path_info + "|" + found.base_name;
  }

  const testing::ProgramDirectory directory_;
  const testing::ProgramDirectory outside_;
};

TEST_F(CgiProgramFileTest, TheProgramAndWhatFollows) {
  EXPECT_EQ(Find("run"), "run||run");
  EXPECT_EQ(Find("run/"), "run|/|run");
  EXPECT_EQ(Find("run/a/b%20c"), "run|/a/b c|run");
  EXPECT_EQ(Find("run//a"), "run|//a|run");
  EXPECT_EQ(Find("run/.well-known"), "run|/.well-known|run");
  EXPECT_EQ(Find("sp%20ace"), "sp ace||sp ace");
  EXPECT_EQ(Find("%72un"), "run||run");
  EXPECT_EQ(Find("folder/deep/run/x"), "folder/deep/run|/x|run");
}

TEST_F(CgiProgramFileTest, WhatIsNotThereOrNoProgram) {
  for (const char* const path : {"", "missing", "folder", "folder/", "folder/deep", "/run", "//run",
                                 "folder//deep/run", "fifo", ".hidden", "data/../run"}) {
    EXPECT_EQ(Find(path), "404") << path;
  }
  EXPECT_EQ(Find("data"), "403");
  EXPECT_EQ(Find("nph-run"), "403");
}

TEST_F(CgiProgramFileTest, NothingLeadsOutside) {
  const std::string name = outside_.path().substr(5);
  const std::vector<std::string> paths = {"..",
                                          "../" + name + "/run",
                                          "%2e%2e/" + name + "/run",
                                          "%2E./" + name + "/run",
                                          "folder/../run",
                                          "folder/../../" + name + "/run",
                                          "..%2f" + name + "%2frun",
                                          "folder%2fdeep%2frun",
                                          "run/..",
                                          "run/../../x",
                                          "./run",
                                          "absolute",
                                          "relative",
                                          "elsewhere/run",
                                          "loop",
                                          "magic",
                                          "run%00",
                                          "run%0a",
                                          "folder%5cdeep",
                                          "run%7f"};
  for (const std::string& path : paths) {
    EXPECT_EQ(Find(path), "404") << path;
  }
  EXPECT_EQ(FindProgram(directory_.path() + "/missing", "run").status, 404);
}

TEST_F(CgiProgramFileTest, LinksThatStayInsideAreFollowed) {
  EXPECT_EQ(Find("inside/x"), "inside|/x|inside");
  EXPECT_EQ(Find("folder/up"), "folder/up||up");
}

TEST_F(CgiProgramFileTest, WithoutOpenat2NoLinkIsFollowed) {
  const std::string found = testing::InChild([&]() -> std::string {
    if (!InstallSyscallRule({.number = SYS_openat2, .error = ENOSYS})) return "no filter";
    std::string all;
    for (const char* const path : {"run/x", "folder/deep/run", "inside", "folder/up", "absolute",
                                   "relative", "elsewhere/run", "loop", "magic", "data", "fifo"}) {
      all += Find(path) + "\n";
    }
    return all;
  });
  EXPECT_EQ(found,
            "run|/x|run\nfolder/deep/run||run\n404\n404\n404\n404\n404\n404\n404\n403\n404\n");
}

TEST_F(CgiProgramFileTest, FoldersHaveABound) {
  std::string deep;
  for (int i = 0; i < 15; ++i) deep += "f/";
  directory_.Write(deep + "run", "");
  EXPECT_EQ(Find(deep + "run"), deep + "run||run");
  directory_.Write(deep + "f/run", "");
  EXPECT_EQ(Find(deep + "f/run"), "404");
}

}  // namespace
}  // namespace quintet::cgi
