#include "tests/net/models/served.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <chrono>
#include <new>
#include <utility>

#include "tests/support/peers.h"

namespace quintet::testing {
namespace {

constexpr std::chrono::seconds kPatience{20};

}  // namespace

std::vector<ServedKind> AllServedKinds() {
  std::vector<ServedKind> kinds;
  for (const BackendKind backend : kRealBackends) {
    kinds.push_back({.model = ServerModel::kReactor, .backend = backend});
  }
  for (const ServerModel model :
       {ServerModel::kIterative, ServerModel::kFork, ServerModel::kThread}) {
    kinds.push_back({.model = model});
  }
  for (const PreforkAccept accept : kPreforkAccepts) {
    kinds.push_back({.model = ServerModel::kPrefork, .accept = accept});
  }
  return kinds;
}

std::string ServedKindName(const ::testing::TestParamInfo<ServedKind>& info) {
  const ServedKind& kind = info.param;
  std::string name(ServerModelName(kind.model));
  if (kind.model == ServerModel::kReactor) name += "_" + std::string(BackendName(kind.backend));
  if (kind.model == ServerModel::kPrefork) {
    name += "_" + std::string(PreforkAcceptName(kind.accept));
  }
  return name;
}

bool Eventually(const std::function<bool()>& holds) {
  const auto deadline = std::chrono::steady_clock::now() + kPatience;
  while (!holds()) {
    if (std::chrono::steady_clock::now() >= deadline) return false;
    ::usleep(500);
  }
  return true;
}

uint64_t Notes::ClosedInAll() const {
  uint64_t sum = 0;
  for (const auto& count : closed) sum += count;
  return sum;
}

ScriptedSession::Script IncrementScript() {
  return {.on_data = [](ScriptedSession& session, std::string_view bytes) -> size_t {
    const char next = static_cast<char>(bytes[0] + 1);
    session.transport().Write({&next, 1});
    session.transport().Close();
    return 1;
  }};
}

bool Echoes(const Fd& client) {
  return client && SendAll(client.get(), "?") && ReceiveExactly(client.get(), 1) == "?";
}

std::shared_ptr<Notes> MakeNotes() {
  void* const memory =
      ::mmap(nullptr, sizeof(Notes), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  EXPECT_NE(memory, MAP_FAILED);
  return {new (memory) Notes, [](Notes* notes) { ::munmap(notes, sizeof(Notes)); }};
}

Served::Served(const ServedKind& kind, SessionFactory& sessions, ServerOptions options,
               ModelOptions model)
    : kind_(kind) {
  options.addresses = {*Address::Parse("127.0.0.1:0")};
  options.loop.backend.log = nullptr;
  options.pin = false;
  if (kind.model == ServerModel::kReactor) {
    options.loop.backend.kind = kind.backend;
    auto server = Server::Create(options, sessions);
    EXPECT_TRUE(server.ok()) << server.status();
    server_ = *std::move(server);
    EXPECT_EQ(server_->backend(), kind.backend);
    thread_ = std::thread([this] { ok_ = server_->Run().ok(); });
    return;
  }
  model.model = kind.model;
  model.prefork_accept = kind.accept;
  auto server = ModelServer::Create(model, options, sessions);
  EXPECT_TRUE(server.ok()) << server.status();
  model_ = *std::move(server);
  if (HasChildren(kind.model)) {
    // What is buffered would be written by both.
    ::fflush(nullptr);
    process_ = std::make_unique<ForkedProcess>([this] {
      if (!model_->StopOnSignals().ok()) return 2;
      return model_->Run().ok() ? 0 : 1;
    });
  } else {
    thread_ = std::thread([this] { ok_ = model_->Run().ok(); });
  }
}

Served::~Served() {
  Stop();
  EXPECT_TRUE(Join());
}

const Address& Served::address() const {
  return model_ != nullptr ? model_->addresses()[0] : server_->addresses()[0];
}

Fd Served::Connect() const {
  Fd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  SetTimeouts(fd.get(), kPeerTimeout);
  // Small pieces leave at once.
  const int on = 1;
  ::setsockopt(fd.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
  if (!quintet::testing::Connect(fd.get(), address().data(), address().size())) fd.Reset();
  return fd;
}

void Served::Stop() {
  if (model_ != nullptr) {
    model_->Stop();
  } else {
    server_->Stop();
  }
}

bool Served::Join() {
  if (!std::exchange(joined_, true)) {
    if (process_ != nullptr) {
      ok_ = process_->Wait() == 0;
    } else {
      thread_.join();
    }
  }
  return ok_;
}

ModelStats Served::Stats() const {
  if (model_ != nullptr) return model_->Stats();
  const ShardStats shard = server_->Stats().front();
  return {.accepted = shard.accepted,
          .active = shard.active,
          .bytes_in = shard.bytes_in,
          .bytes_out = shard.bytes_out,
          .refused = shard.refused,
          .proxy_errors = shard.proxy_errors};
}

void Served::Increment(int count) const {
  constexpr int kAtOnce = 8;
  std::atomic<int> left = count;
  std::atomic<int> served_well = 0;
  std::vector<std::thread> clients;
  for (int i = 0; i < kAtOnce; ++i) {
    clients.emplace_back([&] {
      while (left-- > 0) {
        const Fd client = Connect();
        if (client && SendAll(client.get(), "A") && ReceiveToEnd(client.get()) == "B") {
          ++served_well;
        }
      }
    });
  }
  for (std::thread& client : clients) client.join();
  EXPECT_EQ(served_well, count);
}

pid_t Served::pid() const { return process_ != nullptr ? process_->pid() : ::getpid(); }

}  // namespace quintet::testing
