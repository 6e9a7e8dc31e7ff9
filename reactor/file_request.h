// What a loop may be asked to do with files (EventLoop::StartFile()).
#ifndef QUINTET_REACTOR_FILE_REQUEST_H_
#define QUINTET_REACTOR_FILE_REQUEST_H_

#include <linux/openat2.h>

#include <cstddef>
#include <cstdint>

#include "absl/functional/any_invocable.h"

namespace quintet {

// What a request came to: its result, or -errno. EINTR is not one.
using FileDone = absl::AnyInvocable<void(int64_t result)>;

// One operation that may block on a disk. Made by the functions below, so that only the members an
// operation has are set. Paths and buffers stay the caller's, in place, until the request's
// callback is called or destroyed; descriptors stay open until then.
//
// Requests that are under way together are done in any order: write, then sync, means to wait for
// the write.
struct FileRequest {
  enum class Op : uint8_t { kOpen, kRead, kWrite, kSync, kRename, kUnlink, kWarm, kCall };

  // In place of an offset, for what has no positions (a FIFO): where the descriptor stands.
  static constexpr uint64_t kNoOffset = UINT64_MAX;
  // More is read and written by no call (read(2), "Notes").
  static constexpr size_t kMaxBytes = 0x7ffff000;

  // openat2(2), Linux 5.6. Result: the descriptor, with O_CLOEXEC whatever `how` says. One that
  // nobody is told of, because the loop ends, is closed.
  static FileRequest Open(int directory, const char* path, const open_how& how);
  // pread(2), pwrite(2). May be short, as those; a read at the end of the file results in 0.
  // Signals of a write (SIGXFSZ, SIGPIPE of a FIFO) may reach the loop's thread: ignore them.
  static FileRequest Read(int fd, void* to, size_t length, uint64_t offset);
  static FileRequest Write(int fd, const void* from, size_t length, uint64_t offset);
  // fsync(2).
  static FileRequest Sync(int fd);
  // renameat2(2) and unlinkat(2), with their flags.
  static FileRequest Rename(int from_directory, const char* from, int to_directory, const char* to,
                            unsigned flags = 0);
  static FileRequest Unlink(int directory, const char* path, int flags = 0);
  // Brings a part of a file into memory (the page cache), so that sendfile(2) does not block on it,
  // by reading it into nowhere. Result: 0, also where the file ends earlier. See FileIsWarm().
  static FileRequest Warm(int fd, uint64_t offset, size_t length);
  // Anything else: called on a thread that may block. Must not throw. Its result is the result. It
  // is destroyed on the loop's thread, before the callback is called.
  static FileRequest Call(absl::AnyInvocable<int64_t()> call);

  Op op = Op::kCall;
  int fd = -1;                 // or the directory of `path`
  int to_directory = -1;       // kRename
  unsigned flags = 0;          // kRename, kUnlink
  const char* path = nullptr;  // kOpen, kUnlink; of kRename the old one
  const char* to_path = nullptr;
  void* to = nullptr;
  const void* from = nullptr;
  size_t length = 0;
  uint64_t offset = 0;
  open_how how = {};
  absl::AnyInvocable<int64_t()> call;
};

// Does it here and now, blocking. The result, or -errno. Any thread.
int64_t PerformFileRequest(FileRequest& request) noexcept;

// For whoever has performed a request and finds nobody to tell: closes what it has opened.
void DiscardFileResult(const FileRequest& request, int64_t result);

// Whether a part of a file, which must lie within it, is in the page cache, so that neither a read
// nor sendfile(2) blocks on it and there is nothing to warm. A hint: pages on their way from the
// disk count as well, and any page may be dropped at any moment. False where the kernel does not
// tell: cachestat(2) came with Linux 6.5, some file systems lack it, and later kernels tell it only
// to those who own the file or may write it. One system call, which does not block. Any thread.
bool FileIsWarm(int fd, uint64_t offset, size_t length);

}  // namespace quintet

#endif  // QUINTET_REACTOR_FILE_REQUEST_H_
