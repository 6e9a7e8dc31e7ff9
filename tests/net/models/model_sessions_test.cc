// The same sessions under every model and every backend: to a client, and to the session, there is
// no difference.
#include <errno.h>
#include <gtest/gtest.h>
#include <sys/socket.h>

#include <chrono>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "tests/net/models/served.h"
#include "tests/promises/hello_factory.h"
#include "tests/promises/promise_fixture.h"
#include "tests/support/backend_kinds.h"
#include "tests/support/peers.h"
#include "tests/support/response_parser.h"
#include "tests/support/sanitizers.h"

namespace quintet::testing {
namespace {

using namespace std::chrono_literals;
using Script = ScriptedSession::Script;

class ModelSessionsTest : public DescriptorLeakTest,
                          public ::testing::WithParamInterface<ServedKind> {
 protected:
  void SetUp() override {
    const ServedKind& kind = GetParam();
    if (kind.model == ServerModel::kReactor && !RequireBackend(kind.backend)) return;
  }
  void TearDown() override {
    client.Reset();
    served.reset();
    DescriptorLeakTest::TearDown();
  }

  // Serves sessions of `script`, which note why they were closed, and connects a client.
  void Serve(Script script, const ServerOptions& options = {}) {
    if (!script.on_closed) {
      script.on_closed = [notes = notes](ScriptedSession&, CloseReason reason) {
        ++notes->closed[static_cast<size_t>(reason)];
      };
    }
    factory = std::make_unique<ScriptedFactory>(std::move(script));
    Start(options);
  }
  void ServeHello(const ServerOptions& options = {}) {
    factory = MakeHelloFactory();
    Start(options);
  }
  void Start(const ServerOptions& options) {
    served = std::make_unique<Served>(GetParam(), *factory, options);
    client = served->Connect();
    ASSERT_TRUE(client);
  }
  void ExpectClosed(CloseReason reason) {
    ASSERT_TRUE(Eventually([this] { return notes->ClosedInAll() == 1; }));
    EXPECT_EQ(notes->Closed(reason), 1U) << "another reason than " << CloseReasonName(reason);
  }
  void ExpectReset() {
    int error = 0;
    ReceiveToEnd(client.get(), &error);
    EXPECT_EQ(error, ECONNRESET);
  }
  // One response to `request` on the client's connection.
  ParsedResponse Ask(std::string_view request) {
    EXPECT_TRUE(SendAll(client.get(), request));
    return Response();
  }
  ParsedResponse Response() {
    std::string reply;
    for (;;) {
      ParsedOutput parsed = ParseResponses(reply);
      if (!parsed.responses.empty()) return parsed.responses.front();
      const std::string byte = ReceiveExactly(client.get(), 1);
      if (byte.empty()) break;
      reply += byte;
    }
    ADD_FAILURE() << "no complete response, but: " << reply;
    return {};
  }

  const std::shared_ptr<Notes> notes = MakeNotes();
  std::unique_ptr<SessionFactory> factory;
  std::unique_ptr<Served> served;
  Fd client;
};

INSTANTIATE_TEST_SUITE_P(All, ModelSessionsTest, ::testing::ValuesIn(AllServedKinds()),
                         ServedKindName);

constexpr std::string_view kGet = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";

// ---- Echo, increment, HTTP ----

TEST_P(ModelSessionsTest, EchoOfSeveralMebibytes) {
  Serve(EchoScript());
  const std::string data = PatternBytes(static_cast<size_t>(Scaled(4)) << 20);
  std::thread sender([&] { EXPECT_TRUE(SendAll(client.get(), data)); });
  const std::string back = ReceiveExactly(client.get(), data.size());
  sender.join();
  EXPECT_TRUE(back == data) << back.size() << " bytes of " << data.size();
  ::shutdown(client.get(), SHUT_WR);
  EXPECT_EQ(ReceiveToEnd(client.get()), "");
  ExpectClosed(CloseReason::kPeerClosed);
  EXPECT_TRUE(Eventually([&] { return served->Stats().active == 0; }));
  const ModelStats stats = served->Stats();
  EXPECT_EQ(stats.accepted, 1U);
  EXPECT_EQ(stats.bytes_in, data.size());
  EXPECT_EQ(stats.bytes_out, data.size());
}

TEST_P(ModelSessionsTest, IncrementOneClientAfterTheOther) {
  Serve(IncrementScript());
  for (int i = 0; i < Scaled(100); ++i) {
    int error = 0;
    ASSERT_TRUE(SendAll(client.get(), "A"));
    ASSERT_EQ(ReceiveToEnd(client.get(), &error), "B");
    ASSERT_EQ(error, 0);
    client = served->Connect();
    ASSERT_TRUE(client);
  }
}

// At every point: the second part comes when the first was read.
TEST_P(ModelSessionsTest, HttpRequestsSplitAtEveryByte) {
  ServeHello();
  const std::string_view post = "POST /whole HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nbody";
  uint64_t sent = 0;
  const auto send = [&](std::string_view bytes) {
    ASSERT_TRUE(SendAll(client.get(), bytes));
    sent += bytes.size();
    ASSERT_TRUE(Eventually([&] { return served->Stats().bytes_in == sent; }));
  };
  for (const std::string_view request : {kGet, post}) {
    for (size_t split = 1; split < request.size(); split += kThreadSanitizer ? 7 : 1) {
      ASSERT_NO_FATAL_FAILURE(send(request.substr(0, split)));
      ASSERT_NO_FATAL_FAILURE(send(request.substr(split)));
      const ParsedResponse response = Response();
      ASSERT_EQ(response.status, 200) << "split at " << split;
      ASSERT_EQ(response.body, request == kGet ? "Hello, World!" : "body");
    }
  }
}

TEST_P(ModelSessionsTest, HttpPipelinesAndReplies) {
  ServeHello();
  std::string requests;
  for (int i = 0; i < 15; ++i) requests += kGet;
  requests += "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
  ASSERT_TRUE(SendAll(client.get(), requests));
  int error = 0;
  const ParsedOutput parsed = ParseResponses(ReceiveToEnd(client.get(), &error));
  EXPECT_EQ(error, 0);
  ASSERT_EQ(parsed.responses.size(), 16U);
  for (const ParsedResponse& response : parsed.responses) {
    EXPECT_EQ(response.body, "Hello, World!");
  }
}

TEST_P(ModelSessionsTest, HttpEchoInBothDirectionsAtOnce) {
  ServeHello();
  const std::string body = PatternBytes(static_cast<size_t>(Scaled(4)) << 20);
  std::thread sender([&] {
    EXPECT_TRUE(SendAll(client.get(), absl::StrCat("POST /echo HTTP/1.1\r\nHost: a\r\n"
                                                   "Connection: close\r\nContent-Length: ",
                                                   body.size(), "\r\n\r\n")));
    EXPECT_TRUE(SendAll(client.get(), body));
  });
  const ParsedOutput parsed = ParseResponses(ReceiveToEnd(client.get()));
  sender.join();
  ASSERT_EQ(parsed.responses.size(), 1U);
  EXPECT_TRUE(parsed.responses[0].body == body);
}

// Through the executor: the connection's thread blocks meanwhile.
TEST_P(ModelSessionsTest, ReplyFromAnotherThread) {
  if (kThreadSanitizer && HasChildren(GetParam().model)) {
    GTEST_SKIP() << "TSan starts no threads in the child of a process with several";
  }
  ServeHello();
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(Ask("GET /later HTTP/1.1\r\nHost: a\r\n\r\n").body, "from another thread");
  }
  // One that its client does not wait for. The server lives on.
  ASSERT_TRUE(SendAll(client.get(), "GET /later HTTP/1.1\r\nHost: a\r\n\r\n"));
  client = served->Connect();
  EXPECT_EQ(Ask(kGet).status, 200);
}

// ---- The end of a connection ----

TEST_P(ModelSessionsTest, HalfCloseStillGetsTheReply) {
  Serve({.on_eof = [](ScriptedSession& session) {
    session.transport().Write(std::string(1 << 20, 'r'));
    session.transport().Close();
  }});
  ASSERT_TRUE(SendAll(client.get(), "request"));
  ::shutdown(client.get(), SHUT_WR);
  int error = 0;
  EXPECT_EQ(ReceiveToEnd(client.get(), &error).size(), size_t{1} << 20);
  EXPECT_EQ(error, 0);
  ExpectClosed(CloseReason::kPeerClosed);
}

TEST_P(ModelSessionsTest, LingeringKeepsTheReplyReadable) {
  Serve({.on_data = [](ScriptedSession& session, std::string_view) -> size_t {
    session.transport().Write("refused");
    session.transport().Close();
    return 0;
  }});
  ASSERT_TRUE(SendAll(client.get(), "some"));
  EXPECT_EQ(ReceiveExactly(client.get(), 7), "refused");
  ASSERT_TRUE(SendAll(client.get(), std::string(100'000, 'u')));  // nobody wants it, nobody minds
  int error = 0;
  EXPECT_EQ(ReceiveToEnd(client.get(), &error), "");
  EXPECT_EQ(error, 0);
  EXPECT_EQ(notes->ClosedInAll(), 0U);
  client.Reset();
  ExpectClosed(CloseReason::kLocal);
}

TEST_P(ModelSessionsTest, LingeringEndsAtItsDeadline) {
  ServerOptions options;
  options.connection.linger_timeout = 100ms;
  Serve({.on_open = [](ScriptedSession& session) { session.transport().Close(); }}, options);
  int error = 0;
  EXPECT_EQ(ReceiveToEnd(client.get(), &error), "");
  EXPECT_EQ(error, 0);
  ExpectClosed(CloseReason::kLingerTimeout);
}

TEST_P(ModelSessionsTest, LingeringEndsAtItsCap) {
  ServerOptions options;
  options.connection.linger_cap = 10'000;
  Serve({.on_open = [](ScriptedSession& session) { session.transport().Close(); }}, options);
  SendAll(client.get(), std::string(1 << 20, 'u'));
  ExpectClosed(CloseReason::kLingerTimeout);
}

TEST_P(ModelSessionsTest, AbortResetsThePeer) {
  Serve({.on_data = [](ScriptedSession& session, std::string_view bytes) {
    session.transport().Write("never sent");
    session.transport().Abort(CloseReason::kAborted);
    return bytes.size();
  }});
  ASSERT_TRUE(SendAll(client.get(), "x"));
  ExpectReset();
  ExpectClosed(CloseReason::kAborted);
}

// Output meets a connection that is gone: no SIGPIPE, which would end the process.
TEST_P(ModelSessionsTest, ResetByThePeerWhileThereIsOutput) {
  Serve({.on_data = [](ScriptedSession& session, std::string_view bytes) {
    session.transport().Write(std::string(8 << 20, 'x'));
    return bytes.size();
  }});
  ASSERT_TRUE(SendAll(client.get(), "x"));
  EXPECT_EQ(ReceiveExactly(client.get(), 1), "x");
  Reset(client);
  ExpectClosed(CloseReason::kPeerReset);
  EXPECT_EQ(served->Stats().crashed, 0U);
  client = served->Connect();
  ASSERT_TRUE(SendAll(client.get(), "x"));
  EXPECT_EQ(ReceiveExactly(client.get(), 1), "x");
}

// ---- Deadlines and limits ----

TEST_P(ModelSessionsTest, DeadlineClosesByDefault) {
  Serve({.on_open = [](ScriptedSession& session) {
    session.transport().SetDeadline(session.transport().now() + 100ms);
  }});
  const auto start = std::chrono::steady_clock::now();
  ExpectReset();
  EXPECT_GE(std::chrono::steady_clock::now() - start, 80ms) << "too early";
  ExpectClosed(CloseReason::kDeadline);
}

// A deadline that moves, one that is taken back, and one that is the session's own affair.
TEST_P(ModelSessionsTest, DeadlinesMove) {
  Serve({.on_open =
             [](ScriptedSession& session) {
               session.transport().SetDeadline(session.transport().now() + 20ms);
             },
         .on_data =
             [](ScriptedSession& session, std::string_view bytes) {
               session.transport().SetDeadline(kNever);
               session.transport().Write("taken back\n");
               return bytes.size();
             },
         .on_deadline =
             [notes = notes](ScriptedSession& session) {
               if (++notes->marks[0] < 3) {
                 session.transport().SetDeadline(session.transport().now() + 20ms);
               } else {
                 session.transport().Write("third\n");
                 session.transport().SetDeadline(session.transport().now() + 300s);
               }
             }});
  EXPECT_EQ(ReceiveExactly(client.get(), 6), "third\n");
  ASSERT_TRUE(SendAll(client.get(), "x"));
  EXPECT_EQ(ReceiveExactly(client.get(), 11), "taken back\n");
  EXPECT_EQ(notes->marks[0], 3U);
}

TEST_P(ModelSessionsTest, AReaderThatStallsIsClosed) {
  ServerOptions options;
  options.connection.write_stall_timeout = 200ms;
  options.connection.output_cap = 64 << 20;
  Serve(
      {.on_open =
           [](ScriptedSession& session) { session.transport().Write(std::string(32 << 20, 'x')); }},
      options);
  ExpectClosed(CloseReason::kWriteStall);
  ExpectReset();
}

TEST_P(ModelSessionsTest, OutputAboveItsCap) {
  ServerOptions options;
  options.connection.output_cap = 1 << 20;
  Serve({.on_open =
             [](ScriptedSession& session) {
               session.transport().Write(std::string(1 << 20, 'x'));
               session.transport().Write("x");
             }},
        options);
  ExpectReset();
  ExpectClosed(CloseReason::kOutputLimit);
}

TEST_P(ModelSessionsTest, MarksOncePerCrossing) {
  Serve({.on_data =
             [notes = notes](ScriptedSession& session, std::string_view bytes) {
               session.transport().Write(std::string(8 << 20, 'x'));
               notes->marks[1] += session.transport().output_blocked() ? 1 : 0;
               return bytes.size();
             },
         .on_output_drained = [notes = notes](ScriptedSession&) { ++notes->marks[0]; }});
  for (uint64_t round = 1; round <= 2; ++round) {
    ASSERT_TRUE(SendAll(client.get(), "x"));
    EXPECT_EQ(ReceiveExactly(client.get(), 8 << 20).size(), size_t{8} << 20);
    EXPECT_TRUE(Eventually([&] { return notes->marks[0] == round; }));
    EXPECT_EQ(notes->marks[1], round);
  }
}

// A session that takes a part of what it is shown, and goes on by and by.
TEST_P(ModelSessionsTest, PausesAndPartialConsumption) {
  Serve({.on_data =
             [](ScriptedSession& session, std::string_view bytes) {
               const size_t consumed = bytes.size() > 1 ? bytes.size() - bytes.size() / 3 : 1;
               session.transport().Write(bytes.substr(0, consumed));
               if (consumed < bytes.size()) {
                 session.transport().SetDeadline(session.transport().now() + 1ms);
               }
               return consumed;
             },
         .on_deadline = [](ScriptedSession& session) { session.transport().ResumeReading(); }});
  const std::string data = PatternBytes(300'000);
  std::thread sender([&] { EXPECT_TRUE(SendAll(client.get(), data)); });
  const std::string back = ReceiveExactly(client.get(), data.size());
  sender.join();
  EXPECT_TRUE(back == data) << back.size() << " bytes of " << data.size();
  // Behind the end of file is nothing left.
  ::shutdown(client.get(), SHUT_WR);
  EXPECT_EQ(ReceiveToEnd(client.get()), "");
  ExpectClosed(CloseReason::kPeerClosed);
}

// Bytes and the end of file wait for a session that has paused.
TEST_P(ModelSessionsTest, PausedInputIsKept) {
  Serve({.on_open =
             [](ScriptedSession& session) {
               session.transport().PauseReading();
               session.transport().SetDeadline(session.transport().now() + 100ms);
             },
         .on_data =
             [notes = notes](ScriptedSession& session, std::string_view bytes) {
               notes->marks[1] += notes->marks[0] == 0 ? 1 : 0;  // too early
               session.transport().Write(bytes);
               return bytes.size();
             },
         .on_deadline =
             [notes = notes](ScriptedSession& session) {
               ++notes->marks[0];
               session.transport().ResumeReading();
             }});
  ASSERT_TRUE(SendAll(client.get(), "kept"));
  ::shutdown(client.get(), SHUT_WR);
  EXPECT_EQ(ReceiveToEnd(client.get()), "kept");
  EXPECT_EQ(notes->marks[1], 0U);
  ExpectClosed(CloseReason::kPeerClosed);
}

// ---- Sessions that throw ----

TEST_P(ModelSessionsTest, ASessionThatThrowsHarmsNobodyElse) {
  const auto fail = [](ScriptedSession&) { throw std::runtime_error("as the test wants it"); };
  Serve({.on_open =
             [notes = notes, fail](ScriptedSession& session) {
               if (notes->marks[0]++ == 0) fail(session);
             },
         .on_data =
             [fail](ScriptedSession& session, std::string_view bytes) {
               if (bytes[0] == 't') fail(session);
               if (bytes[0] == 'd') session.transport().SetDeadline(session.transport().now());
               session.transport().Write(bytes);
               return bytes.size();
             },
         .on_eof = fail,
         .on_deadline = fail});
  ExpectReset();
  for (const std::string_view way : {"t", "d", "e"}) {
    client = served->Connect();
    ASSERT_TRUE(SendAll(client.get(), way));
    if (way == "e") ::shutdown(client.get(), SHUT_WR);
    ExpectReset();
  }
  ASSERT_TRUE(Eventually([this] { return notes->ClosedInAll() == 4; }));
  EXPECT_EQ(notes->Closed(CloseReason::kSessionError), 4U);
  client = served->Connect();
  ASSERT_TRUE(SendAll(client.get(), "well"));
  EXPECT_EQ(ReceiveExactly(client.get(), 4), "well");
  EXPECT_EQ(served->Stats().crashed, 0U);
}

// ---- Addresses ----

TEST_P(ModelSessionsTest, BehindAProxy) {
  ServerOptions options;
  options.proxy_protocol = true;
  Serve({.on_open =
             [](ScriptedSession& session) {
               const auto peer = session.transport().PeerAddress();
               session.transport().Write(peer.ok() ? peer->ToString() : "none");
               session.transport().Close();
             }},
        options);
  ASSERT_TRUE(SendAll(client.get(), "PROXY TCP4 192.0.2.1 198.51.100.1 4711 80\r\n"));
  EXPECT_EQ(ReceiveToEnd(client.get()), "192.0.2.1:4711");
  client = served->Connect();
  ASSERT_TRUE(SendAll(client.get(), "GET / HTTP/1.1\r\n\r\n"));
  ExpectReset();
  EXPECT_TRUE(Eventually([this] { return served->Stats().proxy_errors == 1; }));
}

TEST_P(ModelSessionsTest, ThePeersAddressIsThatOfTheClient) {
  Serve({.on_open = [](ScriptedSession& session) {
    const auto peer = session.transport().PeerAddress();
    session.transport().Write(peer.ok() ? peer->ToString() : "none");
    session.transport().Close();
  }});
  Socket borrowed(client.get());
  const auto local = borrowed.LocalAddress();
  [[maybe_unused]] const int fd = borrowed.Release();
  EXPECT_EQ(ReceiveToEnd(client.get()), local->ToString());
}

TEST_P(ModelSessionsTest, TheLocalAddressIsThatOfTheServer) {
  Serve({.on_open =
             [](ScriptedSession& session) {
               const auto local = session.transport().LocalAddress();
               session.transport().Write(local.ok() ? local->ToString() : "none");
               session.transport().Close();
             },
         .on_closed =
             [notes = notes](ScriptedSession& session, CloseReason) {
               const auto local = session.transport().LocalAddress();
               notes->marks[0] = absl::IsUnavailable(local.status()) ? 1 : 2;
             }});
  EXPECT_EQ(ReceiveToEnd(client.get()), served->address().ToString());
  client.Reset();
  EXPECT_TRUE(Eventually([&] { return notes->marks[0] != 0; }));
  EXPECT_EQ(notes->marks[0], 1U) << "the connection is closed";
}

// ---- The end of the server ----

TEST_P(ModelSessionsTest, DrainTellsTheSession) {
  Serve({.on_open = [](ScriptedSession& session) { session.transport().Write("open"); },
         .on_drain =
             [](ScriptedSession& session) {
               session.transport().Write(session.transport().stopping() ? "stopping" : "draining");
               session.transport().Close();
             }});
  EXPECT_EQ(ReceiveExactly(client.get(), 4), "open");
  served->Stop();
  int error = 0;
  EXPECT_EQ(ReceiveToEnd(client.get(), &error), "stopping");
  EXPECT_EQ(error, 0);
  client.Reset();
  EXPECT_TRUE(served->Join());
  ExpectClosed(CloseReason::kLocal);
  EXPECT_FALSE(served->Connect()) << "somebody listens still";
}

TEST_P(ModelSessionsTest, DrainAnswersOneMoreHttpRequest) {
  ServeHello();
  EXPECT_EQ(Ask(kGet).Field("Connection"), "");
  served->Stop();
  // Where closing takes a turn of the ring, the kernel still answers for that long.
  ASSERT_TRUE(Eventually([this] { return !served->Connect(); })) << "somebody listens still";
  const ParsedResponse last = Ask(kGet);
  EXPECT_EQ(last.body, "Hello, World!");
  EXPECT_EQ(last.Field("Connection"), "close");
  EXPECT_EQ(ReceiveToEnd(client.get()), "");
  client.Reset();
  // The last connection was the last thing to wait for.
  EXPECT_TRUE(served->Join());
}

// With one who is served, and room for nobody else.
TEST_P(ModelSessionsTest, DrainServesWhoWaitsToBeAccepted) {
  ServerOptions options;
  if (GetParam().model == ServerModel::kReactor) options.max_connections_per_shard = 1;
  ModelOptions model;
  model.max_children = model.min_workers = model.max_workers = 1;
  factory = MakeHelloFactory();
  served = std::make_unique<Served>(GetParam(), *factory, options, model);
  client = served->Connect();
  EXPECT_EQ(Ask(kGet).status, 200);
  Fd waiting = served->Connect();
  ASSERT_TRUE(SendAll(waiting.get(), kGet));
  served->Stop();
  ASSERT_TRUE(Eventually([this] { return !served->Connect(); })) << "somebody listens still";
  EXPECT_EQ(Ask(kGet).Field("Connection"), "close");
  client = std::move(waiting);
  const ParsedResponse last = Response();
  EXPECT_EQ(last.body, "Hello, World!");
  EXPECT_EQ(last.Field("Connection"), "close");
  EXPECT_EQ(ReceiveToEnd(client.get()), "");
  client.Reset();
  EXPECT_TRUE(served->Join());
}

TEST_P(ModelSessionsTest, DrainResetsAtItsDeadlineWhoNeverCameToBeServed) {
  ServerOptions options;
  options.drain_timeout = 200ms;
  if (GetParam().model == ServerModel::kReactor) options.max_connections_per_shard = 1;
  ModelOptions model;
  model.max_children = model.min_workers = model.max_workers = 1;
  factory = std::make_unique<ScriptedFactory>(Script{.on_drain = [](ScriptedSession&) {}});
  served = std::make_unique<Served>(GetParam(), *factory, options, model);
  client = served->Connect();
  ASSERT_TRUE(Eventually([this] { return served->Stats().active == 1; }));
  const Fd waiting = served->Connect();
  served->Stop();
  int error = 0;
  EXPECT_EQ(ReceiveToEnd(waiting.get(), &error), "");
  EXPECT_EQ(error, ECONNRESET);
  ExpectReset();
  EXPECT_TRUE(served->Join());
}

TEST_P(ModelSessionsTest, DrainEndsWhatIsIdleAtItsDeadline) {
  ServerOptions options;
  options.drain_timeout = 200ms;
  ServeHello(options);
  EXPECT_EQ(Ask(kGet).status, 200);
  const auto start = std::chrono::steady_clock::now();
  served->Stop();
  int error = 0;
  EXPECT_EQ(ReceiveToEnd(client.get(), &error), "");
  EXPECT_EQ(error, 0) << "idle: the end takes nothing away";
  EXPECT_GE(std::chrono::steady_clock::now() - start, 180ms) << "closed too early";
  EXPECT_TRUE(served->Join());
}

TEST_P(ModelSessionsTest, DrainResetsWhatIsUnfinishedAtItsDeadline) {
  ServerOptions options;
  options.drain_timeout = 200ms;
  ServeHello(options);
  EXPECT_EQ(Ask(kGet).status, 200);
  const uint64_t before = served->Stats().bytes_in;
  ASSERT_TRUE(SendAll(client.get(), kGet.substr(0, 10)));
  ASSERT_TRUE(Eventually([&] { return served->Stats().bytes_in == before + 10; }));
  served->Stop();
  ExpectReset();
  EXPECT_TRUE(served->Join());
}

TEST_P(ModelSessionsTest, DrainWithoutTimeAbortsAtOnce) {
  ServerOptions options;
  options.drain_timeout = 0ms;
  Serve({.on_open = [](ScriptedSession& session) { session.transport().Write("open"); },
         .on_drain = [](ScriptedSession&) {}},
        options);
  EXPECT_EQ(ReceiveExactly(client.get(), 4), "open");
  served->Stop();
  ExpectReset();
  EXPECT_TRUE(served->Join());
  ExpectClosed(CloseReason::kAborted);
}

// While the delay lasts the server says what will come, and goes on.
TEST_P(ModelSessionsTest, DelayOfADrain) {
  ServerOptions options;
  options.drain_delay = 300ms;
  Serve({.on_data =
             [](ScriptedSession& session, std::string_view bytes) {
               session.transport().Write(session.transport().stopping() ? "s" : "-");
               return bytes.size();
             }},
        options);
  ASSERT_TRUE(SendAll(client.get(), "x"));
  EXPECT_EQ(ReceiveExactly(client.get(), 1), "-");
  const auto start = std::chrono::steady_clock::now();
  served->Stop();
  // Known within a turn of somebody who sleeps; asked until it is.
  std::string answer = "-";
  while (answer == "-") {
    if (!SendAll(client.get(), "x")) break;
    answer = ReceiveExactly(client.get(), 1);
  }
  EXPECT_EQ(answer, "s") << "the drain began before the delay";
  EXPECT_EQ(ReceiveToEnd(client.get()), "");  // OnDrain() closes
  EXPECT_GE(std::chrono::steady_clock::now() - start, 280ms);
  client.Reset();
  EXPECT_TRUE(served->Join());
}

}  // namespace
}  // namespace quintet::testing
