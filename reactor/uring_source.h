// What UringBackend keeps for one source, and the names its operations bear in the kernel.
#ifndef QUINTET_REACTOR_URING_SOURCE_H_
#define QUINTET_REACTOR_URING_SOURCE_H_

#include <sys/socket.h>
#include <sys/uio.h>

#include <cstdint>

#include "reactor/backend.h"
#include "reactor/readiness.h"
#include "reactor/source.h"

namespace quintet {

// The first five belong to a source, at most one of each in flight.
enum class UringOp : uint8_t {
  kAccept,
  kConnect,
  kRecv,
  kSend,
  kPoll,
  kCancel,
  kWake,
  kFence,
  kFile,  // slot and generation are those of UringFiles
  kFileCancel,
};
inline constexpr int kSourceOps = 5;

// A set of UringOps.
using UringOps = uint8_t;
constexpr UringOps Bit(UringOp op) {
  return static_cast<UringOps>(1U << static_cast<unsigned>(op));
}

// user_data of a submission: slot (24 bits), generation (32 bits), operation (8 bits).
struct UringName {
  static constexpr uint32_t kMaxSlots = 1U << 24;

  SourceId id;
  UringOp op;

  static constexpr uint64_t Pack(SourceId id, UringOp op) {
    return (uint64_t{id.slot} << 40) | (uint64_t{id.generation} << 8) | static_cast<uint8_t>(op);
  }
  static constexpr UringName Unpack(uint64_t user_data) {
    return {.id = {.slot = static_cast<uint32_t>(user_data >> 40),
                   .generation = static_cast<uint32_t>(user_data >> 8)},
            .op = static_cast<UringOp>(user_data & 0xff)};
  }
};
static_assert(UringName::Unpack(UringName::Pack({0xabcdef, 0x12345678}, UringOp::kSend)).id.slot ==
              0xabcdef);
static_assert(UringName::Unpack(UringName::Pack({0xabcdef, 0xf2345678}, UringOp::kSend))
                  .id.generation == 0xf2345678);
static_assert(UringName::Unpack(UringName::Pack({0xffffff, 0xffffffff}, UringOp::kWake)).op ==
              UringOp::kWake);

// State of one source. What is asked for (`wanted`) and what the kernel has (`in_flight`) are
// compared when submissions are made, once a turn; calls of the user only change `wanted`.
//
//   wanted  in_flight  cancelling   next submission
//     no       no         -         none
//     yes      no         -         the operation, unless it is held back (starved, delayed)
//     yes      yes        no        none
//     no       yes        no        a cancellation
//     any      yes        yes       none: the end of the operation decides
struct UringSource {
  static constexpr uint32_t kNone = UINT32_MAX;

  UringOps wanted = 0;
  UringOps in_flight = 0;
  UringOps cancelling = 0;
  UringOps delayed = 0;     // short of memory: tried again after a pause
  UringOps poll_first = 0;  // was told EAGAIN: wait for readiness before trying

  bool dirty : 1 = false;         // in the queue for submission
  bool has_turn : 1 = false;      // in the queue for delivery
  bool starved : 1 = false;       // receive in the queue for buffers
  bool recv_ended : 1 = false;    // end of file or error was reported
  bool closing : 1 = false;       // Close() was called
  bool closed : 1 = false;        // kClosed waits for delivery, the descriptor is gone
  bool ready_queued : 1 = false;  // a kReady waits for delivery
  bool poll_renew : 1 = false;    // the poll in flight does not ask what is wanted now
  bool watching : 1 = false;      // Watch() was called: the descriptor is another's
  bool poll_quiet : 1 = false;    // armed for changes only, see UringBackend::OnPoll()

  // The send in flight has a completion only if it does not succeed, see UringBackend::ArmSend().
  bool quiet_send : 1 = false;
  bool send_told : 1 = false;  // and that completion is there

  // AF_UNIX: each receive is submitted anew, see UringBackend::Add().
  bool one_shot_recv : 1 = false;

  // The end of the accept in flight is to be told.
  bool accept_finishing : 1 = false;
  // UringBackend::kLook is queued.
  bool accept_looking : 1 = false;
  // SendFileNow() met `send_error`, which StartSendFile() delivers.
  bool send_failed : 1 = false;

  CloseMode close_mode = CloseMode::kClose;
  Readiness interest = Readiness::kNone;
  Readiness ready = Readiness::kNone;  // gathered for the queued kReady
  Trigger trigger = Trigger::kLevel;
  uint8_t send_count = 0;  // of `send_buffers`; 0: what is sent is `send_range`
  int fd = -1;

  // Undelivered completions, in CompletionStore.
  uint32_t first = kNone;
  uint32_t last = kNone;

  union {
    const iovec* send_buffers = nullptr;
    const FileRange* send_range;
  };
  const sockaddr* connect_address = nullptr;
  union {
    socklen_t connect_length = 0;
    uint32_t accepts_left;  // of a listening socket: that UringBackend::AcceptOne() may still make
    int32_t send_error;     // of a connected one
  };
  uint32_t send_position = 0;  // of the latest quiet send among the submissions
};
static_assert(sizeof(UringSource) <= 64, "one cache line for an idle connection");

}  // namespace quintet

#endif  // QUINTET_REACTOR_URING_SOURCE_H_
