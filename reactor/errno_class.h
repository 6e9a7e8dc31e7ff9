// What an error number means for the operation that met it.
#ifndef QUINTET_REACTOR_ERRNO_CLASS_H_
#define QUINTET_REACTOR_ERRNO_CLASS_H_

#include <errno.h>

namespace quintet {

// The connection at the head of the queue is gone, the listener is well: accept the next one.
// accept(2), "Error handling", asks to treat pending network errors like EAGAIN.
constexpr bool IsTransientAcceptError(int error) {
  switch (error) {
    case ECONNABORTED:
    case EINTR:
    case EPROTO:
    case EPERM:  // refused by a firewall rule
    case ENETDOWN:
    case ENETUNREACH:
    case ENOPROTOOPT:
    case EHOSTDOWN:
    case EHOSTUNREACH:
    case ENONET:
    case ETIMEDOUT:
      return true;
    default:
      return false;
  }
}

// The kernel is short of memory for the moment; the same call may succeed later.
constexpr bool IsMemoryExhaustion(int error) { return error == ENOBUFS || error == ENOMEM; }

// A send that met this may be made again; any other error ends the sending.
constexpr bool MayBeSentLater(int error) {
  return error == EAGAIN || error == EINTR || IsMemoryExhaustion(error);
}

// The other end has given the connection up.
constexpr bool IsReset(int error) {
  return error == ECONNRESET || error == EPIPE || error == ECONNABORTED;
}

// The process or the system has no descriptor left.
constexpr bool IsDescriptorExhaustion(int error) { return error == EMFILE || error == ENFILE; }

}  // namespace quintet

#endif  // QUINTET_REACTOR_ERRNO_CLASS_H_
