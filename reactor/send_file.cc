#include "reactor/send_file.h"

#include <errno.h>
#include <sys/sendfile.h>
#include <unistd.h>

#include <algorithm>
#include <cassert>

#include "reactor/backend.h"
#include "reactor/errno_class.h"
#include "reactor/sigpipe_hold.h"

namespace quintet {
namespace {

// Whether sendfile(2), which tells errors of either side, failed for the file's sake: then the file
// fails again. EINVAL is that of a file system which cannot do it.
bool FileFails(int error, const FileRange& range) {
  if (MayBeSentLater(error) || IsReset(error)) return false;
  char byte;
  return error == EINVAL ||
         ::pread(range.fd, &byte, sizeof(byte), static_cast<off_t>(range.offset)) != sizeof(byte);
}

}  // namespace

int32_t SendFile(int socket, const FileRange& range) {
  assert(range.length > 0);
  const auto length =
      static_cast<size_t>(std::min<uint64_t>(range.length, Backend::kMaxSendFileBytes));
  auto offset = static_cast<off_t>(range.offset);
  ssize_t sent;
  int error;
  {
    const SigpipeHold hold;
    sent = ::sendfile(socket, range.fd, &offset, length);
    error = sent < 0 ? errno : 0;
    const bool may_have_raised = sent >= 0 ? static_cast<size_t>(sent) < length : error != EAGAIN;
    if (may_have_raised) hold.TakeBack();
  }
  if (sent > 0) return static_cast<int32_t>(sent);
  return sent == 0 || FileFails(error, range) ? -ENODATA : -error;
}

}  // namespace quintet
