// Whether another thread is still there to call in.
#ifndef QUINTET_REACTOR_THREAD_END_H_
#define QUINTET_REACTOR_THREAD_END_H_

#include <sys/types.h>

namespace quintet {

// Whether thread `tid` of this process has ended. Waits up to a second for it, since
// pthread_join(3) returns a little before the thread's number is gone.
bool ThreadHasEnded(pid_t tid);

}  // namespace quintet

#endif  // QUINTET_REACTOR_THREAD_END_H_
