// Turns an errno into the status that the set-up functions return.
#ifndef QUINTET_NET_ERRNO_STATUS_H_
#define QUINTET_NET_ERRNO_STATUS_H_

#include <string_view>

#include "absl/status/status.h"

namespace quintet {

// "`what`: EADDRINUSE (Address already in use)" under the code that net/ promises: AlreadyExists
// for EADDRINUSE, InvalidArgument for EADDRNOTAVAIL, what abseil makes of any other.
absl::Status ErrnoStatus(int error, std::string_view what);

}  // namespace quintet

#endif  // QUINTET_NET_ERRNO_STATUS_H_
