// The increment service of the classic texts: one byte in, that byte plus one out, end of file.
#ifndef QUINTET_APPS_INCREMENT_INCREMENT_SESSION_H_
#define QUINTET_APPS_INCREMENT_INCREMENT_SESSION_H_

#include <cstddef>
#include <memory>
#include <span>
#include <string_view>

#include "apps/program/session_deadlines.h"
#include "net/session.h"

namespace quintet::increment {

// The answer to `byte`: bytes are numbers from 0 to 255, and 0 follows 255.
constexpr unsigned char Increment(unsigned char byte) {
  return static_cast<unsigned char>(byte + 1);
}

// Whatever follows the first byte is discarded. A peer that ends its side without a byte sees end
// of file.
class IncrementSession final : public Session {
 public:
  explicit IncrementSession(const program::SessionTimeouts& timeouts) : deadlines_(timeouts) {}

  void OnOpen() override { deadlines_.Start(transport()); }

  size_t OnData(std::span<const std::byte> data) override {
    const char answer = static_cast<char>(Increment(static_cast<unsigned char>(data.front())));
    transport().Write({&answer, 1});
    transport().Close();
    return data.size();
  }

  void OnDeadline() override { deadlines_.Expire(transport()); }

  // It waits for the first byte or has closed.
  bool idle() const override { return true; }

 private:
  program::SessionDeadlines deadlines_;
};

class IncrementFactory final : public SessionFactory {
 public:
  explicit IncrementFactory(program::SessionTimeouts timeouts = {}) : timeouts_(timeouts) {}

  std::unique_ptr<Session> CreateSession() override {
    return std::make_unique<IncrementSession>(timeouts_);
  }

 private:
  const program::SessionTimeouts timeouts_;
};

}  // namespace quintet::increment

#endif  // QUINTET_APPS_INCREMENT_INCREMENT_SESSION_H_
