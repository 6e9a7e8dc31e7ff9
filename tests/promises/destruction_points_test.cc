// Promise 3: nothing that the kernel may still write to, or read from, is freed; destroying a
// connection, a server or a loop is safe at any moment. For AddressSanitizer, and for the bytes:
// memory that is used again too early shows in what a peer reads.
#include <sys/socket.h>
#include <unistd.h>

#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <iostream>
#include <memory>
#include <mutex>
#include <random>
#include <span>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "net/connector.h"
#include "net/listener.h"
#include "tests/promises/promise_fixture.h"
#include "tests/support/sanitizers.h"

namespace quintet::testing {
namespace {

// Small, so that a ring for each point costs little, and so that receives run out of buffers.
constexpr UringOptions kSmallRing{
    .sq_entries = 16, .cq_entries = 64, .recv_buffers = 4, .recv_buffer_bytes = 2048};

// The bytes of stream `id`.
std::string Stream(uint32_t id, size_t begin, size_t count) {
  std::string bytes(count, '\0');
  for (size_t i = 0; i < count; ++i) {
    const size_t at = begin + i;
    bytes[i] = static_cast<char>(id * 131 + at * 7 + (at >> 8));
  }
  return bytes;
}

// A loop with connections in every stage, in which something is destroyed when a count of events
// has run down, wherever that is; then the rest, in any order.
class World {
 public:
  World(EventLoopOptions options, uint32_t seed, const sockaddr_in& full_listener)
      : random_(seed), fuse_(static_cast<int>(random_() % 60)), full_listener_(full_listener) {
    auto loop = EventLoop::Create(std::move(options));
    EXPECT_TRUE(loop.ok()) << loop.status();
    loop_ = *std::move(loop);
    const ConnectionOptions limits{.output_high_mark = 8 << 10, .output_low_mark = 4 << 10};
    accepting_ = std::make_unique<ConnectionGroup>(*loop_, limits);
    connecting_ = std::make_unique<ConnectionGroup>(*loop_, limits);
    Listen();
    for (uint32_t id = 1 + Dice(3); id > 0; --id) Connect(address_, id);
    if (Dice(4) == 0) {
      const auto* const generic = reinterpret_cast<const sockaddr*>(&full_listener_);
      Connect(*Address::FromSockaddr(generic, sizeof(full_listener_)), 9);
    }
    if (Dice(2) == 0) loop_->RunAfter(std::chrono::microseconds(Dice(500)), [this] { Event(); });
    if (Dice(4) == 0) loop_->Post([this] { Event(); });
  }
  ~World() {
    // Everything but the loop in any order, then the loop, with whatever is still in flight.
    for (int i = 0; i < 4; ++i) DestroySomething();
    accepting_.reset();
    connecting_.reset();
    listener_.reset();
    if (Dice(2) == 0) loop_->RunOnce(Duration::zero());
    loop_.reset();
    EXPECT_EQ(sessions_, 0) << "sessions outlived their loop";
  }
  World(const World&) = delete;
  World& operator=(const World&) = delete;

  BackendKind kind() const { return loop_->backend().kind(); }

  // Turns until the moment has come, and some more.
  void Run() {
    for (int turns = 0; turns < 40 && fuse_ > 0; ++turns) {
      loop_->RunOnce(std::chrono::microseconds(turns % 8 == 7 ? 50 : 0));
      Event();
    }
    if (fuse_ > 0) DestroySomething();
    for (uint32_t turns = Dice(4); turns > 0; --turns) loop_->RunOnce(Duration::zero());
  }

 private:
  class Party final : public Session {
   public:
    // `id` zero: the side that echoes.
    Party(World& world, uint32_t id) : world_(world), id_(id) { ++world_.sessions_; }
    ~Party() override { --world_.sessions_; }

    void OnOpen() override {
      if (id_ != 0) Talk();
      world_.Event();
    }
    size_t OnData(std::span<const std::byte> data) override {
      const std::string_view bytes(reinterpret_cast<const char*>(data.data()), data.size());
      if (id_ == 0) {
        transport().Write(bytes);
      } else {
        EXPECT_TRUE(bytes == Stream(id_, heard_, bytes.size())) << "other bytes at " << heard_;
        heard_ += bytes.size();
      }
      if (id_ != 0 && world_.Dice(3) == 0) Talk();
      if (world_.Dice(40) == 0) transport().Close();
      world_.Event();
      return data.size();
    }
    void OnOutputDrained() override { world_.Event(); }
    void OnEof() override {
      transport().Close();
      world_.Event();
    }
    void OnClosed(CloseReason) override { world_.Event(); }

   private:
    void Talk() {
      const size_t count = world_.Dice(4) == 0 ? 100'000 : 3'000;
      transport().Write(Stream(id_, told_, count));
      told_ += count;
    }

    World& world_;
    const uint32_t id_;
    size_t told_ = 0;
    size_t heard_ = 0;
  };

  void Listen() {
    const bool tcp = Dice(2) == 0;
    auto socket = ListenOn(
        *Address::Parse(tcp ? "127.0.0.1:0" : "unix:@quintet-points-" + std::to_string(::getpid())),
        {.backlog = 16});
    ASSERT_TRUE(socket.ok()) << socket.status();
    address_ = *socket->LocalAddress();
    auto listener = Listener::Create(*loop_, *std::move(socket), [this](Socket accepted) {
      if (accepting_ != nullptr) {
        static_cast<void>(
            accepting_->Adopt(std::move(accepted), std::make_unique<Party>(*this, 0)));
      }
      Event();
    });
    ASSERT_TRUE(listener.ok()) << listener.status();
    listener_ = *std::move(listener);
  }

  void Connect(const Address& to, uint32_t id) {
    ConnectorOptions options;
    options.timeout = std::chrono::milliseconds(2);
    Connector connector(*connecting_, options);
    EXPECT_TRUE(connector.Connect(to, std::make_unique<Party>(*this, id)).ok());
  }

  uint32_t Dice(uint32_t sides) { return static_cast<uint32_t>(random_()) % sides; }

  // Something has happened.
  void Event() {
    if (--fuse_ == 0) DestroySomething();
  }

  void DestroySomething() {
    fuse_ = 0;
    switch (Dice(6)) {
      case 0:
        if (accepting_ != nullptr) accepting_->AbortAll(CloseReason::kAborted);
        break;
      case 1:
        if (connecting_ != nullptr) connecting_->AbortAll(CloseReason::kAborted);
        break;
      case 2:
        accepting_.reset();
        break;
      case 3:
        connecting_.reset();
        break;
      case 4:
        listener_.reset();
        break;
      default:
        accepting_.reset();
        connecting_.reset();
        listener_.reset();
    }
  }

  std::mt19937 random_;
  int fuse_;
  const sockaddr_in full_listener_;
  int sessions_ = 0;
  Address address_ = *Address::Parse("127.0.0.1:0");
  std::unique_ptr<EventLoop> loop_;
  std::unique_ptr<ConnectionGroup> accepting_;
  std::unique_ptr<ConnectionGroup> connecting_;
  ListenerPtr listener_;
};

class DestructionPointsTest : public PromiseTest {};

// Nobody accepts here, and the queue is full: connecting takes its time.
struct FullListener {
  TestListener listener = MakeListener(0);
  Fd first = ConnectTo(listener.address);
};

TEST_P(DestructionPointsTest, ConnectionsListenersAndLoops) {
  // Two thousand a backend, ten thousand in all.
  const int points = kThreadSanitizer ? 200 : 2000;
  const FullListener full;
  // Printed at once: a crash leaves no time for it.
  const char* const given = std::getenv("QUINTET_TEST_SEED");
  const uint32_t first_seed = given != nullptr
                                  ? static_cast<uint32_t>(std::strtoul(given, nullptr, 0))
                                  : std::random_device{}();
  std::cout << "QUINTET_TEST_SEED=" << first_seed << std::endl;
  for (int point = 0; point < points && !HasFailure(); ++point) {
    const uint32_t seed = first_seed + static_cast<uint32_t>(point);
    SCOPED_TRACE("QUINTET_TEST_SEED=" + std::to_string(seed));
    EventLoopOptions options = LoopOptions();
    options.backend.uring = kSmallRing;
    options.max_completions_per_turn = 1 + seed % 16;
    World world(std::move(options), seed, full.listener.address);
    ASSERT_EQ(world.kind(), GetParam());
    world.Run();
  }
}

// A server destroyed by another thread, or by one of its own sessions, while it runs.
TEST_P(DestructionPointsTest, RunningServers) {
  const int points = kThreadSanitizer ? 25 : 100;
  std::mt19937 dice(std::random_device{}());
  for (int point = 0; point < points; ++point) {
    const uint32_t way = static_cast<uint32_t>(dice()) % 4;
    std::unique_ptr<Server> server;
    std::once_flag once;
    const auto destroy = [&] { std::call_once(once, [&] { server.reset(); }); };
    ScriptedFactory sessions({.on_data =
                                  [&](ScriptedSession& session, std::string_view bytes) {
                                    session.transport().Write(bytes);
                                    if (way == 0) destroy();
                                    return bytes.size();
                                  },
                              .on_eof =
                                  [&](ScriptedSession& session) {
                                    if (way == 1) destroy();
                                    session.transport().Close();
                                  },
                              .on_closed =
                                  [&](ScriptedSession&, CloseReason) {
                                    if (way == 2) destroy();
                                  }});
    ServerOptions options;
    options.addresses = {*Address::Parse("127.0.0.1:0")};
    options.shards = 1 + static_cast<int>(dice() % 2);
    options.pin = false;
    options.loop.backend = {.kind = GetParam(), .uring = kSmallRing};
    auto created = Server::Create(options, sessions);
    ASSERT_TRUE(created.ok()) << created.status();
    server = *std::move(created);
    ASSERT_EQ(server->backend(), GetParam());
    const Address address = server->addresses().front();
    std::thread runner([raw = server.get()] { EXPECT_TRUE(raw->Run().ok()); });
    std::vector<Fd> clients;
    for (int i = 0; i < 3; ++i) {
      clients.push_back(ConnectTo(*reinterpret_cast<const sockaddr_in*>(address.data())));
      if (!clients.back() || !SendAll(clients.back().get(), "x")) break;
      // Answered, or cut off by the end of the server: running in both cases.
      const bool answered = ReceiveExactly(clients.back().get(), 1) == "x";
      EXPECT_TRUE(answered || way == 0);
    }
    // The load that the destruction meets. The end of file must be reached: nothing before it.
    for (const Fd& client : clients) {
      if (client && (way != 1 || &client != &clients.front())) FillSocket(client.get());
    }
    if (way == 1) ::shutdown(clients.front().get(), SHUT_WR);
    if (way == 2) Reset(clients.front());
    if (way == 3) {
      std::this_thread::sleep_for(std::chrono::microseconds(dice() % 1000));
      destroy();
    }
    runner.join();
    EXPECT_EQ(server, nullptr);
  }
}

INSTANTIATE_TEST_SUITE_P(Backends, DestructionPointsTest, AllBackends(), KindName);

}  // namespace
}  // namespace quintet::testing
