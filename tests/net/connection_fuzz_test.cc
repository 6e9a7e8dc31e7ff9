// Connections on a hostile simulated network, thousands of runs, each from one seed. A failure
// prints its seed; QUINTET_SEED=<seed> runs that one alone, with its trace.
#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "net/connection.h"
#include "net/connection_group.h"
#include "net/listener.h"
#include "reactor/event_loop.h"
#include "reactor/sim/sim_backend.h"
#include "reactor/sim/sim_network.h"
#include "reactor/sim/sim_peer.h"
#include "tests/support/memory_file.h"
#include "tests/support/sanitizers.h"

#ifdef QUINTET_ASAN
#include <sanitizer/common_interface_defs.h>
#endif

namespace quintet::testing {
namespace {

using namespace std::chrono_literals;

constexpr uint16_t kPort = 80;
constexpr int kSeeds = 4000;

// The byte at a place of the stream to and from client `id`.
char ByteAt(size_t id, size_t position) {
  return static_cast<char>((position * 31 + id * 7 + (position >> 8)) & 0xff);
}

struct World;

// What one connection is held to.
struct Record {
  size_t id = 0;
  size_t bytes_in = 0;   // consumed
  size_t bytes_out = 0;  // written before Close()
  // Of the output, what a file may lack, and what one was said to lack: from, to.
  std::map<size_t, size_t> ranges;
  std::vector<std::pair<size_t, size_t>> zeros;
  bool opened = false;
  bool eof = false;
  bool close_called = false;
  bool closed = false;
  bool destroyed = false;
  bool above_high = false;
  bool paused = false;  // also by what it did not consume
  CloseReason reason = CloseReason::kNone;
  TimePoint deadline = kNever;
};

// Echoes or chatters, and does at random what a session may do.
class FuzzSession final : public Session {
 public:
  FuzzSession(World& world, Record& record) : world_(world), record_(record) {}
  ~FuzzSession() override {
    EXPECT_TRUE(record_.closed);
    record_.destroyed = true;
  }

  void OnOpen() override;
  size_t OnData(std::span<const std::byte> data) override;
  void OnEof() override;
  void OnOutputDrained() override;
  void OnFileShort(uint64_t missing) override;
  void OnDeadline() override;
  void OnDrain() override;
  bool idle() const override { return record_.id % 2 == 0; }
  void OnClosed(CloseReason reason) override;

 private:
  void Check();
  void Write(size_t bytes);
  void WriteFile(size_t bytes);
  void NoteHighMark();
  void Close();
  void Misbehave();

  World& world_;
  Record& record_;
  bool drained_ = false;
};

struct Client {
  std::unique_ptr<SimPeer> peer;
  std::string sent;
  bool shut_down = false;
  bool disturbed = false;  // reset or closed by its own doing
};

struct World {
  static SimOptions MakeOptions(uint64_t seed) {
    SimRandom random(seed);
    SimOptions options;
    options.seed = random.Next();
    if (!random.Chance(100)) options.faults = SimFaults::Hostile();
    if (random.Chance(300)) options.faults.reset = options.faults.send_error = 0;
    options.latency = Duration(random.Between(1000, 3'000'000));
    options.jitter = random.Chance(500) ? Duration(random.Between(1, 5'000'000)) : Duration(0);
    options.window_bytes =
        random.Chance(200) ? random.Between(50, 500) : random.Between(1000, 70'000);
    return options;
  }

  explicit World(uint64_t seed) : network(MakeOptions(seed)), random(seed ^ 0x5eed) {
    limits.output_high_mark = random.Between(1, 5000);
    limits.output_low_mark = random.Below(limits.output_high_mark);
    limits.output_cap = 200'000;
    limits.write_stall_timeout = 5s;
    limits.linger_timeout = 2s;
    limits.linger_cap = 100'000;
    auto made = std::make_unique<SimBackend>(network);
    backend = made.get();
    EventLoopOptions options;
    options.backend.log = nullptr;
    options.max_completions_per_turn = random.Between(1, 64);
    loop = EventLoop::CreateWith(std::move(made), network.clock(), options);
    group = std::make_unique<ConnectionGroup>(*loop, limits);
  }

  void Run();
  void Accept(Socket socket);
  void StepClient(Client& client, size_t id);
  void CheckEnd();

  SimNetwork network;
  SimRandom random;
  SimBackend* backend;
  ConnectionOptions limits;
  std::unique_ptr<EventLoop> loop;
  std::unique_ptr<ConnectionGroup> group;
  ListenerPtr listener;
  std::vector<std::unique_ptr<Record>> records;
  std::vector<Client> clients;
  // Then it is not known which client belongs to which record.
  bool accepted_from_listener = false;
};

void FuzzSession::Check() {
  EXPECT_TRUE(record_.opened);
  EXPECT_FALSE(record_.closed);
  EXPECT_LE(transport().output_bytes(), world_.limits.output_cap);
  EXPECT_EQ(transport().now(), world_.loop->now());
}

void FuzzSession::Write(size_t bytes) {
  if (record_.close_called) return;
  std::string data(bytes, '\0');
  for (size_t i = 0; i < bytes; ++i) data[i] = ByteAt(record_.id, record_.bytes_out + i);
  if (transport().output_bytes() + bytes > world_.limits.output_cap) return;
  transport().Write(data);
  record_.bytes_out += bytes;
  NoteHighMark();
}

// The same from a file, which by chance has less than it should.
void FuzzSession::WriteFile(size_t bytes) {
  if (record_.close_called) return;
  std::string data(bytes, '\0');
  for (size_t i = 0; i < bytes; ++i) data[i] = ByteAt(record_.id, record_.bytes_out + i);
  const size_t offset = world_.random.Below(3);
  data.insert(0, offset, '!');
  if (world_.random.Chance(100)) data.resize(world_.random.Below(data.size() + 1));
  if (transport().ending()) return;
  transport().WriteFile(MakeFile(data), offset, bytes);
  if (bytes > 0) record_.ranges[record_.bytes_out] = record_.bytes_out + bytes;
  record_.bytes_out += bytes;
  NoteHighMark();
}

// Told in the order of the ranges, of each once: of one that lies behind what was told before.
void FuzzSession::OnFileShort(uint64_t missing) {
  EXPECT_TRUE(record_.opened);
  EXPECT_FALSE(record_.closed);
  EXPECT_GT(missing, 0U);
  // What has left is all but the output.
  const size_t sent = record_.bytes_out - transport().output_bytes();
  auto range = record_.ranges.upper_bound(sent);
  ASSERT_NE(range, record_.ranges.begin());
  --range;
  ASSERT_EQ(range->second - sent, missing);
  EXPECT_TRUE(record_.zeros.empty() || record_.zeros.back().second <= range->first);
  record_.zeros.emplace_back(sent, range->second);
  if (world_.random.Chance(200)) {
    transport().Abort(CloseReason::kError);
  } else {
    Misbehave();
  }
}

void FuzzSession::NoteHighMark() {
  if (transport().output_bytes() > world_.limits.output_high_mark) record_.above_high = true;
  EXPECT_TRUE(!record_.above_high || transport().output_blocked());
}

void FuzzSession::Close() {
  record_.close_called = true;
  transport().Close();
}

void FuzzSession::Misbehave() {
  SimRandom& random = world_.random;
  switch (random.Below(40)) {
    case 0:
      record_.paused = true;
      transport().PauseReading();
      break;
    case 1:
      record_.paused = false;
      transport().ResumeReading();
      break;
    case 2:
      record_.deadline = world_.loop->now() + Duration(random.Below(1'000'000'000));
      transport().SetDeadline(record_.deadline);
      break;
    case 3:
      if (random.Chance(200)) Close();
      break;
    case 4:
      if (random.Chance(50)) transport().Abort(CloseReason::kAborted);
      break;
    case 5:
      if (random.Chance(50)) throw 1;
      break;
    case 6:
    case 7:
      WriteFile(random.Chance(200) ? random.Below(60'000) : random.Below(3000));
      if (random.Chance(300)) WriteFile(random.Below(500));
      if (random.Chance(500)) Write(random.Below(500));
      break;
    default:
      break;
  }
}

void FuzzSession::OnOpen() {
  EXPECT_FALSE(record_.opened);
  record_.opened = true;
  // So that a pause does not last for ever.
  record_.deadline = world_.loop->now() + 1s;
  transport().SetDeadline(record_.deadline);
  if (record_.id % 3 == 0) Write(world_.random.Below(5000));
  Misbehave();
}

size_t FuzzSession::OnData(std::span<const std::byte> data) {
  Check();
  EXPECT_FALSE(data.empty());
  EXPECT_FALSE(record_.eof);
  EXPECT_FALSE(record_.close_called);
  EXPECT_FALSE(record_.paused);
  EXPECT_FALSE(transport().output_blocked());
  const size_t take =
      world_.random.Chance(100) ? world_.random.Below(data.size() + 1) : data.size();
  for (size_t i = 0; i < take; ++i) {
    const char expected = ByteAt(record_.id + 1000, record_.bytes_in + i);
    if (static_cast<char>(data[i]) != expected) {
      ADD_FAILURE() << "byte " << record_.bytes_in + i << " of connection " << record_.id;
      break;
    }
  }
  record_.bytes_in += take;
  Write(record_.id % 3 == 0 ? world_.random.Below(3000) : take);
  Misbehave();
  if (take < data.size()) record_.paused = true;
  return take;
}

void FuzzSession::OnEof() {
  Check();
  EXPECT_FALSE(record_.eof);
  EXPECT_FALSE(record_.paused);
  record_.eof = true;
  if (world_.random.Chance(300)) Write(world_.random.Below(2000));
  if (world_.random.Chance(900)) Close();
}

void FuzzSession::OnOutputDrained() {
  Check();
  EXPECT_TRUE(record_.above_high) << "drained without having been blocked";
  EXPECT_LE(transport().output_bytes(), world_.limits.output_low_mark);
  record_.above_high = false;
  Misbehave();
}

void FuzzSession::OnDeadline() {
  Check();
  EXPECT_GE(world_.loop->now(), record_.deadline);
  record_.paused = false;
  transport().ResumeReading();
  if (world_.random.Chance(200)) Close();
  record_.deadline = world_.loop->now() + 1s;
  transport().SetDeadline(record_.deadline);
}

void FuzzSession::OnDrain() {
  Check();
  EXPECT_FALSE(drained_);
  drained_ = true;
  Close();
}

void FuzzSession::OnClosed(CloseReason reason) {
  EXPECT_FALSE(record_.closed);
  EXPECT_NE(reason, CloseReason::kNone);
  record_.closed = true;
  record_.reason = reason;
}

void World::Accept(Socket socket) {
  records.push_back(std::make_unique<Record>());
  Record& record = *records.back();
  record.id = records.size() - 1;
  auto adopted = group->Adopt(std::move(socket), std::make_unique<FuzzSession>(*this, record));
  EXPECT_TRUE(adopted.ok());
}

void World::StepClient(Client& client, size_t id) {
  switch (random.Below(12)) {
    case 0:
      client.peer->StopReading();
      break;
    case 1:
    case 2:
      client.peer->StartReading();
      break;
    case 3:
      if (random.Chance(100)) {
        client.peer->ShutdownSend();
        client.shut_down = true;
      }
      break;
    case 4:
      if (random.Chance(30)) {
        client.disturbed = true;
        random.Chance(500) ? client.peer->Reset() : client.peer->Close();
      }
      break;
    default: {
      if (client.shut_down) break;
      std::string bytes(random.Chance(100) ? random.Below(20'000) : random.Below(300), '\0');
      for (size_t i = 0; i < bytes.size(); ++i) {
        bytes[i] = ByteAt(id + 1000, client.sent.size() + i);
      }
      client.sent += bytes;
      client.peer->Send(bytes);
    }
  }
}

void World::Run() {
  const bool listening = random.Chance(300);
  accepted_from_listener = listening;
  if (listening) {
    listener = *Listener::Create(*loop, Socket(network.Listen(kPort)),
                                 [this](Socket socket) { Accept(std::move(socket)); });
  }
  const size_t count = random.Between(1, 5);
  clients.resize(count);
  for (size_t id = 0; id < count; ++id) {
    if (listening) {
      clients[id].peer = std::make_unique<SimPeer>(network);
      clients[id].peer->Connect(kPort);
    } else {
      const auto [ours, theirs] = network.CreatePair();
      clients[id].peer = std::make_unique<SimPeer>(network, theirs);
      Accept(Socket(ours));
    }
  }
  for (int step = static_cast<int>(random.Between(5, 60)); step > 0; --step) {
    const size_t id = random.Below(count);
    // Which client an accepted connection belongs to is not known: those only listen.
    if (!listening) StepClient(clients[id], id);
    const TimePoint end = network.Now() + Duration(random.Below(20'000'000));
    while (network.Now() < end) loop->RunOnce(end - network.Now());
    if (listener == nullptr) continue;
    if (random.Chance(50)) listener->Pause();
    if (random.Chance(50)) listener->Resume();
    if (random.Chance(20)) listener.reset();
  }
  for (Client& client : clients) client.peer->StartReading();
  if (random.Chance(100)) group.reset();  // at any moment
  if (random.Chance(300) && group) group->Drain();
  if (random.Chance(100) && group) group->EndAll();
  listener.reset();
  // Everything has a deadline: the session's, the stall's, the linger's.
  for (Client& client : clients) {
    client.peer->ShutdownSend();
    client.shut_down = true;
  }
  const TimePoint end = network.Now() + 120s;
  while (backend->attached_sources() > 0 && network.Now() < end) {
    loop->RunOnce(end - network.Now());
  }
  EXPECT_EQ(backend->attached_sources(), 0U) << "a connection outlived all its deadlines";
  // What is still on its way arrives.
  const TimePoint arrived = network.Now() + 50ms;
  while (network.Now() < arrived) loop->RunOnce(arrived - network.Now());
  CheckEnd();
  clients.clear();
  group.reset();
  loop.reset();
}

void World::CheckEnd() {
  for (const auto& record : records) {
    EXPECT_TRUE(record->closed);
    EXPECT_TRUE(record->destroyed);
  }
  if (accepted_from_listener) return;
  for (size_t id = 0; id < clients.size(); ++id) {
    const Client& client = clients[id];
    const Record& record = *records[id];
    const std::string& received = client.peer->received();
    ASSERT_LE(received.size(), record.bytes_out);
    auto zeros = record.zeros.begin();
    for (size_t i = 0; i < received.size(); ++i) {
      while (zeros != record.zeros.end() && zeros->second <= i) ++zeros;
      const bool missing = zeros != record.zeros.end() && zeros->first <= i;
      ASSERT_EQ(received[i], missing ? '\0' : ByteAt(record.id, i))
          << "byte " << i << " to client " << id;
    }
    ASSERT_LE(record.bytes_in, client.sent.size());
    // An end in good order loses nothing that was written. The end of an idle connection is one.
    if (!client.disturbed &&
        (record.reason == CloseReason::kLocal || record.reason == CloseReason::kPeerClosed ||
         record.reason == CloseReason::kDrained) &&
        !client.peer->saw_reset()) {
      EXPECT_EQ(received.size(), record.bytes_out) << CloseReasonName(record.reason);
      EXPECT_TRUE(client.peer->saw_fin());
    }
    if (!client.disturbed && record.reason == CloseReason::kPeerClosed && record.eof) {
      EXPECT_EQ(record.bytes_in, client.sent.size());
    }
  }
}

// Read where the process ends by a signal or by a sanitizer.
volatile uint64_t current_seed = 0;

void TellSeed() {
  char line[80];
  const int length = std::snprintf(line, sizeof(line), "replay with QUINTET_SEED=%llu\n",
                                   static_cast<unsigned long long>(current_seed));
  [[maybe_unused]] const ssize_t written =
      ::write(STDERR_FILENO, line, static_cast<size_t>(length));
}

void TellSeedWhenDying() {
  const auto tell = [](int signo) {
    TellSeed();
    ::signal(signo, SIG_DFL);
    ::raise(signo);
  };
  ::signal(SIGABRT, tell);
#ifdef QUINTET_ASAN
  __sanitizer_set_death_callback(TellSeed);
#else
  ::signal(SIGSEGV, tell);
#endif
}

uint64_t RunSeed(uint64_t seed, bool traced) {
  current_seed = seed;
  World world(seed);
  if (traced) {
    world.network.set_trace([](std::string_view line) {
      std::fprintf(stderr, "%.*s\n", static_cast<int>(line.size()), line.data());
    });
  }
  world.Run();
  return world.network.trace_hash();
}

TEST(ConnectionFuzzTest, HostileNetwork) {
  TellSeedWhenDying();
  if (const char* const chosen = std::getenv("QUINTET_SEED"); chosen != nullptr) {
    RunSeed(std::strtoull(chosen, nullptr, 10), /*traced=*/true);
    return;
  }
  for (uint64_t seed = 1; seed <= static_cast<uint64_t>(Scaled(kSeeds)); ++seed) {
    SCOPED_TRACE(::testing::Message() << "replay with QUINTET_SEED=" << seed);
    RunSeed(seed, /*traced=*/false);
    if (HasFailure()) return;
  }
}

TEST(ConnectionFuzzTest, TheSameSeedGivesTheSameTrace) {
  for (uint64_t seed = 1; seed <= 20; ++seed) {
    EXPECT_EQ(RunSeed(seed, false), RunSeed(seed, false)) << seed;
  }
  EXPECT_NE(RunSeed(1, false), RunSeed(2, false));
}

}  // namespace
}  // namespace quintet::testing
