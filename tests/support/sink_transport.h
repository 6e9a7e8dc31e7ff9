// A transport that keeps nothing: what is counted or measured over it is the session's own work.
#ifndef QUINTET_TESTS_SUPPORT_SINK_TRANSPORT_H_
#define QUINTET_TESTS_SUPPORT_SINK_TRANSPORT_H_

#include <cstddef>
#include <memory>
#include <span>
#include <string_view>
#include <utility>

#include "absl/status/status.h"
#include "net/session.h"

namespace quintet::testing {

class SinkTransport final : public Transport {
 public:
  explicit SinkTransport(std::unique_ptr<Session> session) : session_(std::move(session)) {
    session_->Attach(*this);
    session_->OnOpen();
  }
  ~SinkTransport() { session_->OnClosed(CloseReason::kAborted); }
  SinkTransport(const SinkTransport&) = delete;
  SinkTransport& operator=(const SinkTransport&) = delete;

  // One arrival; returns how much of it the session took.
  size_t Feed(std::string_view bytes) {
    return session_->OnData(std::as_bytes(std::span(bytes.data(), bytes.size())));
  }
  // Bytes that the session has written so far.
  size_t written() const { return written_; }

  void Write(std::string_view bytes) override { written_ += bytes.size(); }
  void WriteFile(std::shared_ptr<const UniqueFd> /*file*/, uint64_t /*offset*/,
                 uint64_t length) override {
    written_ += length;
  }
  size_t output_bytes() const override { return 0; }
  bool output_blocked() const override { return false; }
  void Close() override {}
  void Abort(CloseReason /*reason*/) override {}
  bool ending() const override { return false; }
  void PauseReading() override {}
  void ResumeReading() override {}
  bool reading_paused() const override { return false; }
  void SetDeadline(TimePoint /*deadline*/) override {}
  TimePoint now() const override { return TimePoint(); }
  bool stopping() const override { return false; }
  absl::StatusOr<Address> PeerAddress() const override {
    return absl::UnavailableError("there is no other end");
  }
  void SetPeerAddress(const Address& /*address*/) override {}
  std::shared_ptr<Executor> executor() override { return executor_; }

 private:
  // Nobody runs what is posted.
  class NoExecutor final : public Executor {
   public:
    bool Post(absl::AnyInvocable<void()> /*task*/) override { return false; }
  };

  std::unique_ptr<Session> session_;
  std::shared_ptr<Executor> executor_ = std::make_shared<NoExecutor>();
  size_t written_ = 0;
};

}  // namespace quintet::testing

#endif  // QUINTET_TESTS_SUPPORT_SINK_TRANSPORT_H_
