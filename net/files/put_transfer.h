// PUT: a file that comes piece by piece.
#ifndef QUINTET_NET_FILES_PUT_TRANSFER_H_
#define QUINTET_NET_FILES_PUT_TRANSFER_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "net/files/request.h"
#include "net/files/upload.h"

namespace quintet::files {

//   state       means                                   left by
//   Opening     the partial file is being opened and    done -> Receiving, READY; failed -> over
//               its CRC found out
//   Receiving   data comes and is written; behind       all written behind FINISH -> Committing;
//               FINISH the rest is written              failed, cancelled -> Ending
//   Committing  on its way to the disk and to its name  done -> INFO, over; failed -> Ending
//   Ending      the partial file is being closed        done -> ERROR, over
//
// A cancel that comes after the last state in which it could help does nothing: INFO answers. The
// error of a put that has failed is sent when its file is closed, so that the client may begin the
// same put again as soon as it sees it.
class PutTransfer final : public Request {
 public:
  // Gathered while a write is under way; then no more is read from the connection.
  static constexpr size_t kGatheredBytes = 256 << 10;

  PutTransfer(RequestHost& host, uint32_t id, PutMessage message, bool resume,
              bool make_directories);

  void Start() override;
  void Fail(const ErrorMessage& why) override;
  PutTransfer* put() override { return this; }

  // The client's frames. False for one that does not belong here.
  [[nodiscard]] bool OnData(std::string_view piece);
  void OnDataEnd(bool intact);
  [[nodiscard]] bool OnFinish(const FinishMessage& message);
  // Nothing more can come.
  void OnInputEnd();

  // Nothing must be read from the connection for the moment.
  bool holds_input() const;
  size_t gathered_bytes() const { return gathered_.size(); }
  // It is the client's turn, and since when.
  bool waits() const {
    return !over() && state_ == State::kReceiving && !finish_.has_value() && !upload_.busy();
  }
  TimePoint waits_since() const { return waits_since_; }

 private:
  enum class State : uint8_t { kOpening, kReceiving, kCommitting, kEnding };

  void OnAbandoned() override;
  void OnOpened(const Upload::Failure& failure);
  void Continue();
  void OnWritten(const Upload::Failure& failure);
  void Commit();
  void OnCommitted(const Upload::Failure& failure);
  void EndUpload();
  void OnEnded();
  // For Upload's steps, which hold this.
  Upload::Done Then(void (PutTransfer::*then)(const Upload::Failure&));

  const PutMessage message_;
  const bool resume_;
  State state_ = State::kOpening;
  Quota::Transfer slot_;
  Upload upload_;
  std::string gathered_;
  uint64_t received_bytes_ = 0;  // of the file, those from before included
  uint64_t intact_bytes_ = 0;    // of those, up to the end of a frame whose CRC was right
  uint32_t crc_ = 0;             // of received_bytes_
  std::optional<FinishMessage> finish_;
  std::optional<ErrorMessage> failed_;  // to be sent when all is closed
  bool keep_ = true;                    // what is there, for a later upload
  TimePoint waits_since_;
};

}  // namespace quintet::files

#endif  // QUINTET_NET_FILES_PUT_TRANSFER_H_
