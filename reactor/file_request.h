// What a loop may be asked to do with files (EventLoop::StartFile()).
#ifndef QUINTET_REACTOR_FILE_REQUEST_H_
#define QUINTET_REACTOR_FILE_REQUEST_H_

#include <linux/openat2.h>
#include <sys/stat.h>

#include <cstddef>
#include <cstdint>

#include "absl/functional/any_invocable.h"

namespace quintet {

// One operation that may block on a disk. Made by the functions below, so that only the members an
// operation has are set. Paths and buffers stay the caller's, in place, until the operation is
// over.
struct FileRequest {
  enum class Op : uint8_t { kOpen, kRead, kWrite, kSync, kRename, kUnlink, kWarm, kCall };

  // openat2(2). Result: the descriptor, with O_CLOEXEC whatever `how` says.
  static FileRequest Open(int directory, const char* path, const open_how& how);
  // pread(2), pwrite(2). May be short, as those; a read at the end of the file results in 0.
  static FileRequest Read(int fd, void* to, size_t length, uint64_t offset);
  static FileRequest Write(int fd, const void* from, size_t length, uint64_t offset);
  // fsync(2).
  static FileRequest Sync(int fd);
  // renameat2(2) and unlinkat(2), with their flags.
  static FileRequest Rename(int from_directory, const char* from, int to_directory, const char* to,
                            unsigned flags = 0);
  static FileRequest Unlink(int directory, const char* path, int flags = 0);
  // Brings a part of a file into memory (the page cache), so that sendfile(2) does not block on it.
  // Result: 0. At once, and within the call of StartFile() where it is there already and the kernel
  // can say so (cachestat(2), Linux 6.5).
  static FileRequest Warm(int fd, uint64_t offset, size_t length);
  // Anything else: called on a thread that may block. Must not throw. Its result is the result.
  static FileRequest Call(absl::AnyInvocable<int64_t()> call);

  Op op = Op::kCall;
  // ... members ...
};

// Does it here and now, blocking. The result, or -errno. EINTR is not one.
int64_t PerformFileRequest(FileRequest& request);

}  // namespace quintet

#endif  // QUINTET_REACTOR_FILE_REQUEST_H_
