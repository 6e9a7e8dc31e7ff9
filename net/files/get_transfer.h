// GET: a file, or a part of it, piece by piece.
#ifndef QUINTET_NET_FILES_GET_TRANSFER_H_
#define QUINTET_NET_FILES_GET_TRANSFER_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "net/files/request.h"
#include "net/unique_fd.h"

namespace quintet::files {

//   state      means                                  left by
//   Opening    the file is being opened               done -> Preparing, Ready; error -> over
//   Preparing  the next piece is being read, or       done -> Ready; error, end of file -> over
//              brought into the page cache
//   Ready      a piece waits for its turn             SendNext() -> Preparing, Ready, Ending, over
//   Ending     END waits for its turn                 SendNext() -> over
//
// The next piece is prepared while the one before is on its way. Large pieces never come into this
// process (Transport::WriteFile()); END waits until the output is below its mark behind them, so
// that hardly anything can turn out to be missing behind it.
class GetTransfer final : public Request {
 public:
  // What is read into memory at once, and what goes to the socket by itself.
  static constexpr size_t kReadBytes = 64 << 10;
  static constexpr size_t kFilePieceBytes = 256 << 10;

  GetTransfer(RequestHost& host, uint32_t id, GetMessage message, bool verify)
      : Request(host, id), message_(std::move(message)), verify_(verify) {}

  void Start() override;
  bool ready() const override { return state_ == State::kReady || state_ == State::kEnding; }
  void SendNext() override;
  void OnFileShort() override;

 private:
  enum class State : uint8_t { kOpening, kPreparing, kReady, kEnding };

  void Open();
  void OnOpened(int64_t result);
  void Prepare();
  void OnWarm(int64_t result);
  void OnRead(int64_t result);
  void EndWell();

  const GetMessage message_;
  const bool verify_;
  State state_ = State::kOpening;
  int open_attempts_ = 0;
  Quota::Transfer slot_;
  std::shared_ptr<const UniqueFd> file_;
  Entry entry_;
  bool info_sent_ = false;
  uint64_t position_ = 0;  // of the next piece
  uint64_t end_ = 0;
  bool from_file_ = false;  // the piece goes to the socket by itself
  size_t piece_bytes_ = 0;
  std::string piece_;  // where it does not
};

}  // namespace quintet::files

#endif  // QUINTET_NET_FILES_GET_TRANSFER_H_
