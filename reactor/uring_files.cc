#include "reactor/uring_files.h"

#include <errno.h>

#include <algorithm>
#include <cassert>
#include <cstdio>
#include <cstdlib>
#include <utility>

#include "reactor/errno_class.h"
#include "reactor/uring_source.h"

namespace quintet {
namespace {

// What one submission of kWarm reads: a disk streams, and what is copied stays in the cache.
constexpr size_t kWarmBytes = 128 << 10;

// How often a request rests that met want of memory or of a kernel's thread; after that its owner
// is told. With UringBackend::kExhaustionRetry between them, 50 ms.
constexpr uint8_t kMaxRetries = 5;

// The operation of io_uring for a request; -1: none.
int OpcodeOf(FileRequest::Op op) {
  switch (op) {
    case FileRequest::Op::kOpen:
      return IORING_OP_OPENAT2;
    case FileRequest::Op::kRead:
    case FileRequest::Op::kWarm:
      return IORING_OP_READ;
    case FileRequest::Op::kWrite:
      return IORING_OP_WRITE;
    case FileRequest::Op::kSync:
      return IORING_OP_FSYNC;
    case FileRequest::Op::kRename:
      return IORING_OP_RENAMEAT;
    case FileRequest::Op::kUnlink:
      return IORING_OP_UNLINKAT;
    case FileRequest::Op::kCall:
      return -1;
  }
  return -1;
}

bool MayRest(const FileRequest& request, int error) {
  // To whom asked for an open that does not block, EAGAIN is the answer (openat2(2)).
  const bool cached_only = request.op == FileRequest::Op::kOpen &&
                           (request.how.resolve & static_cast<uint64_t>(RESOLVE_CACHED)) != 0;
  // ECANCELED: the kernel could not start a thread for it.
  return (error == EAGAIN && !cached_only) || error == ECANCELED || IsMemoryExhaustion(error);
}

void Check(bool condition, const char* what) {
  if (condition) return;
  std::fprintf(stderr, "quintet: UringFiles: %s\n", what);
  std::abort();
}

}  // namespace

bool UringFiles::Add(const UringRing& ring, FileRequest& request, FileDone& done) {
  const int opcode = OpcodeOf(request.op);
  if (opcode < 0 || !ring.Supports(opcode)) return false;
  if (free_ == SourceId::kNoSlot) {
    if (entries_.size() == UringName::kMaxSlots) return false;
    free_ = static_cast<uint32_t>(entries_.size());
    entries_.emplace_back();
  }
  const uint32_t slot = free_;
  Entry& entry = entries_[slot];
  free_ = entry.next_free;
  entry.request = std::move(request);
  entry.done = std::move(done);
  entry.cancelling = false;
  entry.retries = 0;
  Enqueue(slot);
  return true;
}

void UringFiles::Enqueue(uint32_t slot) {
  entries_[slot].state = State::kWaiting;
  waiting_.Push(IdOf(slot));
}

void UringFiles::Prepare(io_uring_sqe* sqe) {
  const uint32_t slot = waiting_.Pop().slot;
  Entry& entry = entries_[slot];
  FileRequest& request = entry.request;
  const auto bytes = static_cast<unsigned>(std::min(request.length, FileRequest::kMaxBytes));
  switch (request.op) {
    case FileRequest::Op::kOpen:
      io_uring_prep_openat2(sqe, request.fd, request.path, &request.how);
      break;
    case FileRequest::Op::kRead:
      io_uring_prep_read(sqe, request.fd, request.to, bytes, request.offset);
      break;
    case FileRequest::Op::kWrite:
      io_uring_prep_write(sqe, request.fd, request.from, bytes, request.offset);
      break;
    case FileRequest::Op::kSync:
      io_uring_prep_fsync(sqe, request.fd, 0);
      break;
    case FileRequest::Op::kRename:
      io_uring_prep_renameat(sqe, request.fd, request.path, request.to_directory, request.to_path,
                             request.flags);
      break;
    case FileRequest::Op::kUnlink:
      io_uring_prep_unlinkat(sqe, request.fd, request.path, static_cast<int>(request.flags));
      break;
    case FileRequest::Op::kWarm:
      if (nowhere_ == nullptr) nowhere_ = std::make_unique_for_overwrite<std::byte[]>(kWarmBytes);
      io_uring_prep_read(sqe, request.fd, nowhere_.get(),
                         static_cast<unsigned>(std::min(request.length, kWarmBytes)),
                         request.offset);
      break;
    case FileRequest::Op::kCall:
      assert(false);
      break;
  }
  sqe->user_data = UringName::Pack(IdOf(slot), UringOp::kFile);
  entry.state = State::kInFlight;
  ++in_flight_;
}

bool UringFiles::IsInFlight(SourceId id) const {
  return id.slot < entries_.size() && entries_[id.slot].generation == id.generation &&
         entries_[id.slot].state == State::kInFlight;
}

UringFiles::Fate UringFiles::OnResult(SourceId id, int32_t result) {
  if (!IsInFlight(id)) {
    assert(false && "the end of a file request that is not in flight");
    return Fate::kStale;
  }
  Entry& entry = entries_[id.slot];
  FileRequest& request = entry.request;
  --in_flight_;
  entry.cancelling = false;
  if (!ending_) {
    if (result == -EINTR) {
      Enqueue(id.slot);
      return Fate::kAgain;
    }
    if (MayRest(request, -result) && entry.retries < kMaxRetries) {
      ++entry.retries;
      entry.state = State::kResting;
      resting_.Push(id);
      return Fate::kRests;
    }
    if (request.op == FileRequest::Op::kWarm && result > 0) {
      request.offset += static_cast<uint32_t>(result);
      request.length -= std::min(request.length, static_cast<size_t>(result));
      if (request.length > 0) {
        Enqueue(id.slot);
        return Fate::kAgain;
      }
      result = 0;
    }
  }
  entry.result = result;
  entry.state = State::kOver;
  ++over_;
  return Fate::kOver;
}

void UringFiles::EndRest() {
  while (!resting_.empty()) Enqueue(resting_.Pop().slot);
}

bool UringFiles::Deliver(uint32_t slot, Completion* completion) {
  // The turn of one that Clear() has destroyed.
  if (slot >= entries_.size() || entries_[slot].state != State::kOver) return false;
  Entry& entry = entries_[slot];
  *completion = turn_.Set(std::move(entry.done), entry.result);
  --over_;
  Free(slot);
  return true;
}

void UringFiles::Free(uint32_t slot) {
  Entry& entry = entries_[slot];
  entry.state = State::kFree;
  ++entry.generation;
  entry.next_free = free_;
  free_ = slot;
}

// ---- The end of a loop ----

void UringFiles::BeginEnd() {
  ending_ = true;
  while (!waiting_.empty()) entries_[waiting_.Pop().slot].state = State::kFree;
  while (!resting_.empty()) entries_[resting_.Pop().slot].state = State::kFree;
}

void UringFiles::PrepareCancel(uint32_t slot, io_uring_sqe* sqe) {
  io_uring_prep_cancel64(sqe, UringName::Pack(IdOf(slot), UringOp::kFile), 0);
  sqe->flags |= IOSQE_CQE_SKIP_SUCCESS;
  sqe->user_data = UringName::Pack(IdOf(slot), UringOp::kFileCancel);
  entries_[slot].cancelling = true;
}

void UringFiles::OnCancelFailed(SourceId id) {
  if (IsInFlight(id)) entries_[id.slot].cancelling = false;
}

void UringFiles::Abandon() {
  for (Entry& entry : entries_) {
    if (entry.state == State::kInFlight) entry.state = State::kFree;
  }
  in_flight_ = 0;
}

void UringFiles::Clear() {
  assert(in_flight_ == 0);
  for (const Entry& entry : entries_) {
    if (entry.state == State::kOver) DiscardFileResult(entry.request, entry.result);
  }
  // Aside first: what a callback owns may come back here.
  std::deque<Entry> dropped;
  dropped.swap(entries_);
  free_ = SourceId::kNoSlot;
  over_ = 0;
  ending_ = false;
}

void UringFiles::Validate() const {
  size_t waiting = 0;
  size_t in_flight = 0;
  size_t resting = 0;
  size_t over = 0;
  for (const Entry& entry : entries_) {
    waiting += entry.state == State::kWaiting ? 1 : 0;
    in_flight += entry.state == State::kInFlight ? 1 : 0;
    resting += entry.state == State::kResting ? 1 : 0;
    over += entry.state == State::kOver ? 1 : 0;
    Check((entry.state == State::kFree) == (entry.done == nullptr), "a callback is in no place");
  }
  Check(waiting == waiting_.size(), "the number of requests that wait is wrong");
  Check(in_flight == in_flight_, "the number of requests in flight is wrong");
  Check(resting == resting_.size(), "the number of requests that rest is wrong");
  Check(over == over_, "the number of requests that are over is wrong");
}

}  // namespace quintet
