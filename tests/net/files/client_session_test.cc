// The client's session against a server that a test plays, frame by frame.
#include "net/files/client_session.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "net/files/frame.h"
#include "tests/support/memory_transport.h"

namespace quintet::files {
namespace {

using std::chrono::seconds;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing::MemoryTransport;

constexpr std::string_view kSecretText = "a secret of enough bytes";

// What a request was told, as a word.
std::string Told(const std::optional<ClientError>& error) {
  return error.has_value() ? error->ToString() : "well";
}

std::string EntryBytes(const Entry& entry) {
  std::string payload;
  AppendEntry(payload, entry);
  return payload;
}

Entry FileEntry(std::string name, uint64_t size, uint64_t tag = 7) {
  return {
      .kind = EntryKind::kFile, .size = size, .modified = 1, .tag = tag, .name = std::move(name)};
}

struct Frame {
  FrameHeader header;
  std::string payload;
};

class Sink final : public GetSink {
 public:
  void OnInfo(const Entry& entry) override { info = entry; }
  void OnPiece(std::string_view bytes) override {
    got += bytes;
    if (on_piece) on_piece();
  }
  void OnIntact() override { intact = got.size(); }
  void OnGetDone(const std::optional<ClientError>& error) override { end = Told(error); }

  Entry info;
  std::string got;
  size_t intact = 0;
  std::string end;
  std::function<void()> on_piece;
};

class Source final : public PutSource {
 public:
  void OnResume(uint64_t offset) override { resume = offset; }
  void OnRoom(uint64_t offset) override {
    rooms.push_back(offset);
    if (on_room) on_room();
  }
  void OnPutDone(const std::optional<ClientError>& error, const Entry& entry) override {
    end = Told(error);
    info = entry;
  }

  uint64_t resume = 0;
  std::vector<uint64_t> rooms;
  std::string end;
  Entry info;
  std::function<void()> on_room;
};

class ClientSessionTest : public ::testing::Test {
 protected:
  void Connect(ClientOptions options = {}) {
    auto session = std::make_unique<ClientSession>(options);
    client_ = session.get();
    client_->set_on_ready([this](const WelcomeMessage&) { told_.emplace_back("ready"); });
    client_->set_on_end([this](const std::optional<ClientError>& error) {
      told_.push_back("end: " + Told(error));
    });
    transport_ = std::make_unique<MemoryTransport>(std::move(session));
    transport_->Open();
  }
  void Welcome(uint32_t max_requests = 16) {
    Feed(FrameType::kWelcome, 0, Encode(WelcomeMessage{.max_requests = max_requests}));
  }
  void ConnectAndWelcome(uint32_t max_requests = 16) {
    Connect();
    Welcome(max_requests);
    ASSERT_THAT(TakeTold(), ElementsAre("ready"));
  }

  void Feed(FrameType type, uint32_t request, std::string_view payload, uint16_t flags = 0) {
    transport_->Feed(EncodeFrame(type, flags, request, payload));
  }
  void FeedError(uint32_t request, ErrorCode code, std::string text = "") {
    Feed(FrameType::kError, request, Encode(ErrorMessage{.code = code, .text = std::move(text)}));
  }

  // What the client has sent since the last call.
  std::vector<Frame> Sent() {
    transport_->Take(transport_->output_bytes());
    const std::string bytes = transport_->TakeReceived();
    std::span<const std::byte> input = std::as_bytes(std::span(bytes));
    std::vector<Frame> frames;
    std::string data;
    for (FrameDecoder decoder;;) {
      const FrameDecoder::Event event = decoder.Next(input);
      if (event == FrameDecoder::Event::kMore) break;
      if (event == FrameDecoder::Event::kFault) {
        ADD_FAILURE() << "not a frame";
        break;
      }
      if (event == FrameDecoder::Event::kDataPiece) {
        data += decoder.payload();
        continue;
      }
      EXPECT_TRUE(decoder.intact());
      frames.push_back({decoder.header(), event == FrameDecoder::Event::kDataEnd
                                              ? std::exchange(data, {})
                                              : std::string(decoder.payload())});
    }
    return frames;
  }
  // The one frame that was sent.
  Frame SentOne() {
    std::vector<Frame> frames = Sent();
    EXPECT_EQ(frames.size(), 1u);
    return frames.empty() ? Frame() : frames.front();
  }
  std::vector<std::string> TakeTold() { return std::exchange(told_, {}); }
  ClientSession::Done Tell(std::string name) {
    return [this, name = std::move(name)](const std::optional<ClientError>& error) {
      told_.push_back(name + ": " + Told(error));
    };
  }

  // Before the transport: when that goes, its session tells whoever still waits.
  std::vector<std::string> told_;
  Sink sink_;
  Source source_;
  ClientSession* client_ = nullptr;
  std::unique_ptr<MemoryTransport> transport_;
};

// ---- The connection ----

TEST_F(ClientSessionTest, RequestsWaitForTheWelcome) {
  Connect();
  client_->Delete("a", Tell("a"));
  EXPECT_THAT(Sent(), ::testing::IsEmpty());
  Welcome();
  const Frame sent = SentOne();
  EXPECT_EQ(sent.header.type, FrameType::kDelete);
  EXPECT_EQ(sent.header.request, 1u);
  EXPECT_EQ(sent.payload, "a");
  Feed(FrameType::kEnd, 1, "");
  EXPECT_THAT(TakeTold(), ElementsAre("ready", "a: well"));
}

TEST_F(ClientSessionTest, NoMoreRequestsAtOnceThanTheServerTakes) {
  ConnectAndWelcome(2);
  for (const char* name : {"a", "b", "c", "d"}) client_->Delete(name, Tell(name));
  EXPECT_EQ(Sent().size(), 2u);
  EXPECT_EQ(client_->open_requests(), 4u);
  Feed(FrameType::kEnd, 2, "");
  EXPECT_EQ(SentOne().payload, "c");
  FeedError(1, ErrorCode::kNotFound, "no such file");
  EXPECT_EQ(SentOne().header.request, 4u);
  EXPECT_THAT(TakeTold(), ElementsAre("b: well", "a: not found: no such file"));
}

TEST_F(ClientSessionTest, ProvesTheSecretAndAsksForTheServersProof) {
  const auto secret = Secret::Create(kSecretText);
  ASSERT_TRUE(secret.ok());
  for (const bool stranger : {false, true}) {
    Connect({.secret = &*secret});
    const Nonce nonce = MakeNonce();
    Feed(FrameType::kWelcome, 0,
         Encode(WelcomeMessage{.authentication = true, .max_requests = 4, .nonce = nonce}));
    const Frame sent = SentOne();
    ASSERT_EQ(sent.header.type, FrameType::kAuth);
    EXPECT_EQ(sent.header.request, 1u);
    const auto auth = ParseAuth(sent.payload);
    ASSERT_TRUE(auth.has_value());
    EXPECT_EQ(auth->proof, ClientProof(*secret, nonce, auth->nonce));
    Proof proof = ServerProof(*secret, nonce, auth->nonce);
    if (stranger) proof.back() ^= 1;
    Feed(FrameType::kEnd, 1, EncodeProof(proof));
    EXPECT_THAT(TakeTold(),
                ElementsAre(stranger ? "end: not authenticated: the server does not know "
                                       "the secret"
                                     : "ready"));
    if (!stranger) transport_->Reset();
    told_.clear();
  }
}

TEST_F(ClientSessionTest, BothSidesWantASecretOrNeither) {
  Connect();
  Feed(FrameType::kWelcome, 0, Encode(WelcomeMessage{.authentication = true, .max_requests = 4}));
  EXPECT_THAT(TakeTold(), ElementsAre("end: not authenticated: the server asks for a secret"));

  const auto secret = Secret::Create(kSecretText);
  Connect({.secret = &*secret});
  Welcome();
  EXPECT_THAT(TakeTold(), ElementsAre(HasSubstr("not the one that is meant")));
}

TEST_F(ClientSessionTest, TheEndIsToldToEveryRequestWithItsReason) {
  ConnectAndWelcome(1);
  client_->Delete("a", Tell("a"));
  client_->Delete("b", Tell("b"));
  transport_->FeedEof();
  transport_->Reset();
  EXPECT_THAT(TakeTold(), ElementsAre("a: the server closed the connection",
                                      "b: the server closed the connection",
                                      "end: the server closed the connection"));
}

TEST_F(ClientSessionTest, TheServersLastWordsAreTheReason) {
  ConnectAndWelcome();
  client_->Delete("a", Tell("a"));
  FeedError(0, ErrorCode::kEnding, "bye\n");
  EXPECT_THAT(TakeTold(), ElementsAre("a: ending: bye\\x0a", "end: ending: bye\\x0a"));
}

TEST_F(ClientSessionTest, WhatCannotBeReadEndsTheConnection) {
  ConnectAndWelcome();
  std::string frame = EncodeFrame(FrameType::kEnd, 0, 1, "");
  frame[3] = static_cast<char>(frame[3] ^ 1);
  transport_->Feed(frame);
  EXPECT_TRUE(transport_->ended());
  EXPECT_THAT(TakeTold(), ElementsAre(HasSubstr("wrong CRC")));

  Connect();
  transport_->Feed("HTTP/1.1 400 Bad Request\r\n\r\n");
  EXPECT_THAT(TakeTold(), ElementsAre(HasSubstr("another protocol")));
}

TEST_F(ClientSessionTest, AServerThatDoesNothingIsLeft) {
  Connect({.timeout = seconds(5)});
  transport_->Advance(seconds(5));
  EXPECT_THAT(TakeTold(), ElementsAre("end: the server did nothing for too long"));

  Connect({.timeout = seconds(5)});
  Welcome();
  transport_->Advance(seconds(60));  // nobody waits for anything
  EXPECT_FALSE(transport_->ended());
  client_->Delete("a", Tell("a"));
  client_->Delete("b", Tell("b"));
  transport_->Advance(seconds(4));
  Feed(FrameType::kEnd, 1, "");
  transport_->Advance(seconds(4));
  EXPECT_FALSE(transport_->ended());
  transport_->Advance(seconds(1));
  EXPECT_EQ(transport_->ended(), true);
  EXPECT_THAT(TakeTold(), ElementsAre("ready", "a: well", "b: the server did nothing for too long",
                                      "end: the server did nothing for too long"));
}

TEST_F(ClientSessionTest, AServerThatTakesBytesSlowlyDoesSomething) {
  Connect({.timeout = seconds(5)});
  Welcome();
  transport_->set_auto_take(false);
  const auto id = client_->Put({.size = 1 << 20, .path = "f"}, {}, source_);
  Feed(FrameType::kReady, 1, Encode(ReadyMessage{}));
  EXPECT_FALSE(client_->SendPut(id, std::string(1 << 20, 'x')));
  for (int i = 0; i < 10; ++i) {
    transport_->Advance(seconds(4));
    transport_->Take(1);
  }
  EXPECT_FALSE(transport_->ended());
  transport_->Advance(seconds(10));
  EXPECT_TRUE(transport_->ended());
}

TEST_F(ClientSessionTest, QuitComesLastAndEndsWell) {
  ConnectAndWelcome();
  client_->Delete("a", Tell("a"));
  client_->Quit();
  EXPECT_EQ(SentOne().header.type, FrameType::kDelete);
  Feed(FrameType::kEnd, 1, "");
  EXPECT_EQ(SentOne().header.type, FrameType::kQuit);
  Feed(FrameType::kEnd, 2, "");
  EXPECT_TRUE(transport_->closing());
  transport_->Reset();
  EXPECT_THAT(TakeTold(), ElementsAre("a: well", "end: well"));
}

// ---- Requests ----

TEST_F(ClientSessionTest, ListsInAnyNumberOfFrames) {
  ConnectAndWelcome();
  std::vector<std::string> names;
  client_->List(
      "d", true,
      [&](std::vector<Entry> entries) {
        for (const Entry& entry : entries) names.push_back(entry.name);
      },
      Tell("list"));
  EXPECT_EQ(SentOne().header.flags, kDirectories);
  Feed(FrameType::kEntries, 1, EntryBytes(FileEntry("a", 1)) + EntryBytes(FileEntry("b", 2)));
  Feed(FrameType::kEntries, 1, EntryBytes(FileEntry("c", 3)));
  Feed(FrameType::kEnd, 1, "");
  EXPECT_THAT(names, ElementsAre("a", "b", "c"));
  EXPECT_THAT(TakeTold(), ElementsAre("list: well"));
}

TEST_F(ClientSessionTest, AnswersComeInAnyOrderAndAnyPieces) {
  ConnectAndWelcome();
  client_->Stat("s", [&](const std::optional<ClientError>& error, const Entry& entry) {
    told_.push_back("stat " + entry.name + ": " + Told(error));
  });
  client_->Rename("x", "y", Tell("mv"));
  const std::vector<Frame> sent = Sent();
  ASSERT_EQ(sent.size(), 2u);
  EXPECT_EQ(ParseRename(sent[1].payload), (RenameMessage{.from = "x", .to = "y"}));
  const std::string answers = EncodeFrame(FrameType::kEnd, 0, 2, "") +
                              EncodeFrame(FrameType::kInfo, 0, 1, EntryBytes(FileEntry("s", 9)));
  for (const char byte : answers) transport_->Feed(std::string(1, byte));
  EXPECT_THAT(TakeTold(), ElementsAre("mv: well", "stat s: well"));
}

TEST_F(ClientSessionTest, AnswersThatDoNotFitEndTheConnection) {
  for (const FrameType type : {FrameType::kEntries, FrameType::kReady, FrameType::kInfo}) {
    ConnectAndWelcome();
    client_->Delete("a", Tell("a"));
    Feed(type, 1, EntryBytes(FileEntry("a", 1)));
    EXPECT_TRUE(transport_->ended());
    EXPECT_THAT(TakeTold(), ElementsAre(HasSubstr("does not fit"), HasSubstr("does not fit")));
  }
}

TEST_F(ClientSessionTest, WhoCancelsHearsNothingMore) {
  ConnectAndWelcome(2);
  const auto a = client_->Delete("a", Tell("a"));
  client_->Delete("b", Tell("b"));
  const auto c = client_->Delete("c", Tell("c"));
  Sent();
  client_->Cancel(a);
  client_->Cancel(c);
  const Frame cancel = SentOne();
  EXPECT_EQ(cancel.header.type, FrameType::kCancel);
  EXPECT_EQ(cancel.header.request, 1u);
  client_->Delete("d", Tell("d"));
  EXPECT_THAT(Sent(), ::testing::IsEmpty());  // the server still has two
  FeedError(1, ErrorCode::kCancelled);
  EXPECT_EQ(SentOne().payload, "d");
  EXPECT_THAT(TakeTold(), ::testing::IsEmpty());
}

// ---- Gets ----

TEST_F(ClientSessionTest, GetsAPartOfAFile) {
  ConnectAndWelcome();
  client_->Get({.offset = 2, .length = 3, .tag = 7, .path = "f"}, true, sink_);
  const Frame sent = SentOne();
  EXPECT_EQ(sent.header.flags, kVerify);
  EXPECT_EQ(ParseGet(sent.payload), (GetMessage{.offset = 2, .length = 3, .tag = 7, .path = "f"}));
  Feed(FrameType::kInfo, 1, EntryBytes(FileEntry("f", 100)));
  Feed(FrameType::kData, 1, "cd");
  Feed(FrameType::kData, 1, "e", 0);
  EXPECT_EQ(sink_.end, "");
  Feed(FrameType::kEnd, 1, "");
  EXPECT_EQ(sink_.got, "cde");
  EXPECT_EQ(sink_.intact, 3u);
  EXPECT_EQ(sink_.info.size, 100u);
  EXPECT_EQ(sink_.end, "well");
}

TEST_F(ClientSessionTest, NeitherMoreBytesThanAnnouncedNorFewer) {
  for (const std::string_view data : {"123", "12345"}) {
    ConnectAndWelcome();
    client_->Get({.path = "f"}, false, sink_);
    Feed(FrameType::kInfo, 1, EntryBytes(FileEntry("f", 4)));
    Feed(FrameType::kData, 1, data);
    EXPECT_EQ(transport_->ended(), data.size() > 4) << data;
    if (!transport_->ended()) Feed(FrameType::kEnd, 1, "");
    EXPECT_TRUE(transport_->ended()) << data;
    EXPECT_LE(sink_.got.size(), 4u);
    EXPECT_THAT(sink_.end, HasSubstr("does not fit"));
    told_.clear();
    sink_.got.clear();
  }
}

TEST_F(ClientSessionTest, DamagedDataFailsTheRequestAlone) {
  ConnectAndWelcome();
  client_->Get({.path = "f"}, true, sink_);
  client_->Delete("a", Tell("a"));
  Sent();
  Feed(FrameType::kInfo, 1, EntryBytes(FileEntry("f", 100)));
  Feed(FrameType::kData, 1, "good");
  std::string frame = EncodeFrame(FrameType::kData, 0, 1, "evil");
  frame.back() = '?';
  transport_->Feed(frame);
  EXPECT_EQ(sink_.end, "wrong CRC: damaged on its way");
  EXPECT_EQ(sink_.intact, 4u);
  EXPECT_EQ(SentOne().header.type, FrameType::kCancel);
  Feed(FrameType::kData, 1, "more of it");
  FeedError(1, ErrorCode::kCancelled);
  Feed(FrameType::kEnd, 2, "");
  EXPECT_THAT(TakeTold(), ElementsAre("a: well"));
}

TEST_F(ClientSessionTest, ASinkThatIsFullStopsTheStreamAndNoDeadlineRuns) {
  Connect({.timeout = seconds(5)});
  Welcome();
  const auto id = client_->Get({.path = "f"}, false, sink_);
  sink_.on_piece = [&] { client_->PauseGet(id); };
  transport_->Feed(EncodeFrame(FrameType::kInfo, 0, 1, EntryBytes(FileEntry("f", 2))) +
                   EncodeFrame(FrameType::kData, 0, 1, "1") +
                   EncodeFrame(FrameType::kData, 0, 1, "2") +
                   EncodeFrame(FrameType::kEnd, 0, 1, ""));
  EXPECT_EQ(sink_.got, "1");
  transport_->Advance(seconds(100));
  EXPECT_FALSE(transport_->ended());
  EXPECT_EQ(sink_.got, "1");
  sink_.on_piece = nullptr;
  client_->ResumeGet(id);
  transport_->Advance(seconds(0));
  EXPECT_EQ(sink_.got, "12");
  EXPECT_EQ(sink_.end, "well");
}

TEST_F(ClientSessionTest, ASinkMayCancelItsOwnRequest) {
  ConnectAndWelcome();
  auto own = std::make_unique<Sink>();
  const auto id = client_->Get({.path = "f"}, false, *own);
  own->on_piece = [&] {
    client_->Cancel(id);
    own.reset();
  };
  transport_->Feed(EncodeFrame(FrameType::kInfo, 0, 1, EntryBytes(FileEntry("f", 2))) +
                   EncodeFrame(FrameType::kData, 0, 1, "1") +
                   EncodeFrame(FrameType::kData, 0, 1, "2") +
                   EncodeFrame(FrameType::kEnd, 0, 1, ""));
  EXPECT_EQ(own, nullptr);
  EXPECT_FALSE(transport_->ended());
  EXPECT_EQ(client_->open_requests(), 0u);
}

// ---- Puts ----

TEST_F(ClientSessionTest, PutsAndTellsTheWholeFilesCrc) {
  ConnectAndWelcome();
  const auto id =
      client_->Put({.size = 6, .key = 5, .path = "f"}, {.make_directories = true}, source_);
  Frame put = SentOne();
  EXPECT_EQ(put.header.flags, kMakeDirectories);
  EXPECT_EQ(ParsePut(put.payload), (PutMessage{.size = 6, .key = 5, .path = "f"}));
  EXPECT_FALSE(client_->SendPut(id, "early"));
  Feed(FrameType::kReady, 1, Encode(ReadyMessage{}));
  EXPECT_THAT(source_.rooms, ElementsAre(0u));
  EXPECT_TRUE(client_->SendPut(id, "abc"));
  EXPECT_TRUE(client_->SendPut(id, "def"));
  client_->FinishPut(id);
  const std::vector<Frame> sent = Sent();
  ASSERT_EQ(sent.size(), 3u);
  EXPECT_EQ(sent[1].payload, "def");
  EXPECT_EQ(ParseFinish(sent[2].payload), (FinishMessage{.size = 6, .crc = Crc32c("abcdef")}));
  Feed(FrameType::kInfo, 1, EntryBytes(FileEntry("f", 6)));
  EXPECT_EQ(source_.end, "well");
  EXPECT_EQ(source_.info.size, 6u);
}

TEST_F(ClientSessionTest, GoesOnWhereTheServerHasTheSameBytes) {
  ConnectAndWelcome();
  const auto id = client_->Put({.size = 6, .key = 5, .path = "f"}, {.resume = true}, source_);
  Feed(FrameType::kReady, 1, Encode(ReadyMessage{.offset = 4, .crc = Crc32c("abcd")}));
  EXPECT_EQ(source_.resume, 4u);
  EXPECT_THAT(source_.rooms, ::testing::IsEmpty());
  client_->ContinuePut(id, Crc32c("abcd"));
  EXPECT_THAT(source_.rooms, ElementsAre(4u));
  client_->SendPut(id, "ef");
  Sent();
  client_->FinishPut(id);
  EXPECT_EQ(ParseFinish(SentOne().payload), (FinishMessage{.size = 6, .crc = Crc32c("abcdef")}));
}

TEST_F(ClientSessionTest, BeginsAnewWhereTheServerHasOtherBytes) {
  ConnectAndWelcome();
  const auto id = client_->Put({.size = 6, .key = 5, .path = "f"}, {.resume = true}, source_);
  Feed(FrameType::kReady, 1, Encode(ReadyMessage{.offset = 4, .crc = 1}));
  Sent();
  client_->ContinuePut(id, 2);
  EXPECT_EQ(SentOne().header.type, FrameType::kCancel);
  FeedError(1, ErrorCode::kCancelled);
  const Frame again = SentOne();
  EXPECT_EQ(again.header.type, FrameType::kPut);
  EXPECT_EQ(again.header.request, 2u);
  EXPECT_EQ(again.header.flags, 0);
  Feed(FrameType::kReady, 2, Encode(ReadyMessage{}));
  EXPECT_THAT(source_.rooms, ElementsAre(0u));
  EXPECT_EQ(source_.end, "");
}

TEST_F(ClientSessionTest, ProducesOnlyWhileTheOutputTakesIt) {
  ConnectAndWelcome();
  transport_->set_auto_take(false);
  const auto id = client_->Put({.size = kUnknown, .path = "f"}, {}, source_);
  source_.on_room = [&] {
    while (client_->SendPut(id, std::string(20'000, 'x'))) {
    }
  };
  Feed(FrameType::kReady, 1, Encode(ReadyMessage{}));
  EXPECT_LT(transport_->output_bytes(), 100'000u);
  EXPECT_THAT(source_.rooms, ElementsAre(0u));
  transport_->Take(transport_->output_bytes());
  EXPECT_THAT(source_.rooms, ElementsAre(0u, 80'000u));
}

TEST_F(ClientSessionTest, AnErrorEndsAPutInTheMiddle) {
  ConnectAndWelcome();
  const auto id = client_->Put({.size = 6, .path = "f"}, {}, source_);
  Feed(FrameType::kReady, 1, Encode(ReadyMessage{}));
  client_->SendPut(id, "abc");
  FeedError(1, ErrorCode::kNoSpace, "the disk is full");
  EXPECT_EQ(source_.end, "no space: the disk is full");
  EXPECT_FALSE(client_->SendPut(id, "def"));
}

}  // namespace
}  // namespace quintet::files
