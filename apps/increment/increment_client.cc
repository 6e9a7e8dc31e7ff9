#include "apps/increment/increment_client.h"

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "net/connection_group.h"
#include "net/connection_options.h"
#include "net/connector.h"
#include "net/session.h"
#include "reactor/event_loop.h"

namespace quintet::increment {
namespace {

// What the session found out: it is gone when its caller looks.
struct Outcome {
  std::optional<unsigned char> answer;
  bool end_of_file = false;
  CloseReason reason = CloseReason::kNone;
};

// A client is a session like any other, only that it speaks first.
class ClientSession final : public Session {
 public:
  ClientSession(unsigned char byte, Duration timeout, EventLoop& loop, Outcome& outcome)
      : byte_(byte), timeout_(timeout), loop_(loop), outcome_(outcome) {}

  void OnOpen() override {
    const char question = static_cast<char>(byte_);
    transport().Write({&question, 1});
    transport().SetDeadline(AddSaturated(transport().now(), timeout_));
  }

  size_t OnData(std::span<const std::byte> data) override {
    outcome_.answer = static_cast<unsigned char>(data.front());
    transport().Close();
    return data.size();
  }

  void OnEof() override {
    outcome_.end_of_file = true;
    transport().Close();
  }

  // OnDeadline() is left at aborting with kDeadline.

  // Always the last call, also where the connection could not be made.
  void OnClosed(CloseReason reason) override {
    outcome_.reason = reason;
    loop_.Stop();
  }

 private:
  const unsigned char byte_;
  const Duration timeout_;
  EventLoop& loop_;
  Outcome& outcome_;
};

absl::Status Failure(const Outcome& outcome, const std::string& server) {
  if (outcome.end_of_file) {
    return absl::OutOfRangeError(server + " closed the connection without an answer");
  }
  switch (outcome.reason) {
    case CloseReason::kConnectFailed:
      return absl::UnavailableError(
          absl::StrCat("cannot connect to ", server, ": nobody listens there"));
    case CloseReason::kConnectTimeout:
      return absl::DeadlineExceededError(
          absl::StrCat("cannot connect to ", server, ": no answer in time"));
    case CloseReason::kDeadline:
      return absl::DeadlineExceededError(server + " did not answer in time");
    default:
      return absl::UnavailableError(absl::StrCat("the connection to ", server, " has ended: ",
                                                 std::string(CloseReasonName(outcome.reason))));
  }
}

}  // namespace

absl::StatusOr<unsigned char> AskForIncrement(const Address& address, unsigned char byte,
                                              const IncrementClientOptions& options) {
  EventLoopOptions loop_options;
  // One descriptor for a moment: a ring would cost more to set up than it could save.
  loop_options.backend.kind = BackendKind::kPoll;
  auto loop = EventLoop::Create(std::move(loop_options));
  if (!loop.ok()) return loop.status();

  Outcome outcome;
  ConnectionGroup group(**loop, ConnectionOptions());
  ConnectorOptions connector_options;
  connector_options.timeout = options.timeout;
  Connector connector(group, connector_options);
  const auto connection = connector.Connect(
      address, std::make_unique<ClientSession>(byte, options.timeout, **loop, outcome));
  if (!connection.ok()) return connection.status();
  (*loop)->Run();
  if (outcome.answer.has_value()) return *outcome.answer;
  return Failure(outcome, address.ToString());
}

}  // namespace quintet::increment
