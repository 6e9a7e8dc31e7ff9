// A transport in memory with a clock that tests set: runs a session without sockets, loops and
// time.
#ifndef QUINTET_TESTS_SUPPORT_MEMORY_TRANSPORT_H_
#define QUINTET_TESTS_SUPPORT_MEMORY_TRANSPORT_H_

#include <cstddef>
#include <deque>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>

#include "net/address.h"
#include "net/session.h"
#include "reactor/clock.h"

namespace quintet::testing {

// Keeps posted tasks until the test runs them. Post() from any thread.
class MemoryExecutor final : public Executor {
 public:
  bool Post(absl::AnyInvocable<void()> task) override;

  // Runs what was posted so far, oldest first; returns how many that were.
  size_t Run();
  // The loop is gone: waiting tasks are destroyed, later ones refused.
  void Shutdown();

 private:
  std::mutex mutex_;
  std::deque<absl::AnyInvocable<void()>> tasks_;
  bool gone_ = false;
};

// Owns its session and plays loop and peer for it. What the session writes during one callback
// counts as one flush. Misuse of the seam by the session (calls after OnClosed(), consuming more
// than it was given) fails the test.
class MemoryTransport final : public Transport {
 public:
  struct Marks {
    size_t high_bytes = 64 << 10;
    size_t low_bytes = 16 << 10;
    size_t cap_bytes = 16 << 20;
  };

  MemoryTransport(std::unique_ptr<Session> session, Marks marks);
  explicit MemoryTransport(std::unique_ptr<Session> session);
  // Destroys the session as a connection does that is aborted by its owner.
  ~MemoryTransport();
  MemoryTransport(const MemoryTransport&) = delete;
  MemoryTransport& operator=(const MemoryTransport&) = delete;

  // The peer's side and the loop's. None may be called from within the session.
  void Open();
  // One arrival: one call of OnData() with it and with what was kept, unless reading is stopped.
  void Feed(std::string_view bytes);
  // End of file, delivered when all input was consumed.
  void FeedEof();
  void Reset() { EndSession(CloseReason::kPeerReset); }
  // The peer takes output; what was taken is received().
  void Take(size_t bytes);
  // Whether the peer takes all output after each callback, which is the default.
  void set_auto_take(bool auto_take) { auto_take_ = auto_take; }
  // Moves the clock, stopping at the deadline on the way.
  void Advance(Duration duration);
  void RunTasks();
  void Drain();
  void set_stopping(bool stopping) { stopping_ = stopping; }

  // Everything the peer has taken.
  const std::string& received() const { return received_; }
  std::string TakeReceived() { return std::exchange(received_, {}); }
  // Callbacks during which output was written.
  size_t flushes() const { return flushes_; }
  // The session called Close() or Abort(), or the peer reset.
  bool closing() const { return closing_ || ended_; }
  bool aborted() const { return abort_reason_ != CloseReason::kNone; }
  CloseReason abort_reason() const { return abort_reason_; }
  bool ended() const { return ended_; }
  // Until the session has ended.
  Session& session() { return *session_; }
  size_t unread_bytes() const { return input_.size(); }
  TimePoint deadline() const { return deadline_; }
  MemoryExecutor& tasks() { return *executor_; }

  // The session's side.
  void Write(std::string_view bytes) override;
  // Reads the file at once.
  void WriteFile(std::shared_ptr<const UniqueFd> file, uint64_t offset, uint64_t length) override;
  size_t output_bytes() const override { return output_.size(); }
  bool output_blocked() const override { return blocked_; }
  void Close() override;
  void Abort(CloseReason reason) override;
  bool ending() const override { return closing(); }
  void PauseReading() override { paused_ = true; }
  void ResumeReading() override { paused_ = false; }
  bool reading_paused() const override { return paused_; }
  void SetDeadline(TimePoint deadline) override { deadline_ = deadline; }
  TimePoint now() const override { return now_; }
  bool stopping() const override { return stopping_; }
  // 192.0.2.1:1024, or what the session said.
  absl::StatusOr<Address> PeerAddress() const override { return peer_; }
  void SetPeerAddress(const Address& address) override { peer_ = address; }
  std::shared_ptr<Executor> executor() override { return executor_; }

 private:
  // Runs one callback of the session and what follows from it.
  template <typename Callback>
  void Call(Callback&& callback);
  void Settle();
  void TakeOutput(size_t bytes);
  void DeliverInput();
  void EndSession(CloseReason reason);

  const Marks marks_;
  std::unique_ptr<Session> session_;
  std::shared_ptr<MemoryExecutor> executor_ = std::make_shared<MemoryExecutor>();
  TimePoint now_{std::chrono::hours(1)};
  TimePoint deadline_ = kNever;
  std::string input_;
  std::string output_;
  std::string received_;
  // Of the output, bytes of files, which do not count for the cap: at most so many.
  size_t output_from_files_ = 0;
  std::deque<uint64_t> missing_;  // OnFileShort() to be called
  size_t flushes_ = 0;
  size_t written_in_callback_ = 0;
  CloseReason abort_reason_ = CloseReason::kNone;
  Address peer_ = *Address::Parse("192.0.2.1:1024");
  bool stopping_ = false;
  bool auto_take_ = true;
  bool open_ = false;
  bool in_callback_ = false;
  bool paused_ = false;
  bool blocked_ = false;
  bool closing_ = false;
  bool ended_ = false;
  bool eof_ = false;
  bool eof_delivered_ = false;
};

}  // namespace quintet::testing

#endif  // QUINTET_TESTS_SUPPORT_MEMORY_TRANSPORT_H_
