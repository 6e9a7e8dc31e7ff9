// Files go up and down over real sockets, under every model and on every backend: to a client there
// is no difference.
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <algorithm>
#include <filesystem>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "net/files/server_session_factory.h"
#include "tests/net/files/files_client.h"
#include "tests/net/models/served.h"
#include "tests/support/backend_kinds.h"
#include "tests/support/peers.h"
#include "tests/support/sanitizers.h"
#include "tests/support/scratch_directory.h"

namespace quintet::testing {
namespace {

class FilesOverModelsTest : public DescriptorLeakTest,
                            public ::testing::WithParamInterface<ServedKind> {
 protected:
  void SetUp() override {
    const ServedKind& kind = GetParam();
    if (kind.model == ServerModel::kReactor && !RequireBackend(kind.backend)) return;
    Serve({});
  }
  void TearDown() override {
    served.reset();
    factory.reset();
    DescriptorLeakTest::TearDown();
  }
  void Serve(files::Options options) {
    served.reset();
    options.root = scratch.path();
    // What a test waits for is the disk of a busy machine, not the durability of its files.
    options.durability = files::Durability::kNone;
    factory = *files::ServerSessionFactory::Create(std::move(options));
    served = std::make_unique<Served>(GetParam(), *factory);
  }

  const size_t bytes = static_cast<size_t>(Scaled(10)) << 20;
  const std::string content = PatternBytes(bytes);
  const ScratchDirectory scratch;
  std::unique_ptr<files::ServerSessionFactory> factory;
  std::unique_ptr<Served> served;
};

INSTANTIATE_TEST_SUITE_P(All, FilesOverModelsTest, ::testing::ValuesIn(AllServedKinds()),
                         ServedKindName);

TEST_P(FilesOverModelsTest, UpDownAndListed) {
  const Fd fd = served->Connect();
  SocketClient client(fd);
  const FilesAnswer& put = client.AskPut("file", content);
  ASSERT_TRUE(put.info.has_value()) << put.text;
  EXPECT_EQ(put.info->size, bytes);
  EXPECT_TRUE(ReadFile(scratch / "file") == content);
  const FilesAnswer& got = client.Ask(client.Get("file"));
  EXPECT_TRUE(got.ended) << got.text;
  EXPECT_TRUE(got.data == content);
  EXPECT_LT(got.checked_frames, got.data_frames) << "large pieces are not looked at";
  const FilesAnswer& checked =
      client.Ask(client.Get("file", 0, files::kUnknown, 0, files::kVerify));
  EXPECT_TRUE(checked.data == content);
  EXPECT_EQ(checked.checked_frames, checked.data_frames);
  const FilesAnswer& list = client.Ask(client.List(""));
  ASSERT_EQ(list.entries.size(), 1U);
  EXPECT_EQ(list.entries[0].size, bytes);
  EXPECT_EQ(list.entries[0].tag, got.info->tag);
  EXPECT_TRUE(client.Ask(client.Delete("file")).ended);
  EXPECT_TRUE(client.Ask(client.Quit()).ended);
  EXPECT_EQ(ReceiveToEnd(fd.get()), "");
  EXPECT_EQ(factory->counters().gets, 2U);
  EXPECT_EQ(factory->counters().puts, 1U);
}

// All that may be open at once, both ways, on one connection.
TEST_P(FilesOverModelsTest, BesideEachOther) {
  const Fd fd = served->Connect();
  SocketClient client(fd);
  const std::string part = content.substr(0, 512 << 10);
  std::vector<std::string> uploads;
  for (int i = 0; i < 8; ++i) {
    WriteFile(scratch / ("old" + std::to_string(i)), part);
    ASSERT_TRUE(client.Send(client.Put("new" + std::to_string(i), part.size())));
  }
  for (uint32_t id = 1; id <= 8; ++id) ASSERT_TRUE(client.AwaitReady(id).ready.has_value());
  for (int i = 0; i < 8; ++i) ASSERT_TRUE(client.Send(client.Get("old" + std::to_string(i))));
  std::thread sender([&] {
    constexpr size_t kPiece = 64 << 10;
    for (size_t at = 0; at < part.size(); at += kPiece) {
      for (uint32_t id = 1; id <= 8; ++id) {
        EXPECT_TRUE(client.Send(client.Data(std::string_view(part).substr(at, kPiece), id)));
      }
    }
    for (uint32_t id = 1; id <= 8; ++id) EXPECT_TRUE(client.Send(client.Finish(part, id)));
  });
  for (uint32_t id = 9; id <= 16; ++id) EXPECT_TRUE(client.Await(id).data == part) << id;
  for (uint32_t id = 1; id <= 8; ++id) EXPECT_TRUE(client.Await(id, true).info.has_value()) << id;
  sender.join();
  for (int i = 0; i < 8; ++i) EXPECT_TRUE(ReadFile(scratch / ("new" + std::to_string(i))) == part);
}

// A client that goes in the middle of things harms nobody and leaves nothing, but what can be gone
// on with.
TEST_P(FilesOverModelsTest, ClientsGoInTheMiddle) {
  WriteFile(scratch / "file", content);
  for (int round = 0; round < Scaled(8) + 1; ++round) {
    Fd fd = served->Connect();
    SocketClient client(fd);
    ASSERT_TRUE(client.Send(client.Put("new")));
    const uint32_t put = client.last_id();
    ASSERT_TRUE(client.Send(client.Get("file")));
    if (round % 2 == 0) {
      ASSERT_TRUE(client.AwaitReady(put).ready.has_value());
    }
    ASSERT_TRUE(client.Send(client.Data(content.substr(0, 300'000), put)));
    Reset(fd);
  }
  const auto alone = [this] {
    const auto entries = std::filesystem::directory_iterator(scratch.path());
    return std::distance(begin(entries), end(entries)) == 1;
  };
  EXPECT_TRUE(Eventually(alone));
  const Fd fd = served->Connect();
  SocketClient client(fd);
  EXPECT_TRUE(client.Ask(client.Get("file")).data == content);
}

TEST_P(FilesOverModelsTest, Resumed) {
  const size_t half = bytes / 2;
  {
    Fd fd = served->Connect();
    SocketClient client(fd);
    ASSERT_TRUE(client.Send(client.Put("file", bytes, 7)));
    ASSERT_TRUE(client.AwaitReady(1).ready.has_value());
    ASSERT_TRUE(client.Send(client.Data(content.substr(0, half))));
    // An answer behind it: so much has arrived.
    client.Ask(client.Stat("file"));
    ::shutdown(fd.get(), SHUT_WR);
    EXPECT_EQ(client.Await(1).error, files::ErrorCode::kCancelled);
  }
  const Fd fd = served->Connect();
  SocketClient client(fd);
  ASSERT_TRUE(client.Send(client.Put("file", bytes, 7, files::kResume)));
  const FilesAnswer& answer = client.AwaitReady(1);
  ASSERT_TRUE(answer.ready.has_value()) << answer.text;
  EXPECT_EQ(answer.ready->offset, half);
  EXPECT_EQ(answer.ready->crc, files::Crc32c(content.substr(0, half)));
  ASSERT_TRUE(client.Send(client.Data(content.substr(half))));
  ASSERT_TRUE(client.Send(client.Finish(content)));
  EXPECT_TRUE(client.Await(1, /*by_info=*/true).info.has_value());
  EXPECT_TRUE(ReadFile(scratch / "file") == content);
}

TEST_P(FilesOverModelsTest, DrainFinishesTransfers) {
  WriteFile(scratch / "file", content);
  Fd fd = served->Connect();
  SocketClient client(fd);
  ASSERT_TRUE(client.Send(client.Put("new", content.size())));
  ASSERT_TRUE(client.AwaitReady(1).ready.has_value());
  ASSERT_TRUE(client.Send(client.Get("file")));
  ASSERT_TRUE(client.Await(2, /*by_info=*/true).info.has_value());
  served->Stop();
  ASSERT_TRUE(Eventually([this] { return !served->Connect(); })) << "somebody listens still";
  EXPECT_TRUE(client.Await(2).data == content);
  ASSERT_TRUE(client.Send(client.Data(content, 1)));
  ASSERT_TRUE(client.Send(client.Finish(content, 1)));
  EXPECT_TRUE(client.Await(1, true).info.has_value()) << client.Await(1, true).text;
  EXPECT_EQ(client.Await(0).error, files::ErrorCode::kEnding);
  fd.Reset();
  EXPECT_TRUE(served->Join());
}

}  // namespace
}  // namespace quintet::testing
