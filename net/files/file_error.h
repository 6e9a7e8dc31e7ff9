// What an errno means to a client.
#ifndef QUINTET_NET_FILES_FILE_ERROR_H_
#define QUINTET_NET_FILES_FILE_ERROR_H_

#include "net/files/messages.h"

namespace quintet::files {

// Of an operation on a file, by openat2(2), open(2), rename(2), write(2). `error` is positive. The
// text tells nothing about where the root is.
ErrorMessage FromErrno(int error);

}  // namespace quintet::files

#endif  // QUINTET_NET_FILES_FILE_ERROR_H_
