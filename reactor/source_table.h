// The table by which a backend knows its sources: slot numbers small enough to travel through the
// kernel, each with a generation that tells the present owner of a slot from an earlier one.
#ifndef QUINTET_REACTOR_SOURCE_TABLE_H_
#define QUINTET_REACTOR_SOURCE_TABLE_H_

#include <cassert>
#include <cstdint>
#include <vector>

#include "reactor/grow.h"
#include "reactor/source.h"

namespace quintet {

// Keeps one `State` (default-constructible, small) per attached source. References into the table
// end with the next Insert(). Not thread-safe; internal to backends.
template <typename State>
class SourceTable {
 public:
  static constexpr uint32_t kNone = SourceId::kNoSlot;

  // Gives `source` a slot with a fresh State, and the slot's name to the source.
  uint32_t Insert(Source& source) {
    uint32_t slot = free_;
    if (slot == kNone) {
      slot = static_cast<uint32_t>(entries_.size());
      GrowByAQuarter(entries_, entries_.size() + 1);
      entries_.emplace_back();
    } else {
      free_ = entries_[slot].next_free;
    }
    Entry& entry = entries_[slot];
    entry.state = State();
    entry.source = &source;
    source.set_id({slot, entry.generation});
    const auto fd = static_cast<size_t>(source.fd());
    if (fd >= by_fd_.size()) {
      GrowByAQuarter(by_fd_, fd + 1);
      by_fd_.resize(fd + 1, kNone);
    }
    by_fd_[fd] = slot;
    ++size_;
    return slot;
  }

  // Makes every copy of the slot's present name stale and the source unattached. Its descriptor
  // must have been forgotten.
  void Erase(uint32_t slot) {
    Entry& entry = entries_[slot];
    assert(entry.source != nullptr);
    entry.source->set_id({});
    entry.source = nullptr;
    ++entry.generation;
    entry.next_free = free_;
    free_ = slot;
    --size_;
  }

  // The descriptor of `slot` is about to be closed or handed back: its number may come again while
  // the slot still waits for its kClosed. Does nothing once another slot has the number.
  void ForgetFd(uint32_t slot, int fd) {
    uint32_t& owner = by_fd_[static_cast<size_t>(fd)];
    if (owner == slot) owner = kNone;
  }
  bool KnowsFd(int fd) const {
    return static_cast<size_t>(fd) < by_fd_.size() && by_fd_[static_cast<size_t>(fd)] != kNone;
  }

  // The slot of an attached source.
  uint32_t SlotOf(const Source& source) const {
    assert(IsCurrent(source.id()) && entries_[source.id().slot].source == &source);
    return source.id().slot;
  }
  bool IsCurrent(SourceId id) const {
    return id.slot < entries_.size() && entries_[id.slot].source != nullptr &&
           entries_[id.slot].generation == id.generation;
  }

  State& operator[](uint32_t slot) { return entries_[slot].state; }
  const State& operator[](uint32_t slot) const { return entries_[slot].state; }
  Source* source(uint32_t slot) const { return entries_[slot].source; }  // nullptr in a free slot
  uint32_t generation(uint32_t slot) const { return entries_[slot].generation; }

  size_t size() const { return size_; }                                      // attached sources
  uint32_t slots() const { return static_cast<uint32_t>(entries_.size()); }  // used and free

 private:
  struct Entry {
    Source* source = nullptr;
    uint32_t generation = 0;
    uint32_t next_free = kNone;
    State state;
  };

  std::vector<Entry> entries_;
  std::vector<uint32_t> by_fd_;  // descriptor number to slot
  uint32_t free_ = kNone;
  size_t size_ = 0;
};

}  // namespace quintet

#endif  // QUINTET_REACTOR_SOURCE_TABLE_H_
