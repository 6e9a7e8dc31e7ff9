#include "tests/promises/promise_fixture.h"

#include <future>
#include <utility>

namespace quintet::testing {

void ScriptedSession::OnOpen() {
  if (script_.on_open) script_.on_open(*this);
}

size_t ScriptedSession::OnData(std::span<const std::byte> data) {
  if (!script_.on_data) return data.size();
  return script_.on_data(*this, {reinterpret_cast<const char*>(data.data()), data.size()});
}

void ScriptedSession::OnEof() { script_.on_eof ? script_.on_eof(*this) : Session::OnEof(); }

void ScriptedSession::OnFileShort(uint64_t missing) {
  if (!script_.on_file_short) return Session::OnFileShort(missing);
  script_.on_file_short(*this, missing);
}

void ScriptedSession::OnOutputDrained() {
  if (script_.on_output_drained) script_.on_output_drained(*this);
}

void ScriptedSession::OnDeadline() {
  script_.on_deadline ? script_.on_deadline(*this) : Session::OnDeadline();
}

void ScriptedSession::OnDrain() { script_.on_drain ? script_.on_drain(*this) : Session::OnDrain(); }

void ScriptedSession::OnClosed(CloseReason reason) {
  if (script_.on_closed) script_.on_closed(*this, reason);
}

std::unique_ptr<Session> MakeSession(ScriptedSession::Script script) {
  return std::make_unique<ScriptedSession>(std::move(script));
}

ScriptedSession::Script EchoScript() {
  return {.on_data = [](ScriptedSession& session, std::string_view bytes) {
    session.transport().Write(bytes);
    return bytes.size();
  }};
}

void PromiseTest::SetUp() {
  if (!RequireBackend(GetParam())) return;
}

void PromiseTest::TearDown() {
  group_.reset();
  loop_.reset();
  DescriptorLeakTest::TearDown();
}

EventLoopOptions PromiseTest::LoopOptions() const {
  EventLoopOptions options;
  options.backend.kind = GetParam();
  // A machine that pauses in the middle of a turn is none, and telling of it costs memory and calls
  // that tests count.
  options.stall_threshold = Duration::zero();
  return options;
}

std::unique_ptr<EventLoop> PromiseTest::MakeLoop() {
  auto loop = EventLoop::Create(LoopOptions());
  if (!loop.ok()) {
    ADD_FAILURE() << loop.status();
    return nullptr;
  }
  EXPECT_EQ((*loop)->backend().kind(), GetParam());
  return *std::move(loop);
}

void PromiseTest::MakeGroup(ConnectionOptions options) {
  loop_ = MakeLoop();
  ASSERT_NE(loop_, nullptr);
  group_ = std::make_unique<ConnectionGroup>(*loop_, options);
}

Connection* PromiseTest::Adopt(Fd fd, std::unique_ptr<Session> session) {
  auto connection = group_->Adopt(Socket(fd.Release()), std::move(session));
  EXPECT_TRUE(connection.ok()) << connection.status();
  return connection.ok() ? *connection : nullptr;
}

Fd PromiseTest::Connect(std::unique_ptr<Session> session, Connection** connection) {
  SocketPair pair = MakeTcpPair();
  Connection* const adopted = Adopt(std::move(pair.ours), std::move(session));
  if (connection != nullptr) *connection = adopted;
  return std::move(pair.peer);
}

bool PromiseTest::RunUntil(const std::function<bool()>& done, Duration patience) {
  const TimePoint deadline = loop_->clock().Now() + patience;
  while (!done()) {
    if (loop_->clock().Now() >= deadline) return false;
    loop_->RunOnce(std::chrono::milliseconds(1));
  }
  return true;
}

void PromiseTest::RunFor(Duration duration) {
  const TimePoint deadline = loop_->clock().Now() + duration;
  while (loop_->clock().Now() < deadline) loop_->RunOnce(std::chrono::milliseconds(1));
}

RunningServer::RunningServer(BackendKind kind, SessionFactory& sessions, ServerOptions options) {
  options.addresses = {*Address::Parse("127.0.0.1:0")};
  options.loop.backend.kind = kind;
  options.pin = false;
  std::promise<void> created;
  // Made on the thread that runs it, as Server asks for.
  thread_ = std::thread([&created, &sessions, kind, options, this] {
    auto server = Server::Create(options, sessions);
    if (server.ok()) {
      EXPECT_EQ((*server)->backend(), kind);
      server_ = *std::move(server);
    }
    EXPECT_TRUE(server.ok()) << server.status();
    Server* const raw = server_.get();
    created.set_value();
    if (raw == nullptr) return;
    EXPECT_TRUE(raw->Run().ok());
  });
  created.get_future().wait();
}

RunningServer::~RunningServer() { Stop(); }

Fd RunningServer::Connect() const {
  return ConnectTo(*reinterpret_cast<const sockaddr_in*>(server_->addresses().front().data()));
}

void RunningServer::Stop() {
  if (!thread_.joinable()) return;
  if (server_ != nullptr) server_->Stop();
  thread_.join();
}

}  // namespace quintet::testing
