#include "net/files/put_transfer.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <chrono>
#include <string>

#include "net/files/partial_file.h"
#include "tests/net/files/session_fixture.h"
#include "tests/support/in_child.h"
#include "tests/support/peers.h"

namespace quintet::testing {
namespace {

using namespace std::chrono_literals;
using files::ErrorCode;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

class PutTransferTest : public FilesSessionTest {
 protected:
  static constexpr uint64_t kKey = 42;
  static constexpr size_t kBytes = 1'000'000;
  const std::string content = PatternBytes(kBytes);
  const std::string partial = files::PartialName("a", kKey);
};

TEST_F(PutTransferTest, FilesOfAllSizes) {
  Serve();
  const auto client = Connect();
  uint64_t puts = 0;
  for (const size_t size : {0, 1, 65536, 262144, 1'000'000}) {
    for (const uint64_t key : {uint64_t{0}, kKey}) {
      const std::string part = content.substr(0, size);
      const FilesAnswer& answer = client->AskPut("a", part, key);
      ASSERT_TRUE(answer.info.has_value()) << answer.text;
      EXPECT_EQ(answer.info->size, size);
      EXPECT_EQ(answer.info->tag, client->Ask(client->Stat("a")).info->tag);
      EXPECT_TRUE(Content("a") == part);
      EXPECT_THAT(Names(), ElementsAre("a"));
      ++puts;
    }
  }
  EXPECT_EQ(context->counters().puts, puts);
}

TEST_F(PutTransferTest, OfUnknownSizeInPieces) {
  Serve();
  const auto client = Connect();
  client->Send(client->Put("a"));
  EXPECT_EQ(client->Last().ready->offset, 0U);
  for (size_t at = 0; at < kBytes; at += 77'777) {
    client->Send(client->Data(content.substr(at, 77'777)));
    EXPECT_FALSE(Exists("a"));
  }
  client->Send(client->Finish(content));
  EXPECT_EQ(client->Last().info->size, kBytes);
  EXPECT_TRUE(Content("a") == content);
}

TEST_F(PutTransferTest, TheFormerFileStaysUntilTheEnd) {
  for (const auto each :
       {files::Durability::kNone, files::Durability::kFile, files::Durability::kDirectory}) {
    durability = each;
    ServeManually();
    WriteFile(Path("a"), "former");
    const auto client = Connect();
    client->Send(client->Put("a", 5));
    client->Send(client->Data("later"));
    client->Send(client->Finish("later"));
    int steps = 0;
    while (disk->pending() > 0) {
      const std::string now = Content("a");
      EXPECT_TRUE(now == "former" || now == "later") << now;
      EXPECT_EQ(client->Last().info, std::nullopt);
      RunDisk(*client, 1);
      ++steps;
    }
    // Open, write, rename and the last look; each fsync(2) is one more.
    EXPECT_EQ(steps, 4 + static_cast<int>(durability));
    EXPECT_TRUE(client->Last().info.has_value());
    EXPECT_EQ(Content("a"), "later");
    disk.reset();
  }
}

TEST_F(PutTransferTest, ModesOfNewFiles) {
  files::Options options;
  options.file_mode = 0600;
  Serve(options);
  const auto client = Connect();
  client->AskPut("a", "x");
  struct stat status = {};
  ASSERT_EQ(::stat(Path("a").c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0600U);
}

TEST_F(PutTransferTest, MakesDirectories) {
  Serve();
  std::filesystem::create_directory(Path("there"));
  std::filesystem::create_directory(Path("x"));
  std::filesystem::create_symlink("../there", Path("x/link"));
  std::filesystem::create_symlink(scratch.path(), Path("x/out"));
  const auto client = Connect();
  EXPECT_EQ(client->AskPut("d/e/f", "1").error, ErrorCode::kNotFound);
  const uint16_t make = files::kMakeDirectories;
  EXPECT_TRUE(client->AskPut("d/e/f", "1", 0, make).info.has_value()) << client->Last().text;
  EXPECT_TRUE(client->AskPut("x/link/new/f", "2", 0, make).info.has_value());
  EXPECT_EQ(client->AskPut("x/out/new/f", "3", 0, make).error, ErrorCode::kForbidden);
  EXPECT_EQ(client->AskPut("d/e/f/g", "4", 0, make).error, ErrorCode::kNotFound);
  EXPECT_EQ(Content("d/e/f"), "1");
  EXPECT_EQ(Content("there/new/f"), "2");
  EXPECT_FALSE(std::filesystem::exists(scratch / "new"));
}

TEST_F(PutTransferTest, NeverOverADirectory) {
  ServeManually();
  std::filesystem::create_directory(Path("d"));
  const auto client = Connect();
  client->Send(client->Put("d"));
  RunDisk(*client);
  EXPECT_EQ(client->Last().error, ErrorCode::kExists);
  // One that comes while the file does.
  client->Send(client->Put("a"));
  RunDisk(*client);
  std::filesystem::create_directory(Path("a"));
  client->Send(client->Finish(""));
  RunDisk(*client);
  EXPECT_EQ(client->Last().error, ErrorCode::kExists);
  EXPECT_THAT(Names(), ElementsAre("a", "d"));
}

// A directory that is replaced by a link while the file comes: the file stays where it was begun.
TEST_F(PutTransferTest, ALinkThatIsSwappedInLeadsNowhere) {
  ServeManually();
  std::filesystem::create_directory(Path("d"));
  std::filesystem::create_directory(scratch / "outside");
  const auto client = Connect();
  client->Send(client->Put("d/a"));
  RunDisk(*client);
  std::filesystem::rename(Path("d"), Path("moved"));
  std::filesystem::create_symlink(scratch / "outside", Path("d"));
  client->Send(client->Data("x"));
  client->Send(client->Finish("x"));
  RunDisk(*client);
  EXPECT_TRUE(client->Last().info.has_value());
  EXPECT_EQ(Content("moved/a"), "x");
  EXPECT_TRUE(std::filesystem::is_empty(scratch / "outside"));
  client->Send(client->Put("d/b"));
  RunDisk(*client);
  EXPECT_EQ(client->Last().error, ErrorCode::kForbidden);
}

TEST_F(PutTransferTest, ReplacesALinkAndNotWhatItPointsTo) {
  Serve();
  WriteFile(scratch / "secret", "outside");
  std::filesystem::create_symlink(scratch / "secret", Path("a"));
  const auto client = Connect();
  EXPECT_TRUE(client->AskPut("a", "mine").info.has_value());
  EXPECT_EQ(Content("a"), "mine");
  EXPECT_EQ(ReadFile(scratch / "secret"), "outside");
}

// ---- What does not fit ----

TEST_F(PutTransferTest, WrongSizeOrCrc) {
  Serve();
  WriteFile(Path("a"), "former");
  const auto client = Connect();
  for (const uint64_t key : {uint64_t{0}, kKey}) {
    client->Send(client->Put("a", files::kUnknown, key));
    client->Send(client->Data("12345"));
    client->Send(client->Finish("12346"));
    EXPECT_EQ(client->Last().error, ErrorCode::kMismatch);
    client->Send(client->Put("a", files::kUnknown, key));
    client->Send(client->Data("12345"));
    client->Send(client->Finish("1234"));
    EXPECT_EQ(client->Last().error, ErrorCode::kMismatch);
    client->Send(client->Put("a", 6, key));
    client->Send(client->Data("12345"));
    client->Send(client->Finish("12345"));
    EXPECT_EQ(client->Last().error, ErrorCode::kMismatch);
    client->Send(client->Put("a", 4, key));
    client->Send(client->Data("12345"));
    EXPECT_EQ(client->Last().error, ErrorCode::kMismatch);
  }
  EXPECT_EQ(Content("a"), "former");
  EXPECT_THAT(Names(), ElementsAre("a")) << "what is wrong is not to be gone on with";
}

// A frame that came wrong is not a part of what is gone on with.
TEST_F(PutTransferTest, DataWithAWrongCrc) {
  Serve();
  const auto client = Connect();
  client->Send(client->Put("a", files::kUnknown, kKey));
  client->Send(client->Data("right"));
  std::string wrong = client->Data("wrong");
  wrong.back() ^= 1;
  client->Send(wrong);
  EXPECT_EQ(client->Last().error, ErrorCode::kCrc);
  client->Send(client->Data("ignored"));
  client->Send(client->Finish("ignored"));
  EXPECT_FALSE(client->transport().closing());
  EXPECT_EQ(Content(partial), "right");
  client->Send(client->Put("a", files::kUnknown, kKey, files::kResume));
  EXPECT_EQ(client->Last().ready,
            (files::ReadyMessage{.offset = 5, .crc = files::Crc32c("right")}));
}

TEST_F(PutTransferTest, FinishWithAWrongCrc) {
  Serve();
  const auto client = Connect();
  client->Send(client->Put("a"));
  std::string wrong = client->Finish("");
  wrong.back() ^= 1;
  client->Send(wrong);
  EXPECT_EQ(client->Last().error, ErrorCode::kCrc);
  EXPECT_THAT(Names(), IsEmpty());
}

// ---- Resuming ----

TEST_F(PutTransferTest, GoesOnAfterTheConnection) {
  Serve();
  auto client = Connect();
  client->Send(client->Put("a", kBytes, kKey));
  client->Send(client->Data(content.substr(0, 600'000)));
  // A frame that is cut off is not believed.
  client->Send(client->Data(content.substr(600'000)).substr(0, 100'000));
  EXPECT_FALSE(Exists("a"));
  client.reset();
  EXPECT_THAT(Names(), ElementsAre(partial));
  client = Connect();
  client->Send(client->Put("a", kBytes, kKey, files::kResume));
  ASSERT_TRUE(client->Last().ready.has_value());
  EXPECT_EQ(client->Last().ready->offset, 600'000U);
  EXPECT_EQ(client->Last().ready->crc, files::Crc32c(content.substr(0, 600'000)));
  client->Send(client->Data(content.substr(600'000)));
  client->Send(client->Finish(content));
  EXPECT_TRUE(client->Last().info.has_value()) << client->Last().text;
  EXPECT_TRUE(Content("a") == content);
  EXPECT_THAT(Names(), ElementsAre("a"));
}

TEST_F(PutTransferTest, StartsAnewWhereItCannotGoOn) {
  Serve();
  const auto client = Connect();
  const auto leave_behind = [&] { WriteFile(Path(partial), "left from before"); };
  leave_behind();
  // Without the flag, with another key, with none, and where more is there than will come.
  client->Send(client->Put("a", files::kUnknown, kKey));
  EXPECT_EQ(client->Last().ready->offset, 0U);
  client->Send(client->Cancel());
  leave_behind();
  client->Send(client->Put("a", files::kUnknown, kKey + 1, files::kResume));
  EXPECT_EQ(client->Last().ready->offset, 0U);
  client->Send(client->Cancel());
  client->Send(client->Put("a", files::kUnknown, 0, files::kResume));
  EXPECT_EQ(client->Last().ready->offset, 0U);
  client->Send(client->Cancel());
  client->Send(client->Put("a", 3, kKey, files::kResume));
  EXPECT_EQ(client->Last().ready->offset, 0U);
  client->Send(client->Data("new"));
  client->Send(client->Finish("new"));
  EXPECT_EQ(Content("a"), "new");
  EXPECT_THAT(Names(), ElementsAre("a"));
}

TEST_F(PutTransferTest, CancelKeepsWhatHasAKey) {
  ServeManually();
  const auto client = Connect();
  // At each step of it.
  for (int steps = 0; steps < 4; ++steps) {
    for (const uint64_t key : {uint64_t{0}, kKey}) {
      client->Send(client->Put("a", files::kUnknown, key));
      client->Send(client->Data("data"));
      RunDisk(*client, steps);
      client->Send(client->Cancel());
      const uint32_t cancelled = client->last_id();
      // Right behind it the next, which is not to meet what is left of this one.
      client->Send(client->Put("a", files::kUnknown, key, files::kResume));
      RunDisk(*client);
      EXPECT_EQ(client->Of(cancelled).error, ErrorCode::kCancelled) << steps;
      ASSERT_TRUE(client->Last().ready.has_value()) << client->Last().text;
      EXPECT_EQ(client->Last().ready->offset, key == 0 || steps < 1 ? 0U : 4U) << steps;
      client->Send(client->Cancel());
      RunDisk(*client);
      std::filesystem::remove(Path(partial));
      EXPECT_THAT(Names(), IsEmpty());
    }
  }
}

TEST_F(PutTransferTest, TwoOfTheSameNameAndKeyConflict) {
  Serve();
  const auto first = Connect();
  const auto second = Connect();
  first->Send(first->Put("a", files::kUnknown, kKey));
  first->Send(first->Data("first"));
  second->Send(second->Put("a", files::kUnknown, kKey, files::kResume));
  EXPECT_EQ(second->Last().error, ErrorCode::kConflict);
  second->Send(second->Put("a", files::kUnknown, kKey));
  EXPECT_EQ(second->Last().error, ErrorCode::kConflict);
  // Without a key, or with another, they do not: the last to finish has its file there.
  second->AskPut("a", "second");
  EXPECT_EQ(Content("a"), "second");
  first->Send(first->Finish("first"));
  EXPECT_TRUE(first->Last().info.has_value());
  EXPECT_EQ(Content("a"), "first");
  EXPECT_THAT(Names(), ElementsAre("a"));
}

// ---- Limits ----

TEST_F(PutTransferTest, SizesOfFilesAreLimited) {
  files::Options options;
  options.limits.file_bytes = 1000;
  Serve(options);
  const auto client = Connect();
  EXPECT_EQ(client->Ask(client->Put("a", 1001)).error, ErrorCode::kQuota);
  client->Send(client->Put("a", files::kUnknown, kKey));
  client->Send(client->Data(std::string(600, 'x')));
  client->Send(client->Data(std::string(401, 'x')));
  EXPECT_EQ(client->Last().error, ErrorCode::kQuota);
  EXPECT_THAT(Names(), IsEmpty());
  EXPECT_TRUE(client->AskPut("a", std::string(1000, 'x')).info.has_value());
}

TEST_F(PutTransferTest, TheTotalSizeIsLimited) {
  std::filesystem::create_directory(root);
  WriteFile(Path("old"), std::string(600, 'o'));
  files::Options options;
  options.limits.total_bytes = 1000;
  Serve(options);
  EXPECT_EQ(context->quota().used_bytes(), 600U);
  auto client = Connect();
  EXPECT_EQ(client->AskPut("a", std::string(401, 'x')).error, ErrorCode::kQuota);
  EXPECT_TRUE(client->AskPut("a", std::string(300, 'x')).info.has_value());
  EXPECT_EQ(context->quota().used_bytes(), 900U);
  // In place of itself: both are there for a moment.
  EXPECT_TRUE(client->AskPut("a", std::string(100, 'x')).info.has_value());
  EXPECT_EQ(context->quota().used_bytes(), 700U);
  client->Send(client->Put("b", files::kUnknown, kKey));
  client->Send(client->Data(std::string(200, 'x')));
  client->Send(client->Data(std::string(101, 'x')));
  EXPECT_EQ(client->Last().error, ErrorCode::kQuota);
  EXPECT_EQ(context->quota().used_bytes(), 700U);
  // What was announced and has not come is given back.
  client->Send(client->Put("b", 300, kKey));
  client->Send(client->Data(std::string(50, 'x')));
  EXPECT_EQ(context->quota().used_bytes(), 1000U);
  client.reset();
  EXPECT_EQ(context->quota().used_bytes(), 750U);
  client = Connect();
  EXPECT_TRUE(client->AskPut("b", std::string(60, 'x'), kKey).info.has_value());
  EXPECT_EQ(context->quota().used_bytes(), 760U);
  EXPECT_TRUE(client->Ask(client->Delete("old")).ended);
  EXPECT_TRUE(client->Ask(client->Rename("a", "b")).ended);
  EXPECT_EQ(context->quota().used_bytes(), 100U);
}

TEST_F(PutTransferTest, MemoryIsBounded) {
  ServeManually();
  const auto client = Connect();
  const std::string piece(64 << 10, 'x');
  for (int i = 0; i < 8; ++i) client->Send(client->Put("f" + std::to_string(i)));
  RunDisk(*client);
  for (int i = 0; i < 100; ++i) {
    client->Send(client->Data(piece, static_cast<uint32_t>(1 + i % 8)));
  }
  EXPECT_TRUE(client->transport().reading_paused());
  // Read: one piece a put is on its way to the disk, besides what has been gathered.
  const size_t read = context->counters().bytes_in;
  EXPECT_LE(read, (8U << 16) + (1U << 20) + (1U << 16));
  EXPECT_GE(read, 1U << 20);
  for (int rounds = 0; client->transport().unread_bytes() > 0 && rounds < 1000; ++rounds) {
    RunDisk(*client, 1);
    EXPECT_LE(context->counters().bytes_in, 100U << 16);
  }
  EXPECT_EQ(client->transport().unread_bytes(), 0U);
  RunDisk(*client);
  EXPECT_FALSE(client->transport().reading_paused());
}

TEST_F(PutTransferTest, SoIsThatOfOnePut) {
  ServeManually();
  const auto client = Connect();
  client->Send(client->Put("a"));
  RunDisk(*client);
  const std::string piece(64 << 10, 'x');
  for (int i = 0; i < 20; ++i) client->Send(client->Data(piece));
  EXPECT_TRUE(client->transport().reading_paused());
  // One piece is on its way to the disk.
  EXPECT_EQ(context->counters().bytes_in, files::PutTransfer::kGatheredBytes + piece.size());
}

TEST_F(PutTransferTest, AClientThatStopsWriting) {
  Serve();
  const auto client = Connect();
  client->Send(client->Put("a", files::kUnknown, kKey));
  client->transport().Advance(50s);
  client->Send(client->Data("some"));
  client->transport().Advance(50s);
  EXPECT_EQ(client->Last().error, std::nullopt);
  client->transport().Advance(11s);
  EXPECT_EQ(client->Last().error, ErrorCode::kCancelled);
  EXPECT_FALSE(client->transport().closing());
  EXPECT_THAT(Names(), ElementsAre(partial));
}

// ---- A full disk ----

TEST_F(PutTransferTest, AFullDisk) {
  if (::geteuid() != 0) GTEST_SKIP() << "mounting a small file system takes root";
  std::filesystem::create_directory(root);
  if (::mount("none", root.c_str(), "tmpfs", 0, "size=512k") != 0) {
    GTEST_SKIP() << "no file system may be mounted here";
  }
  Serve();
  {
    const auto client = Connect();
    EXPECT_TRUE(client->AskPut("small", "x").info.has_value());
    const FilesAnswer& answer = client->AskPut("a", content, kKey);
    EXPECT_EQ(answer.error, ErrorCode::kNoSpace) << answer.text;
    EXPECT_THAT(Names(), ElementsAre("small"));
    EXPECT_TRUE(client->AskPut("b", content.substr(0, 300'000)).info.has_value());
  }
  context.reset();
  EXPECT_EQ(::umount(root.c_str()), 0);
}

TEST_F(PutTransferTest, ALimitOfTheProcess) {
  Serve();
  EXPECT_EQ(InChild([this]() -> std::string {
              ::signal(SIGXFSZ, SIG_IGN);
              const rlimit limit = {.rlim_cur = 100'000, .rlim_max = 100'000};
              ::setrlimit(RLIMIT_FSIZE, &limit);
              const auto client = Connect();
              const auto error = client->AskPut("a", content).error;
              return std::string(files::ErrorCodeName(error.value_or(ErrorCode::kIo)));
            }),
            files::ErrorCodeName(ErrorCode::kNoSpace));
  EXPECT_THAT(Names(), IsEmpty());
}

}  // namespace
}  // namespace quintet::testing
