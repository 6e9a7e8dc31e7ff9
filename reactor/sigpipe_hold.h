// Keeps SIGPIPE away from system calls that have no MSG_NOSIGNAL.
#ifndef QUINTET_REACTOR_SIGPIPE_HOLD_H_
#define QUINTET_REACTOR_SIGPIPE_HOLD_H_

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <time.h>

#include "reactor/signal_set.h"

namespace quintet {

// write(2) to a pipe that nobody reads and sendfile(2) to a socket whose peer is gone raise SIGPIPE
// in the calling thread (pipe(7), send(2)). How the process treats the signal is not a library's to
// change: while this lives, it is blocked on this thread, which must be the same throughout. Two
// system calls, four where the caller had it blocked.
class SigpipeHold final {
 public:
  SigpipeHold() {
    const sigset_t sigpipe = SignalSet({SIGPIPE});
    ::pthread_sigmask(SIG_BLOCK, &sigpipe, &before_);
    // Not blocked, none can have waited. One that did is somebody else's.
    if (::sigismember(&before_, SIGPIPE) == 0) return;
    sigset_t pending;
    ::sigpending(&pending);
    others_ = ::sigismember(&pending, SIGPIPE) == 1;
  }
  // Leaves errno as it was.
  ~SigpipeHold() { ::pthread_sigmask(SIG_SETMASK, &before_, nullptr); }
  SigpipeHold(const SigpipeHold&) = delete;
  SigpipeHold& operator=(const SigpipeHold&) = delete;

  // Takes the signal back, if a call since then has raised it. A call that was cut short may have
  // done so as well as one that failed with EPIPE. Leaves errno as it was.
  void TakeBack() const {
    if (others_) return;
    const int saved_errno = errno;
    const sigset_t sigpipe = SignalSet({SIGPIPE});
    const timespec at_once{};
    while (::sigtimedwait(&sigpipe, nullptr, &at_once) < 0 && errno == EINTR) {
    }
    errno = saved_errno;
  }

 private:
  sigset_t before_;
  bool others_ = false;
};

}  // namespace quintet

#endif  // QUINTET_REACTOR_SIGPIPE_HOLD_H_
