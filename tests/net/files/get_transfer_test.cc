#include "net/files/get_transfer.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstring>
#include <string>

#include "tests/net/files/session_fixture.h"
#include "tests/support/peers.h"

namespace quintet::testing {
namespace {

using files::ErrorCode;

class GetTransferTest : public FilesSessionTest {
 protected:
  static constexpr size_t kBytes = 1'000'000;
  const std::string content = PatternBytes(kBytes);
};

TEST_F(GetTransferTest, WholeFilesOfAllSizes) {
  Serve();
  const auto client = Connect();
  for (const size_t size : {0, 1, 65535, 65536, 65537, 262144, 262145, 1'000'000}) {
    WriteFile(Path("a"), content.substr(0, size));
    for (const uint16_t flags : {uint16_t{0}, uint16_t{files::kVerify}}) {
      const FilesAnswer& answer = client->Ask(client->Get("a", 0, files::kUnknown, 0, flags));
      EXPECT_TRUE(answer.ended) << size;
      EXPECT_EQ(answer.info->size, size);
      EXPECT_TRUE(answer.data == content.substr(0, size)) << size;
      EXPECT_TRUE(flags == 0 || answer.checked_frames == answer.data_frames);
    }
  }
  EXPECT_EQ(context->counters().gets, 16U);
}

TEST_F(GetTransferTest, LargePiecesAreNotLookedAt) {
  Serve();
  WriteFile(Path("a"), content);
  const auto client = Connect();
  const FilesAnswer& answer = client->Ask(client->Get("a"));
  EXPECT_TRUE(answer.data == content);
  EXPECT_LT(answer.checked_frames, answer.data_frames);
}

TEST_F(GetTransferTest, Parts) {
  Serve();
  WriteFile(Path("a"), content);
  const auto client = Connect();
  const auto part = [&](uint64_t offset, uint64_t length) {
    const FilesAnswer& answer = client->Ask(client->Get("a", offset, length));
    EXPECT_TRUE(answer.ended);
    EXPECT_EQ(answer.info->size, kBytes);
    return answer.data;
  };
  EXPECT_TRUE(part(10, 20) == content.substr(10, 20));
  EXPECT_TRUE(part(999'000, files::kUnknown) == content.substr(999'000));
  EXPECT_TRUE(part(300'000, 400'000) == content.substr(300'000, 400'000));
  EXPECT_EQ(part(kBytes, 1), "");
  EXPECT_EQ(part(files::kUnknown - 1, files::kUnknown), "");
  EXPECT_EQ(part(5, 0), "");
}

TEST_F(GetTransferTest, GoesOnOnlyInTheFileThatItBeganWith) {
  Serve();
  WriteFile(Path("a"), content);
  const auto client = Connect();
  const uint64_t tag = client->Ask(client->Stat("a")).info->tag;
  EXPECT_TRUE(client->Ask(client->Get("a", 5, files::kUnknown, tag)).ended);
  WriteFile(Path("b"), content);
  EXPECT_TRUE(client->Ask(client->Rename("b", "a")).ended);
  EXPECT_EQ(client->Ask(client->Get("a", 5, files::kUnknown, tag)).error, ErrorCode::kChanged);
}

TEST_F(GetTransferTest, OnlyRegularFiles) {
  Serve();
  std::filesystem::create_directory(Path("directory"));
  ASSERT_EQ(::mkfifo(Path("fifo").c_str(), 0600), 0);
  const Fd socket(::socket(AF_UNIX, SOCK_STREAM, 0));
  sockaddr_un address = {};
  address.sun_family = AF_UNIX;
  std::strcpy(address.sun_path, Path("socket").c_str());
  ASSERT_EQ(::bind(socket.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address)), 0);
  const auto client = Connect();
  for (const char* name : {"directory", "fifo", "socket"}) {
    EXPECT_EQ(client->Ask(client->Get(name)).error, ErrorCode::kNotAFile) << name;
  }
  EXPECT_EQ(client->Ask(client->Stat("fifo")).error, ErrorCode::kNotAFile);
  EXPECT_EQ(client->Ask(client->Put("fifo")).error, ErrorCode::kNotAFile);
  EXPECT_EQ(client->Ask(client->Delete("fifo")).error, ErrorCode::kNotAFile);
  EXPECT_EQ(client->Ask(client->Get("missing")).error, ErrorCode::kNotFound);
}

TEST_F(GetTransferTest, LinksStayBelowTheRoot) {
  Serve();
  WriteFile(scratch / "secret", "outside");
  WriteFile(Path("a"), "inside");
  std::filesystem::create_directory(Path("d"));
  std::filesystem::create_symlink("../a", Path("d/up"));
  std::filesystem::create_symlink("../../secret", Path("d/out"));
  std::filesystem::create_symlink(scratch / "secret", Path("absolute"));
  std::filesystem::create_symlink("/proc/self/root", Path("magic"));
  std::filesystem::create_symlink("loop", Path("loop"));
  std::filesystem::create_symlink(scratch.path(), Path("outside"));
  const auto client = Connect();
  EXPECT_EQ(client->Ask(client->Get("d/up")).data, "inside");
  for (const char* path : {"d/out", "absolute", "magic/etc/passwd", "loop", "outside/secret"}) {
    EXPECT_EQ(client->Ask(client->Get(path)).error, ErrorCode::kForbidden) << path;
    EXPECT_EQ(client->Ask(client->Stat(path)).error, ErrorCode::kForbidden) << path;
  }
  EXPECT_EQ(client->Ask(client->Put("outside/new")).error, ErrorCode::kForbidden);
  EXPECT_EQ(client->Ask(client->Delete("outside/secret")).error, ErrorCode::kForbidden);
  EXPECT_EQ(client->Ask(client->Rename("a", "outside/a")).error, ErrorCode::kForbidden);
  EXPECT_EQ(client->Ask(client->List("outside")).error, ErrorCode::kForbidden);
  EXPECT_EQ(ReadFile(scratch / "secret"), "outside");
}

// What is opened is looked at once, by the kernel: between two looks nobody can put a link.
TEST_F(GetTransferTest, ALinkThatIsSwappedInBeforeTheOpen) {
  ServeManually();
  WriteFile(scratch / "secret", "outside");
  WriteFile(Path("a"), "inside");
  const auto client = Connect();
  client->Send(client->Get("a"));
  std::filesystem::remove(Path("a"));
  std::filesystem::create_symlink(scratch / "secret", Path("a"));
  RunDisk(*client);
  EXPECT_EQ(client->Last().error, ErrorCode::kForbidden);
}

TEST_F(GetTransferTest, AFileThatVanishesIsSentToItsEnd) {
  ServeManually();
  WriteFile(Path("a"), content);
  const auto client = Connect();
  client->Send(client->Get("a"));
  RunDisk(*client, 1);
  std::filesystem::remove(Path("a"));
  RunDisk(*client);
  EXPECT_TRUE(client->Last().ended);
  EXPECT_TRUE(client->Last().data == content);
}

TEST_F(GetTransferTest, AFileThatShrinks) {
  for (const uint16_t flags : {uint16_t{0}, uint16_t{files::kVerify}}) {
    ServeManually();
    WriteFile(Path("a"), content);
    const auto client = Connect();
    client->transport().set_auto_take(false);
    client->Send(client->Get("a", 0, files::kUnknown, 0, flags));
    RunDisk(*client);  // up to what a client that does not read is sent
    EXPECT_LT(client->transport().output_bytes(), 300'000U);
    std::filesystem::resize_file(Path("a"), 400'000);
    while (client->transport().output_bytes() > 0) {
      client->transport().Take(client->transport().output_bytes());
      RunDisk(*client);
    }
    client->transport().set_auto_take(true);
    EXPECT_EQ(client->Last().error, ErrorCode::kChanged);
    EXPECT_TRUE(content.starts_with(client->Last().data.substr(0, 262'144)));
    EXPECT_FALSE(client->transport().closing());
    client->Send(client->Stat("a"));
    RunDisk(*client);
    EXPECT_EQ(client->Last().info->size, 400'000U) << "the stream is whole";
  }
}

TEST_F(GetTransferTest, Cancel) {
  ServeManually();
  WriteFile(Path("a"), content);
  const auto client = Connect();
  for (int steps = 0; steps < 3; ++steps) {
    client->Send(client->Get("a", 0, files::kUnknown, 0, files::kVerify));
    RunDisk(*client, steps);
    client->Send(client->Cancel());
    EXPECT_EQ(client->Last().error, ErrorCode::kCancelled) << steps;
    client->Send(client->Cancel());  // of one that is over
    RunDisk(*client);
    EXPECT_FALSE(client->transport().closing());
  }
}

// Nothing is produced for a client that does not read.
TEST_F(GetTransferTest, WaitsForItsReader) {
  Serve();
  WriteFile(Path("a"), content);
  const auto client = Connect();
  client->transport().set_auto_take(false);
  client->Send(client->Get("a", 0, files::kUnknown, 0, files::kVerify));
  EXPECT_LT(client->transport().output_bytes(), 200'000U);
  while (client->transport().output_bytes() > 0) {
    client->transport().Take(client->transport().output_bytes());
    EXPECT_LT(client->transport().output_bytes(), 200'000U);
  }
  EXPECT_TRUE(client->Last().ended);
  EXPECT_TRUE(client->Last().data == content);
}

TEST_F(GetTransferTest, TransfersAreLimited) {
  files::Options options;
  options.limits.transfers = 1;
  ServeManually(options);
  WriteFile(Path("a"), content);
  const auto client = Connect();
  const auto busy_for_another = [&] {
    const auto first = disk;
    const auto other = Connect();
    other->Send(other->Get("a"));
    const auto error = other->Last().error;
    disk = first;
    return error;
  };
  client->Send(client->Get("a"));
  EXPECT_EQ(busy_for_another(), ErrorCode::kBusy);
  RunDisk(*client);
  EXPECT_TRUE(client->Last().ended);
  EXPECT_EQ(context->quota().transfers(), 0U);
  client->Send(client->Get("a"));
  EXPECT_EQ(client->Last().error, std::nullopt);
  RunDisk(*client);
}

}  // namespace
}  // namespace quintet::testing
