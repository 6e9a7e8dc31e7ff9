// The file requests of UringBackend, from StartFile() to their callbacks.
#ifndef QUINTET_REACTOR_URING_FILES_H_
#define QUINTET_REACTOR_URING_FILES_H_

#include <liburing.h>

#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>

#include "reactor/file_request.h"
#include "reactor/file_turn.h"
#include "reactor/slot_queue.h"
#include "reactor/source.h"
#include "reactor/uring_ring.h"

namespace quintet {

// A table of requests, each known to the kernel by slot and generation.
//
//   free --Add--> waiting --Prepare--> in flight --OnResult--> over --Deliver--> free
//                    ^                     |
//                    +--EndRest-- resting <+ (short of memory)
//                    +---------------------+ (interrupted; more to warm)
//
// Does not allocate once it has grown to its working size. Not thread-safe; internal to
// UringBackend, which makes the system calls.
class UringFiles final {
 public:
  UringFiles() = default;
  UringFiles(const UringFiles&) = delete;
  UringFiles& operator=(const UringFiles&) = delete;

  // Takes the request, moving from both; false where `ring` has no operation for it.
  bool Add(const UringRing& ring, FileRequest& request, FileDone& done);

  bool has_waiting() const { return !waiting_.empty(); }
  size_t in_flight() const { return in_flight_; }
  size_t over() const { return over_; }  // and not delivered

  // Fills in the submission of the request that has waited longest, its name included.
  void Prepare(io_uring_sqe* sqe);

  // What becomes of a request whose submission has ended.
  enum class Fate : uint8_t {
    kOver,   // to be delivered
    kAgain,  // waits once more
    kRests,  // until EndRest()
    kStale,  // there is none
  };
  Fate OnResult(SourceId id, int32_t result);
  void EndRest();

  // Delivers a request that is over; false when the slot holds none.
  bool Deliver(uint32_t slot, Completion* completion);

  // ---- The end of a loop ----

  // Drops what is not in flight. From here on the end of a submission is the end of its request.
  void BeginEnd();
  // Fills in the cancellation of each request in flight that is not being cancelled. `next_sqe`
  // returns null when there is no room.
  template <typename NextSqe>
  void CancelAll(NextSqe&& next_sqe);
  void OnCancelFailed(SourceId id);
  // The ring is gone, and the threads that the kernel had for it: nothing is in flight.
  void Abandon();
  // Destroys all callbacks, uncalled. Nothing may be in flight.
  void Clear();

  // Ends the process where its own structures contradict each other.
  void Validate() const;

 private:
  enum class State : uint8_t { kFree, kWaiting, kInFlight, kResting, kOver };
  struct Entry {
    FileRequest request;
    FileDone done;
    uint32_t generation = 0;
    uint32_t next_free = SourceId::kNoSlot;
    int32_t result = 0;
    State state = State::kFree;
    bool cancelling = false;
    uint8_t retries = 0;
  };

  SourceId IdOf(uint32_t slot) const { return {slot, entries_[slot].generation}; }
  bool IsInFlight(SourceId id) const;
  void PrepareCancel(uint32_t slot, io_uring_sqe* sqe);
  void Enqueue(uint32_t slot);
  void Free(uint32_t slot);

  // In place, since the kernel reads `how` of an open when it takes the submission.
  std::deque<Entry> entries_;
  uint32_t free_ = SourceId::kNoSlot;
  SlotQueue waiting_;
  SlotQueue resting_;
  size_t in_flight_ = 0;
  size_t over_ = 0;
  bool ending_ = false;
  // Where kWarm reads to. All may write there at once: nobody looks.
  std::unique_ptr<std::byte[]> nowhere_;
  FileTurn turn_;
};

template <typename NextSqe>
void UringFiles::CancelAll(NextSqe&& next_sqe) {
  // Getting room may end requests, but makes none.
  for (uint32_t slot = 0; slot < entries_.size(); ++slot) {
    if (entries_[slot].state != State::kInFlight || entries_[slot].cancelling) continue;
    io_uring_sqe* sqe = next_sqe();
    if (sqe == nullptr) return;
    PrepareCancel(slot, sqe);
  }
}

}  // namespace quintet

#endif  // QUINTET_REACTOR_URING_FILES_H_
