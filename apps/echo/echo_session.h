// The echo service (RFC 862): sends back what it gets. Or answers each line with a fixed text.
#ifndef QUINTET_APPS_ECHO_ECHO_SESSION_H_
#define QUINTET_APPS_ECHO_ECHO_SESSION_H_

#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "apps/program/session_deadlines.h"
#include "net/session.h"

namespace quintet::echo {

struct EchoOptions {
  // Empty: what comes is sent back. Else this text and a line feed answer each message. A message
  // is a line: what precedes a line feed, of any length, also nothing; and what the peer sent after
  // the last line feed when it ends its side. How the kernel cuts the bytes does not matter, so a
  // line that comes in two reads has one answer, two lines that come in one read have two.
  std::string reply = {};
  program::SessionTimeouts timeouts = {};
};

// A client that does not read is not listened to either, so the output stays bounded; nothing of
// the input is kept.
class EchoSession final : public Session {
 public:
  // `options` must outlive the session.
  explicit EchoSession(const EchoOptions& options)
      : options_(options), deadlines_(options.timeouts) {}

  void OnOpen() override { deadlines_.Start(transport()); }

  size_t OnData(std::span<const std::byte> data) override {
    const std::string_view bytes(reinterpret_cast<const char*>(data.data()), data.size());
    const size_t taken = options_.reply.empty() ? SendBack(bytes) : Answer(bytes);
    if (transport().output_blocked()) {
      transport().PauseReading();
      deadlines_.Hold(transport());
    } else {
      deadlines_.Restart(transport());
    }
    return taken;
  }

  void OnEof() override {
    if (in_line_) SendReply();
    transport().Close();
  }

  void OnOutputDrained() override {
    deadlines_.Restart(transport());
    transport().ResumeReading();
  }

  void OnDeadline() override { deadlines_.Expire(transport()); }

  bool idle() const override { return !in_line_; }

 private:
  size_t SendBack(std::string_view bytes) {
    transport().Write(bytes);
    return bytes.size();
  }

  // A short line may have a long answer: what is left when the output is full comes again.
  size_t Answer(std::string_view bytes) {
    size_t taken = 0;
    while (taken < bytes.size() && !transport().output_blocked()) {
      const size_t line_feed = bytes.find('\n', taken);
      in_line_ = line_feed == std::string_view::npos;
      if (in_line_) return bytes.size();
      SendReply();
      taken = line_feed + 1;
    }
    return taken;
  }

  void SendReply() {
    transport().Write(options_.reply);
    transport().Write("\n");
  }

  const EchoOptions& options_;
  program::SessionDeadlines deadlines_;
  bool in_line_ = false;  // bytes have come since the last line feed; with a reply only
};

class EchoFactory final : public SessionFactory {
 public:
  explicit EchoFactory(EchoOptions options = {}) : options_(std::move(options)) {}

  std::unique_ptr<Session> CreateSession() override {
    return std::make_unique<EchoSession>(options_);
  }

 private:
  const EchoOptions options_;
};

}  // namespace quintet::echo

#endif  // QUINTET_APPS_ECHO_ECHO_SESSION_H_
