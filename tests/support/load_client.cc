#include "tests/support/load_client.h"

#include <errno.h>
#include <sys/socket.h>

#include "tests/support/response_parser.h"

namespace quintet::testing {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

// After a failure, so that a server that is gone is not run down.
constexpr milliseconds kRetryPause{10};
constexpr size_t kReceiveBytes = 4096;

constexpr std::string_view kProtocol = "HTTP/1.1 ";
constexpr std::string_view kKeep = "GET / HTTP/1.1\r\nHost: load\r\n\r\n";
constexpr std::string_view kClose = "GET / HTTP/1.1\r\nHost: load\r\nConnection: close\r\n\r\n";

}  // namespace

LoadClient::LoadClient(const Address& address, const Plan& plan, LoadReport& counts)
    : address_(address), plan_(plan), request_(plan.reconnects ? kClose : kKeep), counts_(counts) {}

void LoadClient::Advance(TimePoint now, bool stopping) {
  if (phase_ == Phase::kConnecting && now >= deadline_) FailConnect(ETIMEDOUT);
  if (phase_ == Phase::kWaiting && now >= deadline_) Fail(counts_.timeouts);
  if (stopping) {
    if (phase_ != Phase::kWaiting) Close();
    return;
  }
  if (phase_ == Phase::kClosed && now >= due_) Open(now);
  if (phase_ == Phase::kIdle && now >= due_) StartRequest(now);
}

pollfd LoadClient::Interest() const {
  const bool writes =
      phase_ == Phase::kConnecting || (phase_ == Phase::kWaiting && sent_ < request_.size());
  // A negative descriptor is passed over (poll(2)).
  return {.fd = fd_.get(),
          .events = static_cast<short>(writes ? POLLIN | POLLOUT : POLLIN),
          .revents = 0};
}

void LoadClient::OnEvents(short events) {
  if (phase_ == Phase::kConnecting) {
    int error = 0;
    socklen_t size = sizeof(error);
    ::getsockopt(fd_.get(), SOL_SOCKET, SO_ERROR, &error, &size);
    error == 0 ? OnConnected() : FailConnect(error);
    return;
  }
  if ((events & ~POLLOUT) != 0) Receive();
  if (phase_ == Phase::kWaiting && (events & POLLOUT) != 0) Send();
}

void LoadClient::Open(TimePoint now) {
  fd_ = Fd(::socket(address_.family(), SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!fd_) return FailConnect(errno);
  phase_ = Phase::kConnecting;
  deadline_ = now + plan_.patience;
  if (::connect(fd_.get(), address_.data(), address_.size()) == 0) return OnConnected();
  if (errno != EINPROGRESS) FailConnect(errno);
}

void LoadClient::OnConnected() {
  ++counts_.connects;
  requests_ = 0;
  phase_ = Phase::kIdle;
}

void LoadClient::StartRequest(TimePoint now) {
  ++counts_.requests;
  ++requests_;
  sent_ = 0;
  input_.clear();
  phase_ = Phase::kWaiting;
  deadline_ = now + plan_.patience;
  Send();
}

void LoadClient::Send() {
  while (sent_ < request_.size()) {
    const std::string_view rest = request_.substr(sent_);
    const ssize_t sent = ::send(fd_.get(), rest.data(), rest.size(), MSG_NOSIGNAL);
    if (sent > 0) {
      sent_ += static_cast<size_t>(sent);
    } else if (errno == EAGAIN) {
      return;
    } else if (errno != EINTR) {
      return Fail(counts_.resets);
    }
  }
}

// Reads until nothing is there: an end of file that came before the next request is sent is seen
// before it is sent.
void LoadClient::Receive() {
  char buffer[kReceiveBytes];
  while (phase_ == Phase::kIdle || phase_ == Phase::kWaiting) {
    const ssize_t received = ::recv(fd_.get(), buffer, sizeof(buffer), 0);
    if (received > 0) {
      input_.append(buffer, static_cast<size_t>(received));
      phase_ == Phase::kWaiting ? OnReplyBytes() : Fail(counts_.bad_replies);
    } else if (received == 0) {
      OnEndOfFile();
    } else if (errno == EAGAIN) {
      return;
    } else if (errno != EINTR) {
      Fail(phase_ == Phase::kWaiting ? counts_.resets : counts_.idle_resets);
    }
  }
}

void LoadClient::OnEndOfFile() {
  if (phase_ == Phase::kIdle) {
    ++counts_.clean_closes;
    return Close();
  }
  Fail(input_.empty() ? counts_.closed_under_request : counts_.truncated);
}

void LoadClient::OnReplyBytes() {
  const std::string_view input = input_;
  if (!input.starts_with(kProtocol.substr(0, input.size()))) return Fail(counts_.bad_replies);
  const ParsedOutput output = ParseResponses(input);
  if (output.responses.empty()) return;
  const ParsedResponse& reply = output.responses.front();
  const bool whole = output.responses.size() == 1 && output.rest.empty();
  if (!whole || reply.status != 200 || reply.body != kBody) return Fail(counts_.bad_replies);
  ++counts_.answered;
  if (plan_.reconnects) return Close();
  if (reply.Field("Connection") == "close") {
    ++counts_.clean_closes;
    return Close();
  }
  if (plan_.requests_per_connection > 0 && requests_ >= plan_.requests_per_connection) {
    return Close();
  }
  phase_ = Phase::kIdle;
  due_ = steady_clock::now() + plan_.think_time;
}

void LoadClient::Fail(uint64_t& count) {
  ++count;
  Close();
  due_ = steady_clock::now() + kRetryPause;
}

void LoadClient::Close() {
  fd_.Reset();
  phase_ = Phase::kClosed;
  due_ = {};  // the next one at once
}

}  // namespace quintet::testing
