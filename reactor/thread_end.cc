#include "reactor/thread_end.h"

#include <errno.h>
#include <signal.h>
#include <unistd.h>

namespace quintet {

bool ThreadHasEnded(pid_t tid) {
  constexpr int kAttempts = 1000;
  constexpr useconds_t kPauseMicroseconds = 1000;
  for (int i = 0; i < kAttempts; ++i) {
    if (::tgkill(::getpid(), tid, 0) < 0 && errno == ESRCH) return true;
    ::usleep(kPauseMicroseconds);
  }
  return false;
}

}  // namespace quintet
