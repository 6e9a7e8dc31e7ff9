// UringBackend with too little of everything, under faults, and closed at any moment.
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <deque>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "gtest/gtest.h"
#include "reactor/uring_backend.h"
#include "tests/reactor/syscall_filter.h"
#include "tests/reactor/uring_support.h"

namespace quintet {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

class UringStressTest : public ::testing::Test {
 protected:
  void SetUp() override {
    QUINTET_REQUIRE_URING();
    std::random_device device;
    seed_ = device();
    if (const char* given = std::getenv("QUINTET_TEST_SEED"))
      seed_ = std::strtoul(given, nullptr, 10);
    random_.seed(seed_);
    std::fprintf(stderr, "seed %lu\n", seed_);
    RecordProperty("seed", std::to_string(seed_));
  }
  void TearDown() override {
    if (HasFailure()) std::fprintf(stderr, "replay with QUINTET_TEST_SEED=%lu\n", seed_);
  }

  // 0 to below `end`.
  size_t Random(size_t end) { return static_cast<size_t>(random_() % end); }

  unsigned long seed_ = 0;
  std::mt19937_64 random_;
};

// A little server: answers each request of 4 bytes with the same 4 bytes.
class EchoServer {
 public:
  explicit EchoServer(BackendDriver& driver, int listener) : driver_(driver) {
    RecordingSource& source = driver.Attach(listener);
    source.react = [this, &source](const Completion& completion) {
      if (completion.op != Op::kAccept) return;
      if (completion.result < 0) {
        ++accept_errors_;
        driver_->StartAccept(source);
        return;
      }
      source.accepted.clear();
      connections_.push_back(std::make_unique<Connection>(*this, completion.result));
      EXPECT_TRUE(driver_->Add(*connections_.back()).ok());
      driver_->StartRecv(*connections_.back());
    };
    driver->StartAccept(source);
  }

  size_t accept_errors() const { return accept_errors_; }
  size_t open() const { return connections_.size() - closed_; }
  size_t answered() const { return answered_; }

 private:
  class Connection final : public Source {
   public:
    Connection(EchoServer& server, int fd) : Source(fd), server_(server) {}
    void OnCompletion(const Completion& completion) override {
      UringBackend& backend = *server_.driver_;
      switch (completion.op) {
        case Op::kRecv:
          if (completion.result <= 0) {
            backend.Close(*this, CloseMode::kClose);
            return;
          }
          pending_.append(reinterpret_cast<const char*>(completion.data.data()),
                          completion.data.size());
          Send();
          return;
        case Op::kSend:
          ASSERT_GT(completion.result, 0);
          server_.answered_ += static_cast<size_t>(completion.result);
          sending_.erase(0, static_cast<size_t>(completion.result));
          in_flight_ = false;
          Send();
          return;
        case Op::kClosed:
          ++server_.closed_;
          return;
        default:
          ADD_FAILURE();
      }
    }

   private:
    void Send() {
      if (in_flight_) {
        server_.driver_->ExpectSend(*this);
        return;
      }
      sending_ += pending_;
      pending_.clear();
      if (sending_.empty()) return;
      in_flight_ = true;
      buffer_ = {sending_.data(), sending_.size()};
      // Half of them as connections send what nobody waits for.
      if (++sends_ % 2 == 0) {
        server_.driver_->StartSend(*this, {&buffer_, 1});
      } else {
        server_.driver_->StartLazySend(*this, {&buffer_, 1});
      }
    }

    EchoServer& server_;
    std::string pending_;
    std::string sending_;
    iovec buffer_{};
    bool in_flight_ = false;
    unsigned sends_ = 0;
  };

  BackendDriver& driver_;
  std::vector<std::unique_ptr<Connection>> connections_;
  size_t closed_ = 0;
  size_t answered_ = 0;
  size_t accept_errors_ = 0;
};

// Connects `count` clients at once, has each ask `rounds` questions, checks each answer.
void AskFromManyClients(uint16_t port, size_t count, int rounds, std::atomic<size_t>* answers) {
  std::vector<int> clients;
  for (size_t i = 0; i < count; ++i) {
    clients.push_back(TcpConnect(port));
    ASSERT_GE(clients.back(), 0) << strerror(errno) << " after " << i;
  }
  for (int round = 0; round < rounds; ++round) {
    for (size_t i = 0; i < count; ++i) {
      const auto question = static_cast<uint32_t>(i * 1000 + static_cast<size_t>(round));
      ASSERT_EQ(::send(clients[i], &question, 4, MSG_NOSIGNAL), 4);
    }
    for (size_t i = 0; i < count; ++i) {
      uint32_t answer = 0;
      pollfd wait{.fd = clients[i], .events = POLLIN, .revents = 0};
      ASSERT_EQ(::poll(&wait, 1, 60000), 1) << "client " << i << " waits in vain";
      ASSERT_EQ(::recv(clients[i], &answer, 4, MSG_WAITALL), 4);
      ASSERT_EQ(answer, i * 1000 + static_cast<size_t>(round));
      ++*answers;
    }
  }
  for (const int client : clients) ::close(client);
}

// Promise 6, scenario 41.
TEST_F(UringStressTest, ACompletionQueueOfEightServesThreeThousandConnections) {
  rlimit limit{};
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &limit), 0);
  limit.rlim_cur = std::min<rlim_t>(limit.rlim_max, 10000);
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &limit), 0);
  const size_t count = std::min<size_t>(3000, (limit.rlim_cur - 200) / 2);
  auto driver = BackendDriver::Make({.sq_entries = 8, .cq_entries = 8});
  const auto [listener, port] = TcpListener();
  EchoServer server(*driver, listener);
  std::atomic<size_t> answers{0};
  std::atomic<bool> done{false};
  std::thread clients([&, port = port] {
    AskFromManyClients(port, count, 3, &answers);
    done = true;
    (*driver)->Wake();
  });
  driver->RunUntil([&] { return done.load(); });
  clients.join();
  EXPECT_EQ(answers, count * 3);
  driver->RunUntil([&] { return server.open() == 0; });
  EXPECT_GT((*driver)->stats().cq_overflows, 0u);
  EXPECT_GT((*driver)->stats().multishot_rearms, 0u);
  driver->Drain();
}

TEST_F(UringStressTest, AQueueOfOneIsSlowAndRight) {
  auto driver = BackendDriver::Make(
      {.sq_entries = 1, .cq_entries = 1, .recv_buffers = 1, .recv_buffer_bytes = 3});
  const auto [listener, port] = TcpListener();
  EchoServer server(*driver, listener);
  std::atomic<size_t> answers{0};
  std::atomic<bool> done{false};
  std::thread clients([&, port = port] {
    AskFromManyClients(port, 50, 20, &answers);
    done = true;
    (*driver)->Wake();
  });
  driver->RunUntil([&] { return done.load(); });
  clients.join();
  EXPECT_EQ(answers, 50u * 20u);
  driver->Drain();
}

// Promise 5, scenario 43: bytes exact, and one that asks politely is answered amid the flood.
TEST_F(UringStressTest, TwoBuffersTwoHundredFloodersAndOnePinger) {
  auto driver = BackendDriver::Make({.recv_buffers = 2, .recv_buffer_bytes = 1024});
  constexpr size_t kFlooders = 200;
  constexpr size_t kBytesEach = 100000;
  constexpr int kPings = 50;
  struct Stream {
    int peer;
    RecordingSource* source;
    size_t sent = 0;
  };
  // Byte k of stream i.
  const auto byte = [](size_t i, size_t k) {
    return static_cast<char>((i * 31 + k * 7 + k / 251) & 0xff);
  };
  std::vector<Stream> streams;
  for (size_t i = 0; i < kFlooders; ++i) {
    const auto [a, b] = TcpPair();
    streams.push_back({.peer = b, .source = &driver->Attach(a)});
    (*driver)->StartRecv(*streams.back().source);
  }
  const std::pair<int, int> pinger = UnixPair();
  RecordingSource& pinged = driver->Attach(pinger.first);
  (*driver)->StartRecv(pinged);

  // How many completions of others come between a ping and its arrival.
  std::vector<uint64_t> waits;
  uint64_t asked_at = 0;
  uint64_t turns_at = 0;
  std::vector<uint64_t> turns;
  const auto flood = [&] {
    for (size_t i = 0; i < kFlooders; ++i) {
      char block[2048];
      const size_t size = std::min(sizeof(block), kBytesEach - streams[i].sent);
      if (size == 0) continue;
      for (size_t k = 0; k < size; ++k) block[k] = byte(i, streams[i].sent + k);
      const ssize_t wrote = ::send(streams[i].peer, block, size, MSG_NOSIGNAL);
      if (wrote > 0) streams[i].sent += static_cast<size_t>(wrote);
    }
  };
  pinged.react = [&](const Completion& completion) {
    if (completion.op != Op::kRecv) return;
    waits.push_back((*driver)->stats().completions - asked_at);
    turns.push_back((*driver)->stats().waits - turns_at);
  };
  size_t asked = 0;
  ASSERT_TRUE(driver->RunUntil([&] {
    flood();
    if (asked < kPings && waits.size() == asked) {
      asked_at = (*driver)->stats().completions;
      turns_at = (*driver)->stats().waits;
      EXPECT_EQ(::send(pinger.second, "?", 1, MSG_NOSIGNAL), 1);
      ++asked;
    }
    return waits.size() == kPings &&
           std::all_of(streams.begin(), streams.end(), [](const Stream& stream) {
             return stream.source->received.size() == kBytesEach;
           });
  }));
  for (size_t i = 0; i < kFlooders; ++i) {
    const std::string& received = streams[i].source->received;
    for (size_t k = 0; k < received.size(); ++k) ASSERT_EQ(received[k], byte(i, k));
    EXPECT_TRUE(streams[i].source->errors.empty());
  }
  EXPECT_GT((*driver)->stats().buffer_starvation, 0u);
  // First come, first served: before its second turn everybody else has had one.
  std::sort(waits.begin(), waits.end());
  EXPECT_LE(waits[waits.size() * 99 / 100], 3 * kFlooders);
  driver->Drain();
  for (const Stream& stream : streams) ::close(stream.peer);
  ::close(pinger.second);
}

// Scenario 42: cancellations race with bytes; none is lost, none comes twice or out of order.
TEST_F(UringStressTest, RandomStopsAndStartsLoseNoByte) {
  auto driver = BackendDriver::Make(
      {.sq_entries = 8, .cq_entries = 16, .recv_buffers = 4, .recv_buffer_bytes = 64});
  constexpr size_t kStreams = 10;
  constexpr size_t kBytesEach = 200000;
  const auto byte = [](size_t i, size_t k) {
    return static_cast<char>((i * 31 + k * 7 + k / 251) & 0xff);
  };
  std::vector<RecordingSource*> sources;
  std::vector<int> peers;
  std::vector<bool> receiving(kStreams, false);
  for (size_t i = 0; i < kStreams; ++i) {
    const auto [a, b] = i % 2 == 0 ? UnixPair() : TcpPair();
    sources.push_back(&driver->Attach(a));
    peers.push_back(b);
  }
  std::thread writer([&] {
    std::vector<size_t> sent(kStreams, 0);
    size_t left = kStreams;
    std::mt19937 random(42);
    while (left > 0) {
      for (size_t i = 0; i < kStreams; ++i) {
        if (sent[i] == kBytesEach) continue;
        char block[300];
        const size_t size = std::min<size_t>(1 + random() % sizeof(block), kBytesEach - sent[i]);
        for (size_t k = 0; k < size; ++k) block[k] = byte(i, sent[i] + k);
        const ssize_t wrote = ::send(peers[i], block, size, MSG_NOSIGNAL);
        if (wrote > 0) sent[i] += static_cast<size_t>(wrote);
        if (sent[i] == kBytesEach) {
          ::shutdown(peers[i], SHUT_WR);
          --left;
        }
      }
      if (random() % 16 == 0) std::this_thread::yield();
    }
  });
  const auto toggle = [&](size_t i) {
    receiving[i] = !receiving[i];
    if (receiving[i]) {
      (*driver)->StartRecv(*sources[i]);
    } else {
      (*driver)->StopRecv(*sources[i]);
    }
  };
  for (size_t i = 0; i < kStreams; ++i) {
    sources[i]->react = [&, i](const Completion& completion) {
      if (completion.op == Op::kRecv && Random(3) == 0) toggle(i);
    };
  }
  EXPECT_TRUE(driver->RunUntil([&] {
    for (size_t n = Random(6); n > 0; --n) toggle(Random(kStreams));
    // So that it ends: who is stopped is started now and then.
    for (size_t i = 0; i < kStreams; ++i) {
      if (!receiving[i] && Random(4) == 0) toggle(i);
    }
    return std::all_of(sources.begin(), sources.end(),
                       [](const RecordingSource* source) { return source->ends > 0; });
  }));
  writer.join();
  for (size_t i = 0; i < kStreams; ++i) {
    ASSERT_EQ(sources[i]->received.size(), kBytesEach) << "stream " << i;
    for (size_t k = 0; k < kBytesEach; ++k) ASSERT_EQ(sources[i]->received[k], byte(i, k));
    EXPECT_EQ(sources[i]->ends, 1);
    EXPECT_TRUE(sources[i]->errors.empty());
  }
  driver->Drain();
  for (const int peer : peers) ::close(peer);
}

// Promise 3: a source, the bytes it sends and the address it connects to are freed with its
// kClosed, at any moment of any operation. AddressSanitizer and a kernel that writes to freed
// memory (the bytes are checked by the peers) would tell.
TEST_F(UringStressTest, TenThousandRandomDestructions) {
  auto driver = BackendDriver::Make(
      {.sq_entries = 16, .cq_entries = 32, .recv_buffers = 4, .recv_buffer_bytes = 256});
  struct Victim final : Source {
    Victim(int fd, BackendDriver& its_driver) : Source(fd), driver(its_driver) {}
    void OnCompletion(const Completion& completion) override {
      ASSERT_FALSE(closing && completion.op != Op::kClosed);
      if (completion.op == Op::kAccept && completion.result >= 0) ::close(completion.result);
      // On and on, until a send stays in flight because the peer does not read.
      if (completion.op == Op::kSend && completion.result > 0) StartSend();
      if (completion.op == Op::kRecv) {
        for (const std::byte value : completion.data) ASSERT_EQ(value, std::byte{'p'});
      }
      if (completion.op == Op::kClosed) closed = true;
      if (close_in_callback && completion.op != Op::kClosed) Close(CloseMode::kClose);
    }
    void StartSend() { driver->StartSend(*this, {buffers->data(), buffer_count}); }
    void Close(CloseMode mode) {
      closing = true;
      driver->Close(*this, mode);
    }
    BackendDriver& driver;
    std::unique_ptr<std::string> text;
    std::unique_ptr<std::array<iovec, 3>> buffers;
    std::unique_ptr<sockaddr_storage> address;
    size_t buffer_count = 0;
    bool closing = false;
    bool closed = false;
    bool close_in_callback = false;
  };
  std::vector<std::unique_ptr<Victim>> victims;
  std::vector<int> peers;
  const std::pair<int, uint16_t> busy = TcpListener(1);
  size_t destroyed = 0;
  const auto make = [&] {
    std::unique_ptr<Victim> victim;
    const size_t kind = Random(4);
    if (kind == 0) {
      const auto [fd, port] = TcpListener(8);
      victim = std::make_unique<Victim>(fd, *driver);
      ASSERT_TRUE((*driver)->Add(*victim).ok());
      (*driver)->StartAccept(*victim);
      for (size_t n = Random(3); n > 0; --n) {
        const int client = TcpConnect(port);
        if (client >= 0) peers.push_back(client);
      }
    } else if (kind == 1) {
      victim = std::make_unique<Victim>(::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), *driver);
      ASSERT_TRUE((*driver)->Add(*victim).ok());
      victim->address = std::make_unique<sockaddr_storage>();
      socklen_t length;
      const sockaddr* address = LoopbackAddress(busy.second, victim->address.get(), &length);
      (*driver)->StartConnect(*victim, address, length);
    } else {
      const auto [a, b] = kind == 2 ? UnixPair() : TcpPair();
      peers.push_back(b);
      victim = std::make_unique<Victim>(a, *driver);
      ASSERT_TRUE((*driver)->Add(*victim).ok());
      if (Random(3) != 0) (*driver)->StartRecv(*victim);
      if (Random(3) != 0) {
        victim->text = std::make_unique<std::string>(size_t{1} << (8 + Random(14)), 'v');
        char* data = victim->text->data();
        const size_t third = victim->text->size() / 3;
        victim->buffers = std::make_unique<std::array<iovec, 3>>(std::array<iovec, 3>{
            {{data, third}, {data + third, third}, {data + 2 * third, third}}});
        victim->buffer_count = 1 + Random(3);
        victim->StartSend();
      }
      if (Random(2) != 0) {
        const std::string text(Random(2000), 'p');
        ::send(b, text.data(), text.size(), MSG_NOSIGNAL);
      }
    }
    victim->close_in_callback = Random(4) == 0;
    victims.push_back(std::move(victim));
  };
  while (destroyed < 10000) {
    while (victims.size() < 40) ASSERT_NO_FATAL_FAILURE(make());
    if (Random(3) != 0) driver->Turn(Duration::zero(), Random(30));
    for (size_t n = Random(20); n > 0; --n) {
      Victim& victim = *victims[Random(victims.size())];
      if (!victim.closing) victim.Close(Random(3) == 0 ? CloseMode::kReset : CloseMode::kClose);
    }
    if (Random(3) != 0) driver->Turn(Duration::zero(), Random(30));
    destroyed += std::erase_if(victims, [](const auto& victim) { return victim->closed; });
    while (peers.size() > 50) {
      // What the peer gets is what was sent, never freed memory.
      char block[4096];
      ::fcntl(peers.front(), F_SETFL, O_NONBLOCK);
      const ssize_t size = ::recv(peers.front(), block, sizeof(block), 0);
      for (ssize_t k = 0; k < size; ++k) ASSERT_EQ(block[k], 'v');
      ::close(peers.front());
      peers.erase(peers.begin());
    }
  }
  driver->Drain();
  for (const auto& victim : victims) EXPECT_TRUE(victim->closed);
  for (const int peer : peers) ::close(peer);
  ::close(busy.first);
}

// The kernel answers its exhaustion now and then; everything is answered all the same.
TEST_F(UringStressTest, SubmissionsThatAreRefusedNowAndThenAreMadeLater) {
  std::atomic<uint32_t> calls{0};
  const auto answer = [&calls](const uint64_t*) {
    const uint32_t n = ++calls;
    if (n % 3 == 0) return EAGAIN;
    if (n % 5 == 0) return EINTR;
    if (n % 7 == 0) return EBUSY;
    if (n % 11 == 0) return ENOMEM;
    return 0;
  };
  // The set-up asks the ring for an answer as well: let it pass.
  const bool ran = RunWithAnswers(__NR_io_uring_enter, answer, [&] {
    calls = 0;
    auto driver = BackendDriver::Make({.sq_entries = 4, .cq_entries = 8});
    const auto [listener, port] = TcpListener();
    EchoServer server(*driver, listener);
    std::atomic<size_t> answers{0};
    std::atomic<bool> done{false};
    // Inherits the filter, which does not concern it.
    std::thread clients([&, port = port] {
      AskFromManyClients(port, 100, 10, &answers);
      done = true;
      (*driver)->Wake();
    });
    driver->RunUntil([&] { return done.load(); });
    clients.join();
    EXPECT_EQ(answers, 1000u);
    EXPECT_GT((*driver)->stats().exhaustion_retries, 0u);
    driver->Drain();
  });
  if (!ran) GTEST_SKIP() << "no seccomp notification here";
}

// Contract rule 11: while nothing goes the loop rests, and keeps its deadline.
TEST_F(UringStressTest, DoesNotSpinWhileTheRingRefuses) {
  std::atomic<int> error{0};
  std::atomic<uint32_t> calls{0};
  const auto answer = [&](const uint64_t*) {
    ++calls;
    return error.load();
  };
  const bool ran = RunWithAnswers(__NR_io_uring_enter, answer, [&] {
    auto driver = BackendDriver::Make({});
    const auto [a, b] = UnixPair();
    RecordingSource& source = driver->Attach(a);
    (*driver)->StartRecv(source);
    driver->Poll();
    for (const int refusal : {EAGAIN, EBUSY, EPERM}) {
      error = refusal;
      calls = 0;
      const uint64_t retries = (*driver)->stats().exhaustion_retries;
      const auto start = std::chrono::steady_clock::now();
      (*driver)->Wait(start + milliseconds(100));
      EXPECT_GE(std::chrono::steady_clock::now() - start, milliseconds(100));
      EXPECT_LE(calls, 2 * (100 / 10 + 2)) << "each 10 ms one attempt and one rest";
      EXPECT_GT((*driver)->stats().exhaustion_retries, retries);
      error = 0;
      ASSERT_EQ(::send(b, "x", 1, MSG_NOSIGNAL), 1);
      const size_t before = source.received.size();
      ASSERT_TRUE(driver->RunUntil([&] { return source.received.size() == before + 1; }));
    }
    driver->Drain();
    ::close(b);
  });
  if (!ran) GTEST_SKIP() << "no seccomp notification here";
}

// "Done when": below one system call for each request at 64 connections.
TEST_F(UringStressTest, ManyRequestsShareASystemCall) {
  auto driver = BackendDriver::Make({});
  const auto [listener, port] = TcpListener();
  EchoServer server(*driver, listener);
  std::atomic<size_t> answers{0};
  std::atomic<bool> done{false};
  std::thread clients([&, port = port] {
    AskFromManyClients(port, 64, 300, &answers);
    done = true;
    (*driver)->Wake();
  });
  driver->RunUntil([&] { return done.load(); });
  clients.join();
  const BackendStats& stats = (*driver)->stats();
  const double per_request =
      static_cast<double>(stats.wait_syscalls + stats.io_syscalls + stats.update_syscalls) /
      static_cast<double>(answers);
  RecordProperty("syscalls_per_request", std::to_string(per_request));
  std::printf("system calls for each request: %.3f\n", per_request);
  EXPECT_LT(per_request, 1.0);
  driver->Drain();
}

}  // namespace
}  // namespace quintet
