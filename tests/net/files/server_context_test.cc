#include "net/files/server_context.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <string>

#include "net/files/partial_file.h"
#include "reactor/event_loop.h"
#include "tests/net/files/session_fixture.h"

namespace quintet::testing {
namespace {

using files::ServerContext;

class ServerContextTest : public FilesSessionTest {
 protected:
  // An unfinished upload of 1970.
  void LeaveBehind() {
    std::filesystem::create_directories(root);
    WriteFile(left, "left");
    const timespec times[2] = {};
    ASSERT_EQ(::utimensat(AT_FDCWD, left.c_str(), times, 0), 0);
  }
  bool Left() const { return std::filesystem::exists(left); }

  const std::string left = Path(files::PartialName("a", 1));
};

TEST_F(ServerContextTest, OptionsThatMakeNoSense) {
  files::Options options;
  options.root = scratch.path();
  options.limits.requests = 0;
  EXPECT_EQ(ServerContext::Create(options).status().code(), absl::StatusCode::kInvalidArgument);
  options.limits.requests = 1;
  options.root = scratch / "missing";
  EXPECT_EQ(ServerContext::Create(options).status().code(), absl::StatusCode::kNotFound);
}

TEST_F(ServerContextTest, OneSweepsInAnHour) {
  Serve();
  EXPECT_TRUE(context->SweepDue());
  EXPECT_FALSE(context->SweepDue());
}

TEST_F(ServerContextTest, WithALimitOfTheTotalItSweepsBeforeItServes) {
  LeaveBehind();
  files::Options options;
  options.limits.total_bytes = 100;
  Serve(options);
  EXPECT_FALSE(Left());
  EXPECT_EQ(context->counters().swept, 1U);
  EXPECT_EQ(context->quota().used_bytes(), 0U);
  EXPECT_FALSE(context->SweepDue());
}

TEST_F(ServerContextTest, AThreadThatBlocksSweepsBehindItsClient) {
  LeaveBehind();
  Serve();
  auto client = Connect();
  EXPECT_TRUE(Left());
  client.reset();
  EXPECT_FALSE(Left());
}

TEST_F(ServerContextTest, ALoopSweepsBesideItsClients) {
  LeaveBehind();
  Serve();
  context->set_make_disk([this](EventLoop*, absl::AnyInvocable<void()> wake) {
    disk = std::make_shared<ManualDisk>(std::move(wake));
    return disk;
  });
  const auto client = Connect();
  EXPECT_EQ(disk->pending(), 1U);
  RunDisk(*client);
  EXPECT_FALSE(Left());
}

TEST_F(ServerContextTest, ReadOnlyNothingIsSwept) {
  LeaveBehind();
  files::Options options;
  options.read_only = true;
  Serve(options);
  Connect().reset();
  EXPECT_TRUE(Left());
}

}  // namespace
}  // namespace quintet::testing
