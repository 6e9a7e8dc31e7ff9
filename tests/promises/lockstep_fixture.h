// Hello requests in lockstep: all clients send, the loop turns until every reply is with the
// kernel, all clients read. What the loop does per request then repeats from run to run.
#ifndef QUINTET_TESTS_PROMISES_LOCKSTEP_FIXTURE_H_
#define QUINTET_TESTS_PROMISES_LOCKSTEP_FIXTURE_H_

#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "tests/promises/hello_factory.h"
#include "tests/promises/promise_fixture.h"

namespace quintet::testing {

class LockstepTest : public PromiseTest {
 protected:
  void TearDown() override {
    clients_.clear();
    PromiseTest::TearDown();
  }

  // Makes that many connections and serves a first round. Each round brings `pipelined` requests on
  // each of them. `varied`: no head equals the one before, so that the server reads each.
  void Start(size_t connections, size_t pipelined = 1, bool varied = false) {
    MakeGroup();
    factory_ = MakeHelloFactory();
    for (size_t i = 0; i < connections; ++i) clients_.push_back(Connect(factory_->CreateSession()));
    arrivals_.assign(varied ? 2 * connections : 1, "");
    int number = 100000;  // its digits stay as many
    for (std::string& arrival : arrivals_) {
      for (size_t i = 0; i < pipelined; ++i) {
        const std::string query = varied ? "?n=" + std::to_string(number++) : "";
        arrival += "GET /" + query + " HTTP/1.1\r\nHost: localhost\r\n\r\n";
      }
    }
    // Registrations, and the length of the replies.
    ASSERT_TRUE(SendAll(clients_.front().get(), NextArrival()));
    RunFor(std::chrono::milliseconds(5));
    std::string reply(1 << 16, '\0');
    const ssize_t bytes = ::recv(clients_.front().get(), reply.data(), reply.size(), MSG_DONTWAIT);
    ASSERT_GT(bytes, 0);
    ASSERT_EQ(static_cast<size_t>(bytes) % pipelined, 0U);
    reply_bytes_ = static_cast<size_t>(bytes);
    requests_per_round_ = connections * pipelined;
    Round();
  }

  // `around_turns` is called before and after the loop's turns.
  void Round(const std::function<void()>& around_turns = [] {}) {
    const uint64_t target = group()->counters().bytes_out + clients_.size() * reply_bytes_;
    for (const Fd& client : clients_) ASSERT_TRUE(SendAll(client.get(), NextArrival()));
    const TimePoint deadline = loop().clock().Now() + kPatience;
    around_turns();
    while (group()->counters().bytes_out < target) {
      ASSERT_LT(loop().clock().Now(), deadline);
      // Without waiting: the requests are there, and io_uring tells of replies when a wait ends.
      loop().RunOnce(Duration::zero());
    }
    around_turns();
    for (const Fd& client : clients_) {
      ASSERT_EQ(ReceiveExactly(client.get(), reply_bytes_).size(), reply_bytes_);
    }
  }

  // The first client asks and waits for the answer, again and again, while the loop runs as in a
  // program.
  void PingPong(int rounds) {
    std::thread client([&] {
      for (int i = 0; i < rounds; ++i) {
        EXPECT_TRUE(SendAll(clients_.front().get(), NextArrival()));
        EXPECT_EQ(ReceiveExactly(clients_.front().get(), reply_bytes_).size(), reply_bytes_);
      }
      loop().Stop();
    });
    loop().Run();
    client.join();
  }

  size_t requests_per_round() const { return requests_per_round_; }

 private:
  const std::string& NextArrival() {
    const std::string& arrival = arrivals_[next_arrival_];
    next_arrival_ = next_arrival_ + 1 == arrivals_.size() ? 0 : next_arrival_ + 1;
    return arrival;
  }

  std::unique_ptr<SessionFactory> factory_;
  std::vector<Fd> clients_;
  std::vector<std::string> arrivals_;  // what a client sends, each in its turn
  size_t next_arrival_ = 0;
  size_t reply_bytes_ = 0;
  size_t requests_per_round_ = 0;
};

}  // namespace quintet::testing

#endif  // QUINTET_TESTS_PROMISES_LOCKSTEP_FIXTURE_H_
