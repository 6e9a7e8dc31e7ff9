#include "net/files/file_error.h"

#include <errno.h>
#include <string.h>

#include <array>
#include <string>

namespace quintet::files {
namespace {

ErrorCode CodeOf(int error) {
  switch (error) {
    case ENOENT:
    case ENOTDIR:
      return ErrorCode::kNotFound;
    case EXDEV:  // beyond the root: openat2(2), RESOLVE_BENEATH
    case ELOOP:
    case EACCES:
    case EPERM:
    case ETXTBSY:
      return ErrorCode::kForbidden;
    case EROFS:
      return ErrorCode::kReadOnly;
    case EISDIR:
    case ENXIO:  // a fifo without a reader, a socket, a device that is not there
    case ENODEV:
      return ErrorCode::kNotAFile;
    case EEXIST:
    case ENOTEMPTY:
      return ErrorCode::kExists;
    case EALREADY:
      return ErrorCode::kConflict;
    case ENOSPC:
    case EDQUOT:
    case EFBIG:
      return ErrorCode::kNoSpace;
    case ENAMETOOLONG:
    case EINVAL:
    case EILSEQ:  // file systems that want UTF-8
      return ErrorCode::kBadName;
    case EAGAIN:
    case EMFILE:
    case ENFILE:
    case ENOMEM:
      return ErrorCode::kBusy;
    default:
      return ErrorCode::kIo;
  }
}

}  // namespace

ErrorMessage FromErrno(int error) {
  const ErrorCode code = CodeOf(error);
  // Where the system's text would be about something else.
  if (code == ErrorCode::kNotAFile) return {code, "not a regular file"};
  if (code == ErrorCode::kConflict) return {code, "the same upload is being made"};
  if (error == EXDEV) return {code, "outside of the root"};
  std::array<char, 128> buffer;
  return {code, ::strerror_r(error, buffer.data(), buffer.size())};
}

}  // namespace quintet::files
