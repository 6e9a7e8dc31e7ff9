#include "net/files/server_session.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <chrono>
#include <memory>
#include <string>

#include "net/files/authentication.h"
#include "tests/net/files/session_fixture.h"

namespace quintet::testing {
namespace {

using namespace std::chrono_literals;
using files::ErrorCode;
using files::FrameType;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

class ServerSessionTest : public FilesSessionTest {
 protected:
  // What a client is answered as a whole after `bytes`, and that the server closes then.
  void ExpectRefused(MemoryClient& client, std::string_view bytes, ErrorCode code,
                     uint32_t id = 0) {
    client.Send(bytes);
    EXPECT_EQ(client.Of(id).error, code);
    EXPECT_TRUE(client.transport().closing());
    EXPECT_FALSE(client.transport().aborted());
  }
};

// ---- The beginning ----

TEST_F(ServerSessionTest, Welcome) {
  files::Options options;
  options.read_only = true;
  options.limits.requests = 7;
  Serve(options);
  const auto client = Connect();
  const auto& welcome = client->answers().welcome();
  ASSERT_TRUE(welcome.has_value());
  EXPECT_FALSE(welcome->authentication);
  EXPECT_TRUE(welcome->read_only);
  EXPECT_EQ(welcome->max_requests, 7U);
  EXPECT_TRUE(client->transport().session().idle());
}

class AuthenticationTest : public ServerSessionTest {
 protected:
  void SetUp() override {
    options.secret = std::make_shared<const files::Secret>(*files::Secret::Create(kSecret));
    Serve(options);
    client = Connect();
    ASSERT_TRUE(client->answers().welcome()->authentication);
  }
  void TearDown() override {
    client.reset();
    ServerSessionTest::TearDown();
  }
  std::string Auth(std::string_view secret) {
    const files::Nonce nonce = {1, 2, 3};
    const auto known = *files::Secret::Create(secret);
    return client->Request(
        FrameType::kAuth, 0,
        files::Encode(files::AuthMessage{
            .nonce = nonce,
            .proof = files::ClientProof(known, client->answers().welcome()->nonce, nonce)}));
  }

  static constexpr std::string_view kSecret = "sixteen bytes or more";
  files::Options options;
  std::unique_ptr<MemoryClient> client;
};

TEST_F(AuthenticationTest, TheRightProofIsAnsweredByOne) {
  const FilesAnswer& answer = client->Ask(Auth(kSecret));
  EXPECT_TRUE(answer.ended);
  const files::Proof proof = files::ServerProof(
      *files::Secret::Create(kSecret), client->answers().welcome()->nonce, files::Nonce{1, 2, 3});
  EXPECT_EQ(answer.end_payload,
            std::string(reinterpret_cast<const char*>(proof.data()), proof.size()));
  EXPECT_TRUE(client->Ask(client->List("")).ended);
  client->transport().Advance(11s);
  EXPECT_FALSE(client->transport().closing()) << "the deadline of the proof is over";
}

TEST_F(AuthenticationTest, AWrongProofEndsTheConnection) {
  ExpectRefused(*client, Auth("another secret, as long"), ErrorCode::kAuthentication, 1);
}

TEST_F(AuthenticationTest, NothingElseComesFirst) {
  ExpectRefused(*client, client->List(""), ErrorCode::kAuthentication, 1);
  client = Connect();
  ExpectRefused(*client, client->Data("x", 1), ErrorCode::kAuthentication, 1);
}

TEST_F(AuthenticationTest, AProofIsGoodForOneConnection) {
  const std::string auth = Auth(kSecret);
  client = Connect();
  ExpectRefused(*client, auth, ErrorCode::kAuthentication, 1);
}

TEST_F(AuthenticationTest, ComesInTime) {
  client->transport().Advance(9s);
  EXPECT_FALSE(client->transport().closing());
  client->transport().Advance(2s);
  EXPECT_EQ(client->Of(0).error, ErrorCode::kAuthentication);
  EXPECT_TRUE(client->transport().closing());
}

TEST_F(ServerSessionTest, AuthThatNobodyAskedFor) {
  Serve();
  const auto client = Connect();
  ExpectRefused(*client, client->Request(FrameType::kAuth, 0, std::string(64, 'x')),
                ErrorCode::kProtocol, 1);
}

// ---- Frames that cannot be ----

TEST_F(ServerSessionTest, FramesThatCannotBeReadEndTheConnection) {
  Serve();
  auto client = Connect();
  std::string frame = client->List("");
  frame[5] ^= 1;  // the header's CRC does not fit any more
  ExpectRefused(*client, frame, ErrorCode::kCrc);

  const auto header = [](uint8_t version, FrameType type, uint32_t length) {
    files::FrameHeader fields{.type = type, .request = 1, .length = length};
    const auto encoded = files::EncodeHeader(fields);
    std::string bytes(encoded.data(), encoded.size());
    bytes[0] = static_cast<char>(version);
    const uint32_t crc = files::Crc32c(std::string_view(bytes).substr(0, 16));
    for (int i = 0; i < 4; ++i) bytes[16 + i] = static_cast<char>(crc >> (24 - 8 * i));
    return bytes;
  };
  client = Connect();
  ExpectRefused(*client, header(2, FrameType::kList, 0), ErrorCode::kVersion);
  client = Connect();
  ExpectRefused(*client, header(1, FrameType::kList, files::kMaxPayload + 1), ErrorCode::kTooLong,
                1);
  client = Connect();
  ExpectRefused(*client, header(1, FrameType::kData, files::kMaxDataPayload + 1),
                ErrorCode::kTooLong, 1);
  EXPECT_EQ(context->counters().errors, 4U);
}

TEST_F(ServerSessionTest, FramesOutOfTheirPlaceEndTheConnection) {
  Serve();
  auto client = Connect();
  ExpectRefused(*client, client->Data("x", 1), ErrorCode::kProtocol, 1);
  client = Connect();
  ExpectRefused(*client, client->Cancel(9), ErrorCode::kProtocol, 9);
  client = Connect();
  ExpectRefused(*client, client->Request(FrameType::kEnd, 0, ""), ErrorCode::kProtocol, 1);
  client = Connect();
  client->Send(client->Put("a"));
  client->Send(client->Finish(""));
  const std::string late = client->Finish("");
  client->Send(late);
  EXPECT_FALSE(client->transport().closing()) << "of a request that has ended";
  client->Send(client->Quit());
  EXPECT_TRUE(client->Last().ended);
}

TEST_F(ServerSessionTest, BadRequestsFailAlone) {
  Serve();
  WriteFile(Path("a"), "content");
  const auto client = Connect();
  EXPECT_EQ(client->Ask(client->Request(static_cast<FrameType>(0x3f), 0, "")).error,
            ErrorCode::kBadRequest);
  EXPECT_EQ(client->Ask(client->Request(FrameType::kStat, 0x8000, "a")).error,
            ErrorCode::kBadRequest);
  EXPECT_EQ(client->Ask(client->Request(FrameType::kGet, 0, "short")).error,
            ErrorCode::kBadRequest);
  EXPECT_EQ(client->Ask(client->Request(FrameType::kPut, 0, "")).error, ErrorCode::kBadRequest);
  EXPECT_EQ(client->Ask(client->Request(FrameType::kRename, 0, "")).error, ErrorCode::kBadRequest);
  std::string wrong = client->Stat("a");
  wrong.back() ^= 1;
  EXPECT_EQ(client->Ask(wrong).error, ErrorCode::kCrc);
  // A number that was used before.
  const uint32_t id = client->last_id();
  client->Send(client->Stat("a"));
  EXPECT_TRUE(client->Last().info.has_value());
  client->Send(files::EncodeFrame(FrameType::kDelete, 0, id - 1, "a"));
  EXPECT_TRUE(Exists("a"));
  EXPECT_FALSE(client->transport().closing());
}

TEST_F(ServerSessionTest, StreamsAreCutAnywhere) {
  Serve();
  WriteFile(Path("a"), "content of a");
  RequestWriter writer;
  const std::string stream = Join({writer.Stat("a"), writer.Put("b", 5), writer.Data("hello"),
                                   writer.Finish("hello"), writer.Get("a"), writer.List("")});
  for (const size_t step : {size_t{1}, size_t{7}, stream.size()}) {
    const auto client = Connect();
    for (size_t at = 0; at < stream.size(); at += step) client->Send(stream.substr(at, step));
    EXPECT_EQ(client->Of(1).info->size, 12U);
    EXPECT_EQ(client->Of(2).info->size, 5U);
    EXPECT_EQ(client->Of(3).data, "content of a");
    EXPECT_EQ(client->Of(4).entries.size(), 2U);
    EXPECT_EQ(Content("b"), "hello");
  }
}

// ---- Names ----

TEST_F(ServerSessionTest, BadNamesGetNowhere) {
  Serve();
  WriteFile(scratch / "secret", "outside");
  std::filesystem::create_directory(Path("d"));
  const std::string long_name(256, 'n');
  const std::string with_nul("a\0b", 3);
  for (const std::string& path :
       {std::string(".."), std::string("../secret"), std::string("d/../../secret"),
        std::string("/etc/passwd"), std::string("d//x"), std::string("d/"), std::string("."),
        std::string(".hidden"), std::string("d/.hidden"), long_name, with_nul,
        std::string(5000, 'x')}) {
    const auto client = Connect();
    EXPECT_EQ(client->Ask(client->Stat(path)).error, ErrorCode::kBadName) << path;
    EXPECT_EQ(client->Ask(client->Get(path)).error, ErrorCode::kBadName) << path;
    EXPECT_EQ(client->Ask(client->Put(path)).error, ErrorCode::kBadName) << path;
    EXPECT_EQ(client->Ask(client->Delete(path)).error, ErrorCode::kBadName) << path;
    EXPECT_EQ(client->Ask(client->List(path)).error, ErrorCode::kBadName) << path;
    EXPECT_EQ(client->Ask(client->Rename(path, "y")).error, ErrorCode::kBadName) << path;
    EXPECT_EQ(client->Ask(client->Rename("y", path)).error, ErrorCode::kBadName) << path;
    EXPECT_FALSE(client->transport().closing());
  }
  EXPECT_THAT(Names(), ElementsAre("d"));
}

TEST_F(ServerSessionTest, NamesAreBytes) {
  Serve();
  const auto client = Connect();
  for (const std::string& name : {std::string(255, 'n'), std::string("\xff\xfe invalid \x80"),
                                  std::string("line\nfeed\x1b[2J"), std::string("\xc3\xa4")}) {
    EXPECT_TRUE(client->AskPut(name, "x").info.has_value()) << name;
    EXPECT_EQ(client->Last().info->name, name);
    EXPECT_EQ(client->Ask(client->Get(name)).data, "x");
    const auto entries = client->Ask(client->List("")).entries;
    ASSERT_EQ(entries.size(), 1U);
    EXPECT_EQ(entries[0].name, name);
    EXPECT_TRUE(client->Ask(client->Delete(name)).ended);
  }
  EXPECT_THAT(Names(), IsEmpty());
}

// ---- STAT, LIST, DELETE, RENAME ----

TEST_F(ServerSessionTest, Stat) {
  Serve();
  WriteFile(Path("a"), "12345");
  std::filesystem::create_directory(Path("d"));
  const auto client = Connect();
  const auto info = client->Ask(client->Stat("a")).info;
  ASSERT_TRUE(info.has_value());
  EXPECT_EQ(info->kind, files::EntryKind::kFile);
  EXPECT_EQ(info->size, 5U);
  EXPECT_EQ(info->name, "a");
  EXPECT_NE(info->tag, 0U);
  EXPECT_GT(info->modified, int64_t{1'500'000'000} * 1'000'000'000);
  EXPECT_EQ(client->Ask(client->Stat("d")).info->kind, files::EntryKind::kDirectory);
  EXPECT_EQ(client->Ask(client->Stat("b")).error, ErrorCode::kNotFound);
  EXPECT_EQ(client->Ask(client->Stat("a/b")).error, ErrorCode::kNotFound);
  WriteFile(Path("a"), "1234567");
  EXPECT_NE(client->Ask(client->Stat("a")).info->tag, info->tag);
}

TEST_F(ServerSessionTest, ListOfManyComesInParts) {
  Serve();
  const auto client = Connect();
  for (int i = 0; i < 1000; ++i)
    WriteFile(Path("file_with_a_longer_name_" + std::to_string(i)), "");
  const FilesAnswer& answer = client->Ask(client->List(""));
  EXPECT_TRUE(answer.ended);
  EXPECT_EQ(answer.entries.size(), 1000U);
  EXPECT_EQ(client->Ask(client->List("nowhere")).error, ErrorCode::kNotFound);
  EXPECT_EQ(client->Ask(client->List("file_with_a_longer_name_0")).error, ErrorCode::kNotFound);
}

TEST_F(ServerSessionTest, DeleteAndRename) {
  Serve();
  WriteFile(Path("a"), "a");
  WriteFile(Path("b"), "b");
  std::filesystem::create_directory(Path("d"));
  const auto client = Connect();
  EXPECT_TRUE(client->Ask(client->Rename("a", "d/a")).ended);
  EXPECT_EQ(Content("d/a"), "a");
  EXPECT_TRUE(client->Ask(client->Rename("b", "d/a")).ended);
  EXPECT_EQ(Content("d/a"), "b");
  EXPECT_EQ(client->Ask(client->Rename("d/a", "d")).error, ErrorCode::kExists);
  EXPECT_EQ(client->Ask(client->Rename("x", "y")).error, ErrorCode::kNotFound);
  EXPECT_EQ(client->Ask(client->Delete("d")).error, ErrorCode::kNotAFile);
  EXPECT_TRUE(client->Ask(client->Delete("d/a")).ended);
  EXPECT_EQ(client->Ask(client->Delete("d/a")).error, ErrorCode::kNotFound);
  EXPECT_THAT(Names("d"), IsEmpty());
}

TEST_F(ServerSessionTest, ReadOnly) {
  files::Options options;
  options.read_only = true;
  Serve(options);
  WriteFile(Path("a"), "a");
  const auto client = Connect();
  EXPECT_EQ(client->Ask(client->Put("b")).error, ErrorCode::kReadOnly);
  EXPECT_EQ(client->Ask(client->Delete("a")).error, ErrorCode::kReadOnly);
  EXPECT_EQ(client->Ask(client->Rename("a", "b")).error, ErrorCode::kReadOnly);
  EXPECT_EQ(client->Ask(client->Get("a")).data, "a");
  EXPECT_THAT(Names(), ElementsAre("a"));
}

// ---- Many at once ----

TEST_F(ServerSessionTest, MoreRequestsThanAllowedAreBusy) {
  files::Options options;
  options.limits.requests = 3;
  ServeManually(options);
  WriteFile(Path("a"), "a");
  const auto client = Connect();
  std::string frames;
  for (int i = 0; i < 5; ++i) frames += client->Stat("a");
  client->Send(frames);
  EXPECT_EQ(disk->pending(), 3U);
  EXPECT_EQ(client->Of(4).error, ErrorCode::kBusy);
  EXPECT_EQ(client->Of(5).error, ErrorCode::kBusy);
  RunDisk(*client);
  for (const uint32_t id : {1U, 2U, 3U}) EXPECT_TRUE(client->Of(id).info.has_value());
  client->Send(client->Stat("a"));
  RunDisk(*client);
  EXPECT_TRUE(client->Last().info.has_value());
}

TEST_F(ServerSessionTest, TransfersTakeTurns) {
  Serve();
  const std::string content(1 << 20, 'c');
  WriteFile(Path("a"), content);
  const auto client = Connect();
  const uint16_t verify = files::kVerify;
  client->Send(Join({client->Get("a", 0, files::kUnknown, 0, verify),
                     client->Get("a", 0, files::kUnknown, 0, verify)}));
  EXPECT_EQ(client->Of(1).data.size(), content.size());
  EXPECT_EQ(client->Of(2).data.size(), content.size());
  const auto& order = client->answers().data_order();
  ASSERT_EQ(order.size(), 32U);
  for (size_t i = 0; i + 1 < order.size(); i += 2) EXPECT_NE(order[i], order[i + 1]) << i;
}

// ---- The end ----

TEST_F(ServerSessionTest, QuitIsAnsweredBehindEverything) {
  ServeManually();
  WriteFile(Path("a"), "a");
  const auto client = Connect();
  client->Send(Join({client->Stat("a"), client->Quit()}));
  EXPECT_FALSE(client->Of(2).ended);
  EXPECT_FALSE(client->transport().closing());
  RunDisk(*client);
  EXPECT_TRUE(client->Of(1).info.has_value());
  EXPECT_TRUE(client->Of(2).ended);
  EXPECT_TRUE(client->transport().closing());
}

TEST_F(ServerSessionTest, RequestsBehindQuitAreRefused) {
  ServeManually();
  WriteFile(Path("a"), "a");
  const auto client = Connect();
  client->Send(Join({client->Stat("a"), client->Quit()}));
  ExpectRefused(*client, client->Stat("a"), ErrorCode::kProtocol, 3);
}

TEST_F(ServerSessionTest, EndOfFileWaitsForAnswers) {
  ServeManually();
  WriteFile(Path("a"), "a");
  const auto client = Connect();
  client->Send(client->Get("a"));
  client->transport().FeedEof();
  EXPECT_FALSE(client->transport().closing());
  RunDisk(*client);
  EXPECT_EQ(client->Of(1).data, "a");
  EXPECT_TRUE(client->Of(1).ended);
  EXPECT_TRUE(client->transport().closing());
}

TEST_F(ServerSessionTest, DrainFinishesWhatRunsAndRefusesTheRest) {
  ServeManually();
  WriteFile(Path("a"), "a");
  const auto client = Connect();
  client->Send(client->Get("a"));
  client->transport().Drain();
  EXPECT_FALSE(client->transport().closing());
  EXPECT_FALSE(client->transport().session().idle());
  client->Send(client->Stat("a"));
  EXPECT_EQ(client->Of(2).error, ErrorCode::kEnding);
  RunDisk(*client);
  EXPECT_EQ(client->Of(1).data, "a");
  EXPECT_EQ(client->Of(0).error, ErrorCode::kEnding);
  EXPECT_TRUE(client->transport().closing());
}

TEST_F(ServerSessionTest, DrainClosesWhatIsIdle) {
  Serve();
  const auto client = Connect();
  client->transport().Drain();
  EXPECT_EQ(client->Of(0).error, ErrorCode::kEnding);
  EXPECT_TRUE(client->transport().closing());
}

TEST_F(ServerSessionTest, IdleConnectionsAreClosed) {
  Serve();
  WriteFile(Path("a"), "a");
  const auto client = Connect();
  client->transport().Advance(4min);
  client->Send(client->Stat("a"));
  client->transport().Advance(4min);
  EXPECT_FALSE(client->transport().closing());
  // The beginning of a frame is no request.
  client->Send(client->Stat("a").substr(0, 10));
  client->transport().Advance(5min);
  EXPECT_TRUE(client->transport().closing());
}

// Operations that are under way when the connection goes end by themselves.
TEST_F(ServerSessionTest, ConnectionsMayGoAtAnyStep) {
  const std::string content(100'000, 'c');
  for (int steps = 0; steps < 12; ++steps) {
    ServeManually();
    WriteFile(Path("a"), content);
    auto client = Connect();
    client->Send(Join({client->Get("a"), client->Put("b"), client->List(""), client->Stat("a")}));
    client->Send(client->Data(content, 2));
    RunDisk(*client, steps);
    const bool drop = steps % 2 == 1;
    client.reset();
    if (drop) {
      disk->DropAll();
    } else {
      while (disk->pending() > 0) disk->CompleteOne();
    }
    EXPECT_THAT(Names(), ElementsAre("a")) << steps;
    disk.reset();
  }
}

// ---- Rates ----

TEST_F(ServerSessionTest, OutputIsHeldToTheRate) {
  files::Options options;
  options.limits.bytes_per_second = 100'000;
  Serve(options);
  WriteFile(Path("a"), std::string(1'000'000, 'a'));
  const auto client = Connect();
  client->Send(client->Get("a"));
  EXPECT_GE(client->Of(1).data.size(), 100'000U);
  EXPECT_LE(client->Of(1).data.size(), 120'000U);
  client->transport().Advance(4s);
  EXPECT_GE(client->Of(1).data.size(), 480'000U);
  EXPECT_LE(client->Of(1).data.size(), 520'000U);
  client->transport().Advance(6s);
  EXPECT_TRUE(client->Of(1).ended);
}

TEST_F(ServerSessionTest, InputIsHeldToTheRate) {
  files::Options options;
  options.limits.bytes_per_second = 100'000;
  Serve(options);
  const std::string content(1'000'000, 'a');
  const auto client = Connect();
  client->Send(client->Put("a"));
  for (size_t at = 0; at < content.size(); at += 50'000) {
    client->Send(client->Data(std::string_view(content).substr(at, 50'000)));
  }
  client->Send(client->Finish(content));
  EXPECT_GT(client->transport().unread_bytes(), 500'000U);
  client->transport().Advance(3s);
  EXPECT_GT(client->transport().unread_bytes(), 0U);
  for (int seconds = 3; seconds < 12; ++seconds) client->transport().Advance(1s);
  EXPECT_TRUE(client->Last().info.has_value()) << client->Last().text;
  EXPECT_TRUE(Content("a") == content);
}

}  // namespace
}  // namespace quintet::testing
