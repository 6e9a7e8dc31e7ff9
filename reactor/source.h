// The two sides of the backend seam that travel: what may be waited for, and what came of it.
#ifndef QUINTET_REACTOR_SOURCE_H_
#define QUINTET_REACTOR_SOURCE_H_

#include <cstddef>
#include <cstdint>
#include <span>

namespace quintet {

class Source;

// What a completion is about.
enum class Op : uint8_t {
  kAccept,   // result: the new descriptor (non-blocking, close-on-exec), owned by the receiver
  kConnect,  // result: 0
  kRecv,     // result: bytes in `data`; 0 is end of file, once
  kSend,     // result: bytes taken by the kernel, never 0
  kReady,    // result: a Readiness set
  kClosed,   // result: 0; the last completion of its source
  kFile,     // a file request is over: the backend's own source calls its callback, result 0
};

// One event, handed out by Backend::Next().
struct Completion {
  Source* source;                   // never stale: checked before it is returned
  std::span<const std::byte> data;  // kRecv only; valid until the next call of Next()
  int32_t result;                   // >= 0, or -errno
  Op op;
};
static_assert(sizeof(Completion) <= 32, "two completions to a cache line");

// Names a source inside its backend: the index of its slot, and how often that slot was reused.
struct SourceId {
  static constexpr uint32_t kNoSlot = UINT32_MAX;
  uint32_t slot = kNoSlot;
  uint32_t generation = 0;
};

// Anything that owns or borrows a descriptor and takes completions: Listener, Connection, Watcher.
// Owned by its creator and not movable: between Backend::Add() and the delivery of kClosed the
// backend holds its address. All calls on the loop's thread.
class Source {
 public:
  Source(const Source&) = delete;
  Source& operator=(const Source&) = delete;

  // Called by the loop with each completion of this source, never from inside a call that this
  // source makes on the backend. May destroy any source but must leave the memory of this one in
  // place until its kClosed was delivered.
  virtual void OnCompletion(const Completion& completion) = 0;

  // -1 while there is none. After kClosed with CloseMode::kKeep the number stays readable here.
  int fd() const { return fd_; }

  // Between Backend::Add() and the delivery of kClosed.
  bool attached() const { return id_.slot != SourceId::kNoSlot; }

  // For backends only: the name under which the backend knows this source.
  SourceId id() const { return id_; }
  void set_id(SourceId id) { id_ = id; }

 protected:
  explicit Source(int fd = -1) : fd_(fd) {}
  // Must not be attached any more (checked in debug builds).
  virtual ~Source();

  // Before Backend::Add() only.
  void set_fd(int fd) { fd_ = fd; }

 private:
  SourceId id_;
  int fd_;
};
static_assert(sizeof(Source) <= 24, "a source costs an idle connection three words");

}  // namespace quintet

#endif  // QUINTET_REACTOR_SOURCE_H_
