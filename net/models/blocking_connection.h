// One connection on a thread that does nothing else: the transport that blocks.
#ifndef QUINTET_NET_MODELS_BLOCKING_CONNECTION_H_
#define QUINTET_NET_MODELS_BLOCKING_CONNECTION_H_

#include <poll.h>

#include <cstddef>
#include <memory>
#include <span>
#include <string_view>

#include "net/address.h"
#include "net/block_pool.h"
#include "net/byte_queue.h"
#include "net/connection_group.h"
#include "net/connection_options.h"
#include "net/file_output.h"
#include "net/models/blocking_executor.h"
#include "net/models/ending.h"
#include "net/session.h"
#include "net/socket.h"
#include "net/unique_fd.h"
#include "reactor/clock.h"
#include "reactor/log.h"

namespace quintet {

// To a session and to its peer the same as a Connection (net/connection.h), whose states these are:
//
//   state       meaning                    next
//   ----------  -------------------------  ------------------------------------------------------
//   Open        both directions            PeerClosed (EOF), Flushing (Close()), Closed
//   PeerClosed  EOF seen; output legal     Flushing (Close()), Closed
//   Flushing    no more input; the rest    Lingering (all sent; if EOF was seen before, Closed),
//               is sent                    Closed (error)
//   Lingering   FIN sent; input discarded  Closed (EOF, deadline, cap, error)
//   Closed      the socket is closed       -
//
// Abort(), the end of the server, a socket error, a stalled write and a session that throws lead
// from every state to Closed.
//
// What a session asks for takes effect when its callback has returned, in Settle(). The thread
// blocks in one place, Wait(): in poll(2), until the nearest deadline, for whichever directions
// matter. The socket itself stays non-blocking, since what poll(2) promised may be gone (poll(2),
// "BUGS").
class BlockingConnection final : public Transport {
 public:
  // What it uses and others own; all of it must outlive the connection.
  struct Surroundings {
    const ConnectionOptions& options;
    ConnectionCounters& counters;  // written by this thread alone
    Ending& ending;                // how the server that it belongs to ends
    Clock& clock;
    const LogFunction& log;
  };

  // `socket` is connected and non-blocking.
  BlockingConnection(Socket socket, std::unique_ptr<Session> session,
                     const Surroundings& surroundings);
  ~BlockingConnection();
  BlockingConnection(const BlockingConnection&) = delete;
  BlockingConnection& operator=(const BlockingConnection&) = delete;

  // Serves the connection to its end on the calling thread; the session was told OnClosed() and is
  // destroyed then. Once. Nothing that a callback throws leaves it.
  CloseReason Run();

  // Transport, for the session and for posted tasks, on the thread of Run().
  void Write(std::string_view bytes) override;
  void WriteFile(std::shared_ptr<const UniqueFd> file, uint64_t offset, uint64_t length) override;
  size_t output_bytes() const override { return output_.size() + files_.bytes(); }
  bool output_blocked() const override { return output_blocked_; }
  void Close() override { close_requested_ = close_requested_ || !ending(); }
  void Abort(CloseReason reason) override;
  bool ending() const override {
    return close_requested_ || closed() || abort_reason_ != CloseReason::kNone;
  }
  void PauseReading() override { paused_ = true; }
  void ResumeReading() override { paused_ = false; }
  bool reading_paused() const override { return paused_; }
  void SetDeadline(TimePoint deadline) override;
  TimePoint now() const override { return now_; }
  bool stopping() const override { return around_.ending.stopping(); }
  absl::StatusOr<Address> PeerAddress() const override;
  void SetPeerAddress(const Address& address) override;
  absl::StatusOr<Address> LocalAddress() const override;
  // Tasks run between callbacks. Those still there when the connection ends run after OnClosed().
  std::shared_ptr<Executor> executor() override;

 private:
  enum class State : uint8_t { kOpen, kPeerClosed, kFlushing, kLingering, kClosed };

  // Settling.
  void Settle();
  void FollowEnding();
  void CallSessionWhereDue();
  void ShowKeptInput();
  void Flush();
  int64_t SendSome();
  void OnTaken(size_t bytes);
  void FinishClose();
  bool InputDue() const;
  bool DrainedDue() const;
  bool WantsInput() const;
  bool alive() const { return !closed() && abort_reason_ == CloseReason::kNone; }
  bool idle() const;
  void End();
  void StartClosing(CloseReason reason, bool reset = false);
  bool closed() const { return state_ == State::kClosed; }

  // Waiting.
  void Wait();
  TimePoint NextDeadline() const;
  void RunTasks(std::vector<Task> tasks);
  void Receive();
  void OnReceived(std::span<const std::byte> data);
  void OnEndOfInput(int error);
  void Deliver(std::span<const std::byte> data);
  void OnDeadlines();

  // Runs a callback of the session; one that throws closes this connection.
  template <typename Callback>
  void CallSession(Callback&& callback);
  void OnSessionThrew(const char* what);
  void LogError(std::string_view what, const char* text) const;

  TimePoint present() const { return around_.clock.Now(); }

  const Surroundings around_;
  Socket socket_;
  std::unique_ptr<Session> session_;
  std::unique_ptr<const Address> address_;  // the peer's, if SetPeerAddress() named it
  std::shared_ptr<BlockingExecutor> executor_;
  std::unique_ptr<std::byte[]> received_;

  BlockPool pool_;
  ByteQueue output_;
  FileOutput files_;  // behind `output_`, from the first range of a file on
  // Input that the session has not consumed, or that came while it was paused.
  ByteQueue unread_;

  TimePoint now_;
  TimePoint session_deadline_ = kNever;
  // Of the operation that the state waits for: write stall, linger.
  TimePoint io_deadline_ = kNever;
  // The kernel was short of memory: not tried before.
  TimePoint send_again_at_ = kNever;
  size_t lingered_bytes_ = 0;

  State state_ = State::kOpen;
  EndStage seen_ = EndStage::kServing;
  CloseReason reason_ = CloseReason::kNone;
  CloseReason abort_reason_ = CloseReason::kNone;  // asked for, not yet carried out
  bool in_callback_ = false;
  bool paused_ = false;      // by the session
  bool wants_more_ = false;  // it did not consume all it was shown last
  bool eof_seen_ = false;
  bool eof_told_ = false;
  bool close_requested_ = false;
  bool output_blocked_ = false;
  bool drain_due_ = false;     // OnDrain() is to be called
  bool deadline_due_ = false;  // OnDeadline() is to be called
};

}  // namespace quintet

#endif  // QUINTET_NET_MODELS_BLOCKING_CONNECTION_H_
