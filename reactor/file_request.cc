#include "reactor/file_request.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

namespace quintet {
namespace {

// What one read of kWarm brings: on the stack of a thread, and enough for a disk to stream.
constexpr size_t kWarmBytes = 64 << 10;

// cachestat(2), from include/uapi/linux/mman.h: newer than the headers of the C library.
constexpr long kCachestat = 451;
struct CachestatRange {
  uint64_t offset;
  uint64_t length;
};
struct Cachestat {
  uint64_t cached;  // pages
  uint64_t dirty;
  uint64_t writeback;
  uint64_t evicted;
  uint64_t recently_evicted;
};

template <typename Call>
int64_t Repeat(Call&& call) {
  for (;;) {
    const int64_t result = call();
    if (result >= 0) return result;
    if (errno != EINTR) return -errno;
  }
}

int64_t Read(int fd, void* to, size_t length, uint64_t offset) {
  const iovec part{to, std::min(length, FileRequest::kMaxBytes)};
  // Unlike pread(2) it knows kNoOffset.
  return Repeat([&] { return ::preadv2(fd, &part, 1, static_cast<off_t>(offset), 0); });
}

int64_t Write(int fd, const void* from, size_t length, uint64_t offset) {
  const iovec part{const_cast<void*>(from), std::min(length, FileRequest::kMaxBytes)};
  return Repeat([&] { return ::pwritev2(fd, &part, 1, static_cast<off_t>(offset), 0); });
}

int64_t Warm(int fd, uint64_t offset, size_t length) {
  char nowhere[kWarmBytes];
  while (length > 0) {
    const int64_t got = Read(fd, nowhere, std::min(length, sizeof(nowhere)), offset);
    if (got <= 0) return got;
    offset += static_cast<uint64_t>(got);
    length -= static_cast<size_t>(got);
  }
  return 0;
}

}  // namespace

FileRequest FileRequest::Open(int directory, const char* path, const open_how& how) {
  FileRequest request;
  request.op = Op::kOpen;
  request.fd = directory;
  request.path = path;
  request.how = how;
  request.how.flags |= O_CLOEXEC;
  return request;
}

FileRequest FileRequest::Read(int fd, void* to, size_t length, uint64_t offset) {
  FileRequest request;
  request.op = Op::kRead;
  request.fd = fd;
  request.to = to;
  request.length = length;
  request.offset = offset;
  return request;
}

FileRequest FileRequest::Write(int fd, const void* from, size_t length, uint64_t offset) {
  FileRequest request;
  request.op = Op::kWrite;
  request.fd = fd;
  request.from = from;
  request.length = length;
  request.offset = offset;
  return request;
}

FileRequest FileRequest::Sync(int fd) {
  FileRequest request;
  request.op = Op::kSync;
  request.fd = fd;
  return request;
}

FileRequest FileRequest::Rename(int from_directory, const char* from, int to_directory,
                                const char* to, unsigned flags) {
  FileRequest request;
  request.op = Op::kRename;
  request.fd = from_directory;
  request.path = from;
  request.to_directory = to_directory;
  request.to_path = to;
  request.flags = flags;
  return request;
}

FileRequest FileRequest::Unlink(int directory, const char* path, int flags) {
  FileRequest request;
  request.op = Op::kUnlink;
  request.fd = directory;
  request.path = path;
  request.flags = static_cast<unsigned>(flags);
  return request;
}

FileRequest FileRequest::Warm(int fd, uint64_t offset, size_t length) {
  FileRequest request;
  request.op = Op::kWarm;
  request.fd = fd;
  request.offset = offset;
  request.length = length;
  return request;
}

FileRequest FileRequest::Call(absl::AnyInvocable<int64_t()> call) {
  FileRequest request;
  request.op = Op::kCall;
  request.call = std::move(call);
  return request;
}

int64_t PerformFileRequest(FileRequest& request) noexcept {
  switch (request.op) {
    case FileRequest::Op::kOpen:
      return Repeat([&] {
        return ::syscall(SYS_openat2, request.fd, request.path, &request.how, sizeof(request.how));
      });
    case FileRequest::Op::kRead:
      return Read(request.fd, request.to, request.length, request.offset);
    case FileRequest::Op::kWrite:
      return Write(request.fd, request.from, request.length, request.offset);
    case FileRequest::Op::kSync:
      return Repeat([&] { return ::fsync(request.fd); });
    case FileRequest::Op::kRename:
      return Repeat([&] {
        return ::renameat2(request.fd, request.path, request.to_directory, request.to_path,
                           request.flags);
      });
    case FileRequest::Op::kUnlink:
      return Repeat(
          [&] { return ::unlinkat(request.fd, request.path, static_cast<int>(request.flags)); });
    case FileRequest::Op::kWarm:
      return Warm(request.fd, request.offset, request.length);
    case FileRequest::Op::kCall:
      return request.call();
  }
  return -EINVAL;
}

void DiscardFileResult(const FileRequest& request, int64_t result) {
  if (request.op == FileRequest::Op::kOpen && result >= 0) ::close(static_cast<int>(result));
}

bool FileIsWarm(int fd, uint64_t offset, size_t length) {
  if (length == 0) return true;
  static const auto page_bytes = static_cast<uint64_t>(::sysconf(_SC_PAGESIZE));
  const CachestatRange range{offset, length};
  Cachestat pages{};
  if (::syscall(kCachestat, fd, &range, &pages, 0U) != 0) return false;
  const uint64_t first = offset / page_bytes;
  const uint64_t last = (offset + length - 1) / page_bytes;
  return pages.cached >= last - first + 1;
}

}  // namespace quintet
