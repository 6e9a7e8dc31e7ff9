// Promise 14: an event for a closed descriptor never reaches the next owner of its number.
#include <fcntl.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "net/listener.h"
#include "tests/promises/promise_fixture.h"
#include "tests/support/sanitizers.h"

namespace quintet::testing {
namespace {

// Descriptor numbers that pass from a noisy tenant, whose socket is always readable, to a quiet
// one, whose socket never is, in a dispatch in which an event for the noisy one was already
// gathered. Both are duplicates of sockets that stay open, so the kernel itself forgets no
// registration.
class Block {
 public:
  explicit Block(EventLoop& loop) : loop_(loop), noisy_(MakeUnixPair()), quiet_(MakeUnixPair()) {
    EXPECT_TRUE(SendAll(noisy_.peer.get(), "noise"));
    for (Flat& flat : flats_) {
      flat.number = ::fcntl(noisy_.ours.get(), F_DUPFD_CLOEXEC, 0);
      MoveIn(flat, /*quiet=*/false);
    }
  }
  ~Block() {
    for (Flat& flat : flats_) flat.next_is_quiet.reset();
    moving_out_ = true;
    for (Flat& flat : flats_) {
      if (flat.tenant->attached()) loop_.backend().Close(*flat.tenant, CloseMode::kClose);
    }
    while (loop_.RunOnce(std::chrono::milliseconds(10))) {
    }
  }
  Block(const Block&) = delete;
  Block& operator=(const Block&) = delete;

  // Called inside a dispatch: every tenant that is not leaving yet makes room for the other kind.
  void EvictAll() {
    for (Flat& flat : flats_) {
      if (flat.next_is_quiet.has_value()) continue;
      flat.next_is_quiet = !flat.tenant->quiet;
      loop_.backend().Close(*flat.tenant, CloseMode::kClose);
      // io_uring closes the descriptor once nothing is in flight: the next one moves in then.
      if (!IsOpen(flat.number)) {
        ++at_once_;
        Succeed(flat);
      }
    }
    // A closed tenant is told so later; its memory may go after that.
    std::erase_if(leaving_, [](const auto& tenant) { return !tenant->attached(); });
  }

  int handovers() const { return handovers_; }  // noisy to quiet
  int at_once() const { return at_once_; }
  int ghosts() const { return ghosts_; }

 private:
  struct Tenant final : Source {
    Tenant(Block& owner, int fd, bool is_quiet) : Source(fd), block(owner), quiet(is_quiet) {}
    ~Tenant() override = default;
    void OnCompletion(const Completion& completion) override { block.OnEvent(*this, completion); }

    Block& block;
    const bool quiet;
  };
  struct Flat {
    int number = -1;
    std::unique_ptr<Tenant> tenant;
    std::optional<bool> next_is_quiet;  // while one moves out
  };

  void MoveIn(Flat& flat, bool quiet) {
    flat.tenant = std::make_unique<Tenant>(*this, flat.number, quiet);
    const absl::Status added = loop_.backend().Add(*flat.tenant);
    EXPECT_TRUE(added.ok()) << added;
    loop_.backend().StartRecv(*flat.tenant);
  }

  void Succeed(Flat& flat) {
    const bool quiet = *std::exchange(flat.next_is_quiet, std::nullopt);
    const int fd = (quiet ? quiet_ : noisy_).ours.get();
    ASSERT_EQ(::fcntl(fd, F_DUPFD_CLOEXEC, flat.number), flat.number);
    if (quiet) ++handovers_;
    leaving_.push_back(std::move(flat.tenant));
    MoveIn(flat, quiet);
  }

  void OnEvent(Tenant& tenant, const Completion& completion) {
    if (completion.op == Op::kClosed) {
      for (Flat& flat : flats_) {
        if (flat.tenant.get() == &tenant && flat.next_is_quiet.has_value()) Succeed(flat);
      }
      return;
    }
    if (tenant.quiet) {
      ++ghosts_;
    } else if (!moving_out_ && completion.result > 0) {
      // It had its turn before it was evicted: the socket has to stay noisy.
      SendAll(noisy_.peer.get(), "noise");
    }
  }

  EventLoop& loop_;
  const SocketPair noisy_;
  const SocketPair quiet_;
  std::array<Flat, 16> flats_;
  std::vector<std::unique_ptr<Tenant>> leaving_;
  int handovers_ = 0;
  int at_once_ = 0;
  int ghosts_ = 0;
  bool moving_out_ = false;
};

class DescriptorReuseTest : public PromiseTest {};

// A fifth of a million for each backend; `noise` is level-triggered everywhere, as is the watch
// that evicts, so that both are gathered in every turn.
TEST_P(DescriptorReuseTest, NextOwnerHearsNothingOfTheLast) {
  const int handovers = Scaled(200'000);
  const std::unique_ptr<EventLoop> loop = MakeLoop();
  // Made before the tenants: lower numbers and earlier registrations are reported first.
  const Fd bell(::eventfd(1, EFD_NONBLOCK | EFD_CLOEXEC));
  Block* block = nullptr;
  auto watch = loop->Watch(bell.get(), Readiness::kReadable, Trigger::kLevel,
                           [&](Readiness) { block->EvictAll(); });
  ASSERT_TRUE(watch.ok()) << watch.status();
  {
    Block tenants(*loop);
    block = &tenants;
    const TimePoint give_up = loop->clock().Now() + std::chrono::minutes(2);
    while (tenants.handovers() < handovers && tenants.ghosts() == 0) {
      ASSERT_LT(loop->clock().Now(), give_up) << tenants.handovers() << " of " << handovers;
      loop->RunOnce(std::chrono::seconds(1));
    }
    EXPECT_EQ(tenants.ghosts(), 0);
    if (GetParam() != BackendKind::kIoUring) {
      EXPECT_GE(tenants.at_once(), tenants.handovers()) << "the numbers were not reused";
    }
    watch->reset();
  }
}

// The same with what servers do: a session ends others whose events were gathered with its own, and
// the listener, ready too, gives their numbers to new connections.
TEST_P(DescriptorReuseTest, AcceptedInTheDispatchOfTheClose) {
  constexpr size_t kOld = 6;
  constexpr size_t kNew = 6;
  const int rounds = Scaled(1000);
  const Address address = *Address::Parse("unix:@quintet-reuse-" + std::to_string(::getpid()));
  MakeGroup();
  bool strangers_come = false;
  std::vector<Connection*> old;
  std::set<int> freed;
  size_t accepted = 0;
  int reused = 0;
  int ghosts = 0;
  // Whoever is called first of the old ones ends all the others.
  ScriptedSession::Script insider{.on_data = [&](ScriptedSession& session, auto bytes) {
    for (Connection* connection : std::exchange(old, {})) {
      if (static_cast<Transport*>(connection) == &session.transport()) continue;
      freed.insert(connection->fd());
      connection->Abort(CloseReason::kAborted);
    }
    return bytes.size();
  }};
  ScriptedSession::Script stranger{.on_data =
                                       [&](ScriptedSession&, auto bytes) {
                                         ++ghosts;
                                         return bytes.size();
                                       },
                                   .on_eof = [&](ScriptedSession&) { ++ghosts; }};
  auto socket = ListenOn(address, {.backlog = 64});
  ASSERT_TRUE(socket.ok()) << socket.status();
  auto listener = Listener::Create(loop(), *std::move(socket), [&](Socket s) {
    ++accepted;
    if (strangers_come && freed.contains(s.fd())) ++reused;
    auto connection =
        group()->Adopt(std::move(s), MakeSession(strangers_come ? stranger : insider));
    ASSERT_TRUE(connection.ok()) << connection.status();
    if (!strangers_come) old.push_back(*connection);
  });
  ASSERT_TRUE(listener.ok()) << listener.status();
  const auto connect_clients = [&](size_t count) {
    std::vector<Fd> clients(count);
    for (Fd& client : clients) {
      client = Fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
      EXPECT_TRUE(quintet::testing::Connect(client.get(), address.data(), address.size()));
    }
    return clients;
  };
  for (int round = 0; round < rounds && ghosts == 0; ++round) {
    strangers_come = false;
    accepted = 0;
    const std::vector<Fd> insiders = connect_clients(kOld);
    ASSERT_TRUE(RunUntil([&] { return accepted == kOld; }));
    // No turn until everything is ready.
    strangers_come = true;
    accepted = 0;
    freed.clear();
    for (const Fd& client : insiders) ASSERT_TRUE(SendAll(client.get(), "x"));
    const std::vector<Fd> strangers = connect_clients(kNew);
    ASSERT_TRUE(RunUntil([&] { return accepted == kNew; }));
    loop().RunOnce(Duration::zero());
    group()->AbortAll(CloseReason::kAborted);
    ASSERT_TRUE(RunUntil([&] { return group()->size() == 0; }));
  }
  EXPECT_EQ(ghosts, 0);
  if (GetParam() != BackendKind::kIoUring) {
    EXPECT_GE(reused, rounds) << "the numbers were not reused";
  }
  listener->reset();
}

INSTANTIATE_TEST_SUITE_P(Backends, DescriptorReuseTest, AllBackends(), KindName);

}  // namespace
}  // namespace quintet::testing
