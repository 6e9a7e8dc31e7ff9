// What all connections of a server together may use, in memory that its processes share.
#ifndef QUINTET_NET_FILES_QUOTA_H_
#define QUINTET_NET_FILES_QUOTA_H_

#include <sys/types.h>

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>

#include "absl/status/statusor.h"

namespace quintet::files {

// Bytes on the disk and transfers in progress. Made before the processes are forked that share it.
// Each of them has a place, which says what it has taken; that of one that has died is given back
// by the next who finds the quota used up.
//
// Any thread and process, without locks. Where there is no limit nothing is counted.
class Quota {
 public:
  // Processes at once: the most that a model forks is fewer on any machine that bears them. Those
  // beyond find the quota used up.
  static constexpr size_t kPlaces = 4096;

  // 0: no limit. Errors: ResourceExhausted (mmap(2)).
  static absl::StatusOr<std::unique_ptr<Quota>> Create(uint64_t total_bytes, uint32_t transfers);
  ~Quota();
  Quota(const Quota&) = delete;
  Quota& operator=(const Quota&) = delete;

  bool limits_bytes() const { return total_bytes_ != 0; }

 private:
  struct Place;

 public:
  // One transfer in progress, while it lives.
  class Transfer {
   public:
    Transfer() = default;
    ~Transfer() { End(); }
    Transfer(const Transfer&) = delete;
    Transfer& operator=(const Transfer&) = delete;

    // False where there are too many.
    [[nodiscard]] bool Begin(Quota& quota);
    void End();

   private:
    Quota* quota_ = nullptr;
    Place* place_ = nullptr;
  };

  // Room for bytes that are to be written.
  class Room {
   public:
    Room() = default;
    // Gives back what was not written.
    ~Room();
    Room(const Room&) = delete;
    Room& operator=(const Room&) = delete;

    // False where there is not so much.
    [[nodiscard]] bool Reserve(Quota& quota, uint64_t bytes);
    // So many of them are on the disk now, and stay taken when this goes.
    void Wrote(uint64_t bytes);

   private:
    Quota* quota_ = nullptr;
    Place* place_ = nullptr;
    uint64_t bytes_ = 0;
  };

  // Files were removed or replaced.
  void Freed(uint64_t bytes);
  // What a walk has found: corrects what came by other ways than ours. Files that changed while it
  // went are counted twice or not at all, until the next one.
  void SetOnDisk(uint64_t bytes);

  uint64_t used_bytes() const;  // on the disk, and reserved
  uint32_t transfers() const;

 private:
  // Of one process. `pid` 0: free; kReaping: being given back.
  struct Place {
    std::atomic<pid_t> pid;
    std::atomic<uint64_t> started;  // as /proc/PID/stat says; 0: not known
    std::atomic<uint64_t> reserved_bytes;
    std::atomic<uint32_t> transfers;
  };
  struct Shared {
    std::atomic<int64_t> used_bytes;
    std::atomic<uint32_t> transfers;
    std::array<Place, kPlaces> places;
  };
  static constexpr pid_t kReaping = -1;

  Quota(Shared* shared, uint64_t total_bytes, uint32_t transfers)
      : shared_(shared), total_bytes_(total_bytes), most_transfers_(transfers) {}

  // That of this process; null where there is none left.
  Place* MyPlace();
  Place* Claim(pid_t pid);
  bool TryTransfer();
  bool TryReserve(uint64_t bytes);
  // Whether anything was.
  bool GiveBackOfTheDead();

  Shared* const shared_;
  const uint64_t total_bytes_;
  const uint32_t most_transfers_;
  // Of the process whose id it bears: a child finds its parent's here.
  std::atomic<Place*> place_ = nullptr;
};

}  // namespace quintet::files

#endif  // QUINTET_NET_FILES_QUOTA_H_
