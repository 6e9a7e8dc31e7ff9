// The seam between the event loop and the kernel: stream-shaped completions, pulled by the loop.
//
// A direction of a source is "armed until stopped": StartRecv once, then one completion after
// another until StopRecv, Close, end of file or error. Readiness backends and io_uring both are
// this already, so one connection class serves all five. docs/contract.md holds the rules below in
// full, with the test of each.
#ifndef QUINTET_REACTOR_BACKEND_H_
#define QUINTET_REACTOR_BACKEND_H_

#include <sys/socket.h>
#include <sys/uio.h>

#include <atomic>
#include <cstdint>
#include <span>

#include "absl/status/status.h"
#include "reactor/backend_kind.h"
#include "reactor/clock.h"
#include "reactor/file_range.h"
#include "reactor/file_request.h"
#include "reactor/readiness.h"
#include "reactor/source.h"

namespace quintet {

// What becomes of the descriptor when its source is closed.
enum class CloseMode : uint8_t {
  kClose,  // close(2): FIN, or RST where input was left unread
  kReset,  // close(2) with SO_LINGER 0: RST at once, unsent bytes are dropped
  kKeep,   // the descriptor stays open and goes back to the source's owner
};

// Those who wait in the kernel's queue of a socket when accepting from it ends.
enum class Backlog : uint8_t {
  kLeave,  // to others who accept from the socket
  kTake,   // nobody else will: they are accepted first, lest the kernel reset them
};

// What a backend did since it was made. Plain counters: read them on the loop's thread.
struct BackendStats {
  uint64_t waits = 0;            // returns of Wait()
  uint64_t wait_syscalls = 0;    // select, poll, epoll_wait, io_uring_enter
  uint64_t update_syscalls = 0;  // epoll_ctl and the like; 0 where the set is passed to each wait
  uint64_t io_syscalls = 0;      // accept4, recv, send, sendfile, connect made one by one
  uint64_t completions = 0;      // returned by Next()
  uint64_t sends_now = 0;        // SendNow(), SendFileNow() that took bytes: without a completion
  uint64_t events = 0;           // readiness events, or completion-queue entries, harvested
  uint64_t wakes = 0;            // Wake() seen by Wait()
  uint64_t stale_events = 0;     // events for a source that was gone, dropped
  uint64_t empty_accepts = 0;    // accept was woken and found nobody at all
  uint64_t accept_retries = 0;   // transient accept errors passed over (ECONNABORTED, ...)
  uint64_t exhaustion_retries = 0;  // ENOBUFS, ENOMEM, EAGAIN of the ring: tried again later
  uint64_t buffer_starvation = 0;   // a receive ended because the buffer ring ran dry
  uint64_t cq_overflows = 0;        // the completion queue was found overflown
  uint64_t multishot_rearms = 0;    // a multishot operation ended by itself and was armed again
};

// Owned by one EventLoop and called on its thread, Wake() alone excepted. Start, Stop and Close
// never complete inside the call and never run user code: completions come out of Next() only.
class Backend {
 public:
  // A loop that goes away with sources attached closes them first (EventLoop::~EventLoop).
  virtual ~Backend() = default;

  virtual BackendKind kind() const = 0;

  // Ties the backend to the calling thread, the only one that may call it from here on (io_uring
  // is enabled here: IORING_SETUP_SINGLE_ISSUER wants one submitter). Called once, by the first
  // turn of the loop. Before it, Add and the Start functions may be called from one thread at a
  // time. An error is final.
  virtual absl::Status BindToThread() = 0;

  // Adopts `source` and its descriptor until Close(). The descriptor must be non-blocking and in no
  // other source of this backend. Errors: ResourceExhausted (select and a descriptor at or above
  // FD_SETSIZE), AlreadyExists, InvalidArgument (not an open descriptor). On error the source is
  // not attached and the descriptor stays the caller's.
  virtual absl::Status Add(Source& source) = 0;

  // Listening sockets. One kAccept for each connection until StopAccept, Close or an error
  // (-EMFILE, -ENFILE, -ENOBUFS, -ENOMEM and fatal ones), which disarms. Transient errors of
  // accept(2) are retried and counted, not delivered. After StopAccept, connections that the kernel
  // had already accepted may still come; they are the receiver's. Called again while it accepts,
  // StartAccept looks at once whether somebody waits: where several loops accept from one socket,
  // one of them may have gone with the wake-up.
  virtual void StartAccept(Source& source) = 0;
  virtual void StopAccept(Source& source) = 0;

  // StopAccept() with notice: one kAccept with -ECANCELED, behind the connections that the kernel
  // had already accepted, and with Backlog::kTake behind those that waited to be, is the last.
  // Closing the source after it loses none of them. kTake ends when accept(2) finds nobody (EAGAIN)
  // or fails, out of descriptors say, and at kMaxTakenAtEnd. Not to be followed by StartAccept().
  virtual void FinishAccept(Source& source, Backlog backlog) = 0;

  // The longest queue there is where nobody has raised net.core.somaxconn (4096 since Linux 5.4):
  // those who were there are taken, and a storm of others does not keep the socket open.
  static constexpr uint16_t kMaxTakenAtEnd = 4096;

  // Before the first StartAccept: other loops accept from the same socket, and one of them is to be
  // woken for a connection, not all. epoll: EPOLLEXCLUSIVE (epoll_ctl(2), Linux 4.5). io_uring
  // waits like that anyway; select and poll cannot, and wake them all.
  virtual void ShareAccept(Source& source) { static_cast<void>(source); }

  // Connected sockets. kRecv with the bytes as they come, until StopRecv, Close, end of file
  // (result 0, once) or an error (-errno, once). StopRecv speaks of the future: bytes that the
  // kernel had already moved may still come; StartRecv right after it works.
  virtual void StartRecv(Source& source) = 0;
  virtual void StopRecv(Source& source) = 0;

  // Sends what `buffers` (1 to kMaxSendBuffers, not empty in sum) point to. One kSend follows,
  // which may be short, or -errno. At most one send in flight per source. The array and the bytes
  // stay untouched until that kSend, or until kClosed.
  static constexpr size_t kMaxSendBuffers = 16;
  virtual void StartSend(Source& source, std::span<const iovec> buffers) = 0;

  // The same for a caller to whom success is no news: where all is sent at once, the kSend may wait
  // until something else ends a Wait(), unless ExpectSend() is called before the Wait().
  virtual void StartLazySend(Source& source, std::span<const iovec> buffers) {
    StartSend(source, buffers);
  }
  // The kSend of the send in flight, if there is one, has become news.
  virtual void ExpectSend(Source& source) { static_cast<void>(source); }

  // Sends what the kernel takes within this call: nearly always all of it, and then no kSend has to
  // come back through Next(). Returns the bytes taken. 0: none for now, for whatever reason;
  // StartSend() waits, and tells the error if that was it. No send may be in flight. Backends that
  // gather sends for one system call answer 0.
  virtual size_t SendNow(Source& source, std::span<const iovec> buffers) {
    static_cast<void>(source);
    static_cast<void>(buffers);
    return 0;
  }

  // Sends from a file without bringing its bytes into the process (sendfile(2)). One kSend follows:
  // bytes from the beginning of `range` (which is not empty), often fewer than it has; -ENODATA
  // where the file has ended there or cannot be read; or -errno of the socket. At most one send in
  // flight per source, whatever is sent. `range` and the descriptor in it stay untouched until that
  // kSend, or until kClosed. Bytes of the file that change meanwhile, also after the kSend, are
  // sent in either form. Whoever wants no wait for a disk has brought the range into memory before.
  virtual void StartSendFile(Source& source, const FileRange& range) = 0;
  // As SendNow(), which see: the bytes taken, and where it is 0 StartSendFile() with the same range
  // tells why, unless the source is closed.
  virtual size_t SendFileNow(Source& source, const FileRange& range) {
    static_cast<void>(source);
    static_cast<void>(range);
    return 0;
  }
  // Of a file at one go, in bytes: a reader that keeps up would hold the loop for the whole file.
  // Measured on loopback with the file in memory: at most 20 us for so many; smaller pieces cost
  // more in all, larger ones no less.
  static constexpr size_t kMaxSendFileBytes = 256 << 10;

  // Half-close: FIN after the bytes that were sent, as kSend or SendNow() told (shutdown(2)
  // SHUT_WR). No send may be in flight. Receiving goes on.
  virtual void ShutdownSend(Source& source) = 0;

  // Connects a socket. One kConnect follows (0 or -errno). `address` stays untouched until it.
  virtual void StartConnect(Source& source, const sockaddr* address, socklen_t length) = 0;

  // Raw readiness, for descriptors that others read and write. kReady whenever `interest` (a set of
  // kReadable, kWritable, kPriority; kNone pauses) holds, as `trigger` says; hang-up and error are
  // reported with it. Calling it again replaces interest and trigger. Unimplemented where the
  // backend has no edges (select, poll).
  virtual absl::Status Watch(Source& source, Readiness interest, Trigger trigger) = 0;

  // Performs `request` where it holds up nobody, and calls `done` from the completion of a source
  // of the backend's own (kFile). True: both were moved from. False, and both are left as they
  // were: not here, threads have to do it. Other errors are results.
  virtual bool StartFile(FileRequest& request, FileDone& done) {
    static_cast<void>(request);
    static_cast<void>(done);
    return false;
  }

  // For the end of a loop: waits for the file requests that are being performed, drops the others,
  // and destroys all their callbacks without calling them, when the kernel uses no memory of theirs
  // any more.
  virtual void EndFiles() {}

  // Ends everything. Exactly one kClosed follows, and it is the last completion of `source`; when
  // it is delivered the kernel holds no pointer to memory of the source and the descriptor is
  // closed (or, with kKeep, no longer used). Calling it again before kClosed does nothing.
  virtual void Close(Source& source, CloseMode mode) = 0;

  // Applies what was asked for and blocks until a completion is there, `deadline` has passed or
  // Wake() was called, also if it was called before. Does not block with kPollOnly. Errors of the
  // wait itself are programming errors or exhaustion: retried and counted.
  virtual void Wait(TimePoint deadline) = 0;

  // The next completion of this turn into `*completion`; false when there is none left. Between two
  // completions of one source every other ready source has its turn.
  virtual bool Next(Completion* completion) = 0;

  // Makes the current or the next Wait() return. Any thread, also inside a signal handler.
  virtual void Wake() = 0;

  // Sources that Add() took and that were not yet told kClosed.
  virtual size_t attached_sources() const = 0;

  // Closes every attached source that is not closing yet: kKeep those that are watched, for their
  // descriptors are others', kClose the rest. For the end of a loop.
  virtual void CloseAll() = 0;

  // Checks the backend's own structures; ends the process with a message on a contradiction. Called
  // each turn in debug builds and by tests.
  virtual void Validate() const = 0;

  const BackendStats& stats() const { return stats_; }
  // Where to count BackendStats::empty_accepts as well, for other threads and processes to read.
  // Must outlive the backend.
  void set_empty_accepts(std::atomic<uint64_t>* counter) { empty_accepts_ = counter; }

 protected:
  void CountEmptyAccept() {
    ++stats_.empty_accepts;
    if (empty_accepts_ != nullptr) empty_accepts_->fetch_add(1, std::memory_order_relaxed);
  }

  BackendStats stats_;

 private:
  std::atomic<uint64_t>* empty_accepts_ = nullptr;
};

}  // namespace quintet

#endif  // QUINTET_REACTOR_BACKEND_H_
