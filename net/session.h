// A protocol without I/O: bytes in, bytes out. Nothing here knows of loops, sockets or threads, so
// one session runs under every backend, under the simulator, under a fuzzer and under the blocking
// models.
#ifndef QUINTET_NET_SESSION_H_
#define QUINTET_NET_SESSION_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>

#include "absl/functional/any_invocable.h"
#include "absl/status/statusor.h"
#include "net/address.h"
#include "net/unique_fd.h"
#include "reactor/clock.h"

namespace quintet {

class EventLoop;

// Why a connection ended, as Session::OnClosed() is told and as servers count it.
enum class CloseReason : uint8_t {
  kNone,            // not closed
  kLocal,           // the session asked for it and everything was sent
  kPeerClosed,      // end of file from the peer, everything was sent
  kPeerReset,       // ECONNRESET, EPIPE
  kError,           // another socket error
  kConnectFailed,   // refused, unreachable
  kConnectTimeout,  // the connect deadline passed
  kDeadline,        // the session let a deadline close it
  kWriteStall,      // the peer took nothing for the write-stall timeout
  kOutputLimit,     // more output than the cap was written
  kLingerTimeout,   // everything was sent, but the peer did not close in time
  kSessionError,    // a session callback threw
  kAborted,         // Abort(), or destroyed by its owner
  kRefused,         // the backend could not take the descriptor (select and FD_SETSIZE)
  kDrained,         // idle when the deadline of a drain came
  kProxyHeader,     // the PROXY header was missing, cut off or wrong
};
std::string_view CloseReasonName(CloseReason reason);

// Runs tasks on the thread of a connection. Any thread may call it, also after the connection, its
// loop and its server are gone: then the task is destroyed and false is returned.
class Executor {
 public:
  virtual ~Executor() = default;
  virtual bool Post(absl::AnyInvocable<void()> task) = 0;
};

// What a session may do to its connection. Implemented by Connection, by the test transports and by
// the blocking models. On the connection's thread only; nothing here calls back into the session.
class Transport {
 public:
  // Appends to the output; bytes leave once the current callback has returned, together with all
  // other output of that turn. After Close() or Abort() it does nothing. More output than the cap
  // aborts the connection with kOutputLimit.
  virtual void Write(std::string_view bytes) = 0;

  // Appends `length` bytes of a regular file from `offset`, in order with what Write() appends
  // before and after. They go from the page cache to the socket (sendfile(2)) without being copied
  // into the process, so that they count for the marks and not for the cap; what is noted of each
  // call counts for it, about a hundred bytes. `file`, open for reading, is held until they have
  // left or the connection is gone. A length of 0 does nothing. offset + length is at most
  // INT64_MAX.
  //
  // A file that ends too early or cannot be read is told by OnFileShort(), one that is written to
  // meanwhile by nobody. Where the range is not in memory, the thread waits for the disk: who
  // shares it with others warms the range before.
  virtual void WriteFile(std::shared_ptr<const UniqueFd> file, uint64_t offset,
                         uint64_t length) = 0;

  // Output not yet taken by the kernel, in bytes, those in files included.
  virtual size_t output_bytes() const = 0;
  // Above the high mark and not yet down to the low mark again: the moment to stop producing.
  // OnOutputDrained() tells when it is over.
  virtual bool output_blocked() const = 0;

  // Takes no more input, sends the output, then closes in stages so that the peer can read the last
  // reply although it has sent more (RFC 9112 section 9.6): FIN, then input is discarded until the
  // peer closes or the linger deadline passes.
  virtual void Close() = 0;
  // Closes at once with a reset; output is dropped.
  virtual void Abort(CloseReason reason) = 0;
  // Close() or Abort() was called.
  virtual bool ending() const = 0;

  // Stops and restarts the calls of OnData(). Bytes that arrive while paused are kept.
  virtual void PauseReading() = 0;
  virtual void ResumeReading() = 0;
  virtual bool reading_paused() const = 0;

  // One deadline at a time; kNever takes it back, as does Close(). OnDeadline() is called once it
  // has passed. Moving it costs next to nothing.
  virtual void SetDeadline(TimePoint deadline) = 0;
  // The time of this turn.
  virtual TimePoint now() const = 0;

  // The server is about to go away, not merely to be replaced by a successor: who asks how it is
  // should hear so. Connections are accepted and served as ever until the drain begins.
  virtual bool stopping() const = 0;

  // The client's address: what SetPeerAddress() said, else that of the other end, by a system call
  // (getpeername(2)). An error when the connection is gone. The address of a client of a Unix
  // socket has no name.
  virtual absl::StatusOr<Address> PeerAddress() const = 0;
  // For sessions that learn from a proxy whose connection it passes on. Costs memory for as long as
  // the connection lasts.
  virtual void SetPeerAddress(const Address& address) = 0;
  // The address of this end, by a system call (getsockname(2)). An error when the connection is
  // gone, and where a transport has none.
  virtual absl::StatusOr<Address> LocalAddress() const;

  // The loop that the connection is on, for sessions that wait for more than their peer, such as
  // the programs that they run. Null where there is none, as under the blocking models.
  virtual EventLoop* loop() { return nullptr; }

  // For replies from other threads. The same for all connections of a loop.
  virtual std::shared_ptr<Executor> executor() = 0;

 protected:
  ~Transport() = default;
};

// One connection's protocol state. Its transport owns it: callbacks come on one thread, one at a
// time, OnOpen first and OnClosed last, and the session is destroyed after OnClosed returned. A
// callback that throws closes its connection (kSessionError) and nothing else.
class Session {
 public:
  virtual ~Session() = default;

  // For transports only: names the transport, once, before OnOpen().
  void Attach(Transport& transport) { transport_ = &transport; }

  // The connection is established.
  virtual void OnOpen() {}

  // Bytes from the peer, valid during the call only. Returns how many were consumed. What is left
  // is kept by the transport, which then stops reading as by PauseReading(); ResumeReading() brings
  // the rest again, together with what follows.
  virtual size_t OnData(std::span<const std::byte> data) = 0;

  // End of file from the peer (once, after all data was consumed). Output may still be written. A
  // session with nothing more to say closes, as this default does.
  virtual void OnEof() { transport().Close(); }

  // The output has fallen to the low mark after it had been above the high mark.
  virtual void OnOutputDrained() {}

  // Of a range of WriteFile() the last `missing` bytes are not in the file, or cannot be read. Told
  // once per range, before anything is sent in their place, also after Close(). A session that goes
  // on has zero bytes sent, so that the peer finds what follows where it expects it, and must have
  // a way to tell it. The default aborts with kError.
  virtual void OnFileShort(uint64_t missing) {
    static_cast<void>(missing);
    transport().Abort(CloseReason::kError);
  }

  // The deadline has passed. The default aborts with kDeadline.
  virtual void OnDeadline() { transport().Abort(CloseReason::kDeadline); }

  // The server is being stopped or replaced: come to an end in a way that the peer can tell, then
  // Close(). Told once. A protocol that can announce the end goes on until it has done so; what is
  // left when the drain's deadline comes is closed where idle(), and aborted elsewhere. The default
  // closes at once (after sending the output).
  virtual void OnDrain() { transport().Close(); }

  // Nothing is in progress, so that an end of file takes nothing away from the peer. Asked between
  // callbacks, of a connection without output and without input that was not consumed; must not
  // throw. A session that cannot tell is not idle, as in this default: a reset is never mistaken
  // for the end of a reply.
  virtual bool idle() const { return false; }

  // The connection is gone. Nothing may be written any more.
  virtual void OnClosed(CloseReason reason) { static_cast<void>(reason); }

 protected:
  // Valid from OnOpen() until OnClosed() has returned.
  Transport& transport() { return *transport_; }
  const Transport& transport() const { return *transport_; }

 private:
  Transport* transport_ = nullptr;
};

// Makes the session of each new connection. Shards call it on their own threads at the same time.
class SessionFactory {
 public:
  virtual ~SessionFactory() = default;
  virtual std::unique_ptr<Session> CreateSession() = 0;
};

}  // namespace quintet

#endif  // QUINTET_NET_SESSION_H_
