// The requests of a ClientSession, each from its frame to its answer. No part of the interface.
#ifndef QUINTET_NET_FILES_CLIENT_REQUEST_H_
#define QUINTET_NET_FILES_CLIENT_REQUEST_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "net/files/client_error.h"
#include "net/files/client_transfer.h"
#include "net/files/frame.h"
#include "net/files/messages.h"

namespace quintet::files {

// What became of a request by a frame.
enum class Verdict : uint8_t {
  kMore,   // goes on
  kOver,   // was its last frame
  kWrong,  // does not belong there: the server cannot be understood
  kCrc,    // of the payload: the request has failed, the connection has not
};

// Whether a frame of type `answer` is the last of a request of type `request`.
bool EndsRequest(FrameType request, FrameType answer);

class ClientRequest {
 public:
  ClientRequest(FrameType type, uint16_t flags, std::string payload)
      : type_(type), flags_(flags), payload_(std::move(payload)) {}
  virtual ~ClientRequest() = default;
  ClientRequest(const ClientRequest&) = delete;
  ClientRequest& operator=(const ClientRequest&) = delete;

  FrameType type() const { return type_; }
  std::string Encode(uint32_t number) const { return EncodeFrame(type_, flags_, number, payload_); }

  // A frame that is whole and intact, neither DATA nor ERROR.
  virtual Verdict OnFrame(FrameType type, std::string_view payload) = 0;
  // Parts of a DATA frame, and its end.
  virtual Verdict OnPiece(std::string_view) { return Verdict::kWrong; }
  virtual Verdict OnDataEnd(bool) { return Verdict::kWrong; }
  // Tells who asked; the last call.
  virtual void Finish(const std::optional<ClientError>& error) = 0;
  // The next thing to happen is the server's.
  virtual bool waiting() const { return true; }

 protected:
  void set_flags(uint16_t flags) { flags_ = flags; }

 private:
  const FrameType type_;
  uint16_t flags_;
  const std::string payload_;
};

// DELETE, RENAME, QUIT: answered by END alone.
class PlainRequest final : public ClientRequest {
 public:
  using Done = absl::AnyInvocable<void(const std::optional<ClientError>& error)>;
  PlainRequest(FrameType type, std::string payload, Done done)
      : ClientRequest(type, 0, std::move(payload)), done_(std::move(done)) {}

  Verdict OnFrame(FrameType type, std::string_view payload) override;
  void Finish(const std::optional<ClientError>& error) override { done_(error); }

 private:
  Done done_;
};

class StatRequest final : public ClientRequest {
 public:
  using Done = absl::AnyInvocable<void(const std::optional<ClientError>& error, const Entry&)>;
  StatRequest(std::string path, Done done)
      : ClientRequest(FrameType::kStat, 0, std::move(path)), done_(std::move(done)) {}

  Verdict OnFrame(FrameType type, std::string_view payload) override;
  void Finish(const std::optional<ClientError>& error) override { done_(error, entry_); }

 private:
  Done done_;
  Entry entry_;
};

class ListRequest final : public ClientRequest {
 public:
  using Entries = absl::AnyInvocable<void(std::vector<Entry> entries)>;
  ListRequest(std::string path, uint16_t flags, Entries entries, PlainRequest::Done done)
      : ClientRequest(FrameType::kList, flags, std::move(path)),
        entries_(std::move(entries)),
        done_(std::move(done)) {}

  Verdict OnFrame(FrameType type, std::string_view payload) override;
  void Finish(const std::optional<ClientError>& error) override { done_(error); }

 private:
  Entries entries_;
  PlainRequest::Done done_;
};

class GetRequest final : public ClientRequest {
 public:
  GetRequest(const GetMessage& what, bool verify, GetSink& sink)
      : ClientRequest(FrameType::kGet, verify ? kVerify : 0, files::Encode(what)),
        offset_(what.offset),
        left_(what.length),
        sink_(sink) {}

  Verdict OnFrame(FrameType type, std::string_view payload) override;
  Verdict OnPiece(std::string_view bytes) override;
  Verdict OnDataEnd(bool intact) override;
  void Finish(const std::optional<ClientError>& error) override { sink_.OnGetDone(error); }
  bool waiting() const override { return !paused_; }

  bool paused() const { return paused_; }
  void set_paused(bool paused) { paused_ = paused; }

 private:
  const uint64_t offset_;
  uint64_t left_;  // bytes that are still to come, once INFO was here
  bool informed_ = false;
  bool paused_ = false;
  GetSink& sink_;
};

// The states of a put, and what leads on:
//
//   state      meaning                            next
//   ---------  ---------------------------------  ------------------------------------------------
//   Asked      PUT was sent                       Sending (READY at 0), Comparing (READY above 0)
//   Comparing  the source computes a CRC          Sending (the same), Restarting (another)
//   Restarting CANCEL was sent                    Asked, without RESUME (ERROR)
//   Sending    DATA                               Finished (FinishPut())
//   Finished   FINISH was sent                    the end (INFO)
//
// ERROR ends it in every state but Restarting.
class PutRequest final : public ClientRequest {
 public:
  enum class State : uint8_t { kAsked, kComparing, kRestarting, kSending, kFinished };

  PutRequest(const PutMessage& what, uint16_t flags, PutSource& source)
      : ClientRequest(FrameType::kPut, flags, files::Encode(what)),
        resume_((flags & kResume) != 0),
        flags_(flags),
        size_(what.size),
        source_(source) {}

  Verdict OnFrame(FrameType type, std::string_view payload) override;
  void Finish(const std::optional<ClientError>& error) override {
    source_.OnPutDone(error, entry_);
  }
  bool waiting() const override { return state_ != State::kSending && state_ != State::kComparing; }

  State state() const { return state_; }
  // From kComparing: whether the source has the same bytes; else the state is kRestarting.
  bool Compare(uint32_t crc);
  // From kRestarting: asks again, without RESUME.
  void Restart();
  // In kSending: `bytes` are the next ones. Returns their CRC.
  uint32_t Count(std::string_view bytes);
  // The payload of FINISH.
  std::string FinishSending();
  // In kSending: asks the source, where it was told to wait.
  void OfferRoom();
  void set_told_to_wait() { told_to_wait_ = true; }

 private:
  State state_ = State::kAsked;
  bool resume_;
  bool told_to_wait_ = true;
  const uint16_t flags_;
  const uint64_t size_;
  uint64_t sent_ = 0;  // bytes of the file up to here, those the server had included
  uint32_t crc_ = 0;   // of them
  PutSource& source_;
  Entry entry_;
};

}  // namespace quintet::files

#endif  // QUINTET_NET_FILES_CLIENT_REQUEST_H_
