// The part of a connection's output that is in files, and the bytes between and behind.
#ifndef QUINTET_NET_FILE_OUTPUT_H_
#define QUINTET_NET_FILE_OUTPUT_H_

#include <sys/uio.h>

#include <cstddef>
#include <cstdint>
#include <list>
#include <memory>
#include <optional>
#include <string_view>

#include "net/block_pool.h"
#include "net/byte_queue.h"
#include "net/unique_fd.h"
#include "reactor/file_range.h"

namespace quintet {

// A queue of ranges, each with the bytes that follow it. A connection has one only while there is a
// range in its output. Pass it the same pool each time, or, once that is gone, null. Must be
// cleared before it is destroyed.
//
// A range whose file is shorter than it, or cannot be read, has failed: what is left of it is made
// up by zero bytes, so that what follows keeps its place, and its owner is to be told.
class FileOutput final {
 public:
  FileOutput() = default;
  ~FileOutput();
  FileOutput(const FileOutput&) = delete;
  FileOutput& operator=(const FileOutput&) = delete;

  // `length` is not 0; `file` is held until the range is popped.
  void AppendRange(std::shared_ptr<const UniqueFd> file, uint64_t offset, uint64_t length);
  // Behind the last range, of which there must be one.
  void Append(std::string_view bytes, BlockPool& pool);

  bool empty() const { return pieces_.empty(); }
  // Everything in it.
  size_t bytes() const { return bytes_; }
  // How much of that takes memory, what is noted of the ranges included.
  size_t memory_bytes() const { return memory_bytes_; }

  // Of the first range, which there must be:
  // What is left of it. Stays in place until Consume(), Fail() or Pop().
  const FileRange& range() const { return pieces_.front().range; }
  // What to send in its place, likewise.
  const iovec& zeros() const { return pieces_.front().zeros; }
  bool failed() const { return pieces_.front().zeros.iov_len > 0; }
  bool sent() const { return range().length == 0; }
  void Consume(size_t bytes);
  // The file has no more.
  void Fail();
  // Whether the kernel had no room for all of it: the rest is not tried without waiting.
  bool waits() const { return waits_; }
  void set_waits() { waits_ = true; }
  // Once after Fail(): how many bytes the file lacks.
  std::optional<uint64_t> TakeMissing();
  bool has_missing() const { return has_missing_; }
  // Lets go of the range, which was sent; the bytes behind it go to `next`, which is empty.
  void Pop(ByteQueue& next);

  void Clear(BlockPool* pool);

 private:
  struct Piece {
    std::shared_ptr<const UniqueFd> file;
    FileRange range;
    iovec zeros{};
    ByteQueue behind;
  };

  void FitZeros();

  // A list: the first stays in place while others come.
  std::list<Piece> pieces_;
  size_t bytes_ = 0;
  size_t memory_bytes_ = 0;
  bool has_missing_ = false;
  bool waits_ = false;
};

}  // namespace quintet

#endif  // QUINTET_NET_FILE_OUTPUT_H_
