// Files in the output of a session, under every model and every backend.
#include <errno.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <chrono>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "tests/net/models/served.h"
#include "tests/promises/promise_fixture.h"
#include "tests/support/backend_kinds.h"
#include "tests/support/memory_file.h"
#include "tests/support/peers.h"
#include "tests/support/sanitizers.h"
#include "tests/support/scratch_directory.h"

namespace quintet::testing {
namespace {

using namespace std::chrono_literals;
using Script = ScriptedSession::Script;

class ModelFilesTest : public DescriptorLeakTest, public ::testing::WithParamInterface<ServedKind> {
 protected:
  void SetUp() override {
    const ServedKind& kind = GetParam();
    if (kind.model == ServerModel::kReactor && !RequireBackend(kind.backend)) return;
  }
  void TearDown() override {
    client.Reset();
    served.reset();
    factory.reset();
    DescriptorLeakTest::TearDown();
  }

  // Serves sessions of `script`, which note why they were closed, and connects a client.
  void Serve(Script script, const ServerOptions& options = {}) {
    script.on_closed = [notes = notes](ScriptedSession&, CloseReason reason) {
      ++notes->closed[static_cast<size_t>(reason)];
    };
    factory = std::make_unique<ScriptedFactory>(std::move(script));
    served = std::make_unique<Served>(GetParam(), *factory, options);
    client = served->Connect();
    ASSERT_TRUE(client);
  }
  void ExpectClosed(CloseReason reason) {
    ASSERT_TRUE(Eventually([this] { return notes->ClosedInAll() == 1; }));
    EXPECT_EQ(notes->Closed(reason), 1U) << "another reason than " << CloseReasonName(reason);
  }
  // The connection ends in good order behind what was received.
  std::string ReceiveAll() {
    int error = 0;
    std::string all = ReceiveToEnd(client.get(), &error);
    EXPECT_EQ(error, 0);
    return all;
  }

  const std::shared_ptr<Notes> notes = MakeNotes();
  std::unique_ptr<SessionFactory> factory;
  std::unique_ptr<Served> served;
  Fd client;
};
INSTANTIATE_TEST_SUITE_P(All, ModelFilesTest, ::testing::ValuesIn(AllServedKinds()),
                         ServedKindName);

// What to write: from bytes or from the file, how much, from where.
struct Part {
  bool from_file;
  size_t offset;
  size_t size;
};

TEST_P(ModelFilesTest, BytesAndRangesInAnyPatternToASlowReader) {
  const std::string content = PatternBytes(1 << 20, 5);
  const auto file = MakeFile(content);
  uint32_t state = 1;
  const auto below = [&state](size_t bound) {
    state = state * 1664525 + 1013904223;
    return static_cast<size_t>(state >> 8) % bound;
  };
  constexpr size_t kSizes[] = {1, 100, 5000, 70'000, 500'000};
  for (int round = 0; round < 4; ++round) {
    std::vector<Part> parts;
    std::string expected;
    for (int i = 0; i < 60; ++i) {
      const size_t size = below(kSizes[below(std::size(kSizes))]);
      parts.push_back({.from_file = below(2) == 0, .offset = below(400'000), .size = size});
      expected += content.substr(parts.back().offset, size);
    }
    const bool close = round % 2 == 0;
    Serve({.on_open = [=](ScriptedSession& session) {
      for (const Part& part : parts) {
        if (part.from_file) {
          session.transport().WriteFile(file, part.offset, part.size);
        } else {
          session.transport().Write(content.substr(part.offset, part.size));
        }
      }
      if (close) session.transport().Close();
    }});
    std::string got;
    for (int i = 0; i < 20; ++i) {
      std::this_thread::sleep_for(1ms);  // slow, not synchronised by it
      got += ReceiveExactly(client.get(), std::min<size_t>(20'000, expected.size() - got.size()));
    }
    got += ReceiveExactly(client.get(), expected.size() - got.size());
    ASSERT_TRUE(got == expected) << "round " << round;
    EXPECT_EQ(served->Stats().bytes_out, expected.size());
    if (!close) ::shutdown(client.get(), SHUT_WR);
    EXPECT_EQ(ReceiveAll(), "");
    client.Reset();
    EXPECT_TRUE(Eventually([this] { return served->Stats().active == 0; }));
    served.reset();
    factory.reset();
  }
  EXPECT_EQ(file.use_count(), 1);
}

TEST_P(ModelFilesTest, ALargeFileArrivesAsItIs) {
  const ScratchDirectory directory;
  const std::string path = directory / "large";
  const std::string content = PatternBytes(static_cast<size_t>(Scaled(64)) << 20);
  WriteFile(path, content);
  Serve({.on_open = [path, size = content.size()](ScriptedSession& session) {
    session.transport().Write("head");
    session.transport().WriteFile(
        std::make_shared<const UniqueFd>(::open(path.c_str(), O_RDONLY | O_CLOEXEC)), 0, size);
    session.transport().Close();
  }});
  EXPECT_TRUE(ReceiveAll() == "head" + content);
  client.Reset();
  ExpectClosed(CloseReason::kLocal);
  EXPECT_EQ(served->Stats().bytes_out, 4 + content.size());
}

TEST_P(ModelFilesTest, AFileThatShrinksWhileItIsSent) {
  const std::string content = PatternBytes(24 << 20);
  const auto file = MakeFile(content);
  Serve({.on_open =
             [file, size = content.size()](ScriptedSession& session) {
               session.transport().WriteFile(file, 0, size);
               session.transport().Write("behind");
             },
         .on_file_short =
             [notes = notes](ScriptedSession& session, uint64_t missing) {
               EXPECT_GE(session.transport().output_bytes(), missing);
               ++notes->marks[0];
               notes->marks[1] = missing;
             }});
  // Far more than the sockets hold is still in the file.
  std::string got = ReceiveExactly(client.get(), 1 << 20);
  const size_t left = 20 << 20;
  ASSERT_EQ(::ftruncate(file->get(), left), 0);
  got += ReceiveExactly(client.get(), content.size() + 6 - got.size());
  ASSERT_EQ(got.size(), content.size() + 6);
  EXPECT_TRUE(got.substr(0, left) == content.substr(0, left));
  EXPECT_TRUE(got.substr(left, content.size() - left) == std::string(content.size() - left, '\0'));
  EXPECT_EQ(got.substr(content.size()), "behind");
  EXPECT_EQ(notes->marks[0], 1U);
  EXPECT_EQ(notes->marks[1], content.size() - left);
}

TEST_P(ModelFilesTest, AFileThatCannotBeReadIsAnErrorByDefault) {
  Serve({.on_open = [](ScriptedSession& session) {
    session.transport().WriteFile(
        std::make_shared<const UniqueFd>(::open("/dev/null", O_WRONLY | O_CLOEXEC)), 0, 10);
    session.transport().Write("behind");
    session.transport().Close();
  }});
  int error = 0;
  EXPECT_EQ(ReceiveToEnd(client.get(), &error), "");
  EXPECT_EQ(error, ECONNRESET);
  ExpectClosed(CloseReason::kError);
}

TEST_P(ModelFilesTest, MarksOncePerCrossing) {
  const auto file = MakeFile(std::string(16 << 20, 'f'));
  Serve({.on_open =
             [file, notes = notes](ScriptedSession& session) {
               session.transport().WriteFile(file, 0, 16 << 20);
               notes->marks[1] = session.transport().output_blocked() ? 1 : 0;
             },
         .on_output_drained =
             [notes = notes](ScriptedSession& session) {
               ++notes->marks[0];
               EXPECT_FALSE(session.transport().output_blocked());
             }});
  EXPECT_EQ(ReceiveExactly(client.get(), 16 << 20).size(), 16U << 20);
  EXPECT_TRUE(Eventually([this] { return notes->marks[0] == 1; }));
  EXPECT_EQ(notes->marks[1], 1U);
  ::shutdown(client.get(), SHUT_WR);
  EXPECT_EQ(ReceiveAll(), "");
  EXPECT_EQ(notes->marks[0], 1U);
}

TEST_P(ModelFilesTest, AReaderThatStallsIsClosed) {
  const auto file = MakeFile(std::string(24 << 20, 'f'));
  ServerOptions options;
  options.connection.write_stall_timeout = 200ms;
  Serve(
      {.on_open =
           [file](ScriptedSession& session) { session.transport().WriteFile(file, 0, 24 << 20); }},
      options);
  ExpectClosed(CloseReason::kWriteStall);
  int error = 0;
  ReceiveToEnd(client.get(), &error);
  EXPECT_EQ(error, ECONNRESET);
}

// A SIGPIPE would end the process.
TEST_P(ModelFilesTest, APeerThatResetsInMidFile) {
  const auto file = MakeFile(std::string(24 << 20, 'f'));
  Serve({.on_open = [file](ScriptedSession& session) {
    session.transport().PauseReading();
    session.transport().WriteFile(file, 0, 24 << 20);
  }});
  const uint64_t rounds = 10;
  for (uint64_t i = 0; i < rounds; ++i) {
    if (i > 0) client = served->Connect();
    ReceiveExactly(client.get(), 100'000 * i);
    Reset(client);
    ASSERT_TRUE(Eventually([&] { return notes->ClosedInAll() == i + 1; }));
  }
  EXPECT_EQ(notes->Closed(CloseReason::kPeerReset), rounds);
  served.reset();
  factory.reset();
  EXPECT_EQ(file.use_count(), 1);
}

// Session's deadlines hold while a reader keeps up with a file that is sent again and again.
TEST_P(ModelFilesTest, DeadlinesHoldWhileAFileIsSent) {
  const auto file = MakeFile(std::string(1 << 20, 'f'));
  Serve({.on_open = [file](ScriptedSession& session) {
    for (int i = 0; i < 10'000; ++i) session.transport().WriteFile(file, 0, 1 << 20);
    session.transport().SetDeadline(session.transport().now() + 100ms);
  }});
  int error = 0;
  size_t got = 0;
  std::string buffer(256 << 10, '\0');
  for (;;) {
    const ssize_t count = ::recv(client.get(), buffer.data(), buffer.size(), 0);
    if (count <= 0) {
      error = count < 0 ? errno : 0;
      break;
    }
    got += static_cast<size_t>(count);
  }
  EXPECT_EQ(error, ECONNRESET);
  EXPECT_LT(got, size_t{10'000} << 20);
  ExpectClosed(CloseReason::kDeadline);
}

TEST_P(ModelFilesTest, TheServerEndsInMidFile) {
  const auto file = MakeFile(std::string(24 << 20, 'f'));
  ServerOptions options;
  options.drain_timeout = 0ms;
  Serve(
      {.on_open =
           [file](ScriptedSession& session) { session.transport().WriteFile(file, 0, 24 << 20); }},
      options);
  ReceiveExactly(client.get(), 1000);
  served->Stop();
  int error = 0;
  ReceiveToEnd(client.get(), &error);
  EXPECT_EQ(error, ECONNRESET);
  EXPECT_TRUE(served->Join());
  ExpectClosed(CloseReason::kAborted);
  served.reset();
  factory.reset();
  EXPECT_EQ(file.use_count(), 1);
}

}  // namespace
}  // namespace quintet::testing
