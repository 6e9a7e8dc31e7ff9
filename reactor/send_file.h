// sendfile(2), without its signal and with its errors told apart.
#ifndef QUINTET_REACTOR_SEND_FILE_H_
#define QUINTET_REACTOR_SEND_FILE_H_

#include <cstdint>

#include "reactor/file_range.h"

namespace quintet {

// Sends from the beginning of `range`, which is not empty, what a non-blocking socket has room for,
// at most Backend::kMaxSendFileBytes. Returns the bytes (never 0), -ENODATA where the file has
// ended before the range begins or cannot be read there, or -errno of the socket. Never raises
// SIGPIPE. May wait for a disk where the range is not in memory. Any thread.
int32_t SendFile(int socket, const FileRange& range);

}  // namespace quintet

#endif  // QUINTET_REACTOR_SEND_FILE_H_
