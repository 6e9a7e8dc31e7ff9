// The server's side of a connection of the files protocol.
#ifndef QUINTET_NET_FILES_SERVER_SESSION_H_
#define QUINTET_NET_FILES_SERVER_SESSION_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "net/files/frame.h"
#include "net/files/messages.h"
#include "net/files/request.h"
#include "net/files/server_context.h"
#include "net/files/token_bucket.h"
#include "net/session.h"
#include "reactor/clock.h"

namespace quintet::files {

// Requests run beside each other, each an object of its own (Request); the session reads frames,
// gives requests their turns at the output, and ends.
//
//   state    means                                     left by
//   Proving  WELCOME was sent, AUTH is awaited         right proof -> Serving; anything else,
//                                                      deadline -> Closed
//   Serving  requests come and are answered            QUIT, end of file, drain -> Ending; a frame
//                                                      that cannot be, idle deadline -> Closed
//   Ending   no new ones; what there is is answered    none left -> Closed
//   Closed   Transport::Close() or Abort() was called  -
//
// Whatever calls it, the work is done in Advance(), in turns: disk operations that have finished,
// output while the transport takes it, input while nobody holds it. So neither a fast disk nor a
// fast peer makes anything recursive.
class ServerSession final : public Session, private RequestHost {
 public:
  // What puts have gathered for the disk, all together, above which no more is read.
  static constexpr size_t kMostGatheredBytes = 1 << 20;

  explicit ServerSession(std::shared_ptr<ServerContext> context);
  ~ServerSession() override;

  void OnOpen() override;
  size_t OnData(std::span<const std::byte> data) override;
  void OnEof() override;
  void OnOutputDrained() override;
  void OnFileShort(uint64_t missing) override;
  void OnDeadline() override;
  void OnDrain() override;
  bool idle() const override;
  void OnClosed(CloseReason reason) override;

 private:
  enum class State : uint8_t { kProving, kServing, kEnding, kClosed };

  // RequestHost.
  const std::shared_ptr<ServerContext>& context() override { return context_; }
  const std::shared_ptr<Disk>& disk() override { return disk_; }
  TimePoint now() const override { return transport().now(); }
  void Send(FrameType type, uint16_t flags, uint32_t request, std::string_view payload) override;
  void SendError(uint32_t request, const ErrorMessage& message) override;
  void SendFile(uint32_t request, std::shared_ptr<const UniqueFd> file, uint64_t offset,
                uint32_t length) override;
  size_t max_data_bytes() const override;

  // The work.
  void OnDiskFinished();
  void Advance(std::span<const std::byte>& input);
  void Advance();
  void RunTurns();
  bool SendOne();
  void RemoveEnded();
  void EndWhereOver();
  bool InputHeld();
  void SyncReading(bool input_left);
  void UpdateDeadline();
  TimePoint StallDeadline(Request& request) const;

  // Frames (server_session_frames.cc).
  void ReadFrames(std::span<const std::byte>& input);
  void OnFrame();
  void OnFault();
  void OnDataFrame();
  void OnRequestFrame(const FrameHeader& header, std::string_view payload);
  void OnAuth(const FrameHeader& header, std::string_view payload);
  std::optional<ErrorMessage> CreateRequest(const FrameHeader& header, std::string_view payload,
                                            std::shared_ptr<Request>& request);
  Request* Find(uint32_t id) const;

  // An error, and the end of the connection.
  void Refuse(uint32_t request, ErrorMessage why);
  void Close();
  void Drop();
  void Write(std::string_view bytes);
  bool closed() const { return state_ == State::kClosed; }

  // A part of the output that comes from a file: up to where, in bytes since the beginning.
  struct FileRange {
    uint64_t end;
    uint32_t request;
  };

  const std::shared_ptr<ServerContext> context_;
  std::shared_ptr<Disk> disk_;
  State state_ = State::kServing;
  Nonce nonce_ = {};
  FrameDecoder decoder_;
  bool frames_left_ = false;  // the decoder was left before it said that it needs more
  std::vector<std::shared_ptr<Request>> requests_;
  size_t next_turn_ = 0;
  uint32_t last_id_ = 0;
  uint32_t quit_id_ = 0;
  bool quit_ = false;
  bool draining_ = false;
  bool input_ended_ = false;
  bool reading_stopped_ = false;  // the transport waits for ResumeReading()
  TokenBucket in_;
  TokenBucket out_;
  uint64_t written_bytes_ = 0;  // to the transport
  std::vector<FileRange> file_ranges_;
  TimePoint opened_at_;
  TimePoint active_at_;          // the last input, or the end of the last request
  TimePoint resumed_at_;         // the last ResumeReading()
  TimePoint deadline_ = kNever;  // as the transport knows it
};

}  // namespace quintet::files

#endif  // QUINTET_NET_FILES_SERVER_SESSION_H_
