#include "net/file_output.h"

#include <algorithm>
#include <cassert>
#include <utility>

namespace quintet {
namespace {

// Sent again and again in place of what a file lacks: 16 KiB keep the number of sends low and are
// no burden to a process that never needs them (.bss).
alignas(64) constinit char zero_bytes[16 << 10] = {};

}  // namespace

FileOutput::~FileOutput() { assert(empty() && "an output was not cleared"); }

void FileOutput::AppendRange(std::shared_ptr<const UniqueFd> file, uint64_t offset,
                             uint64_t length) {
  assert(length > 0);
  const int fd = file->get();
  pieces_.emplace_back();
  pieces_.back().file = std::move(file);
  pieces_.back().range = {.fd = fd, .offset = offset, .length = length};
  bytes_ += length;
  memory_bytes_ += sizeof(Piece);
}

void FileOutput::Append(std::string_view bytes, BlockPool& pool) {
  pieces_.back().behind.Append(bytes, pool);
  bytes_ += bytes.size();
  memory_bytes_ += bytes.size();
}

void FileOutput::Consume(size_t bytes) {
  FileRange& range = pieces_.front().range;
  assert(bytes <= range.length);
  range.offset += bytes;
  range.length -= bytes;
  bytes_ -= bytes;
  if (failed()) FitZeros();
}

void FileOutput::Fail() {
  assert(!failed() && !sent());
  has_missing_ = true;
  pieces_.front().zeros.iov_base = zero_bytes;
  FitZeros();
}

void FileOutput::FitZeros() {
  Piece& piece = pieces_.front();
  piece.zeros.iov_len = std::min<uint64_t>(sizeof(zero_bytes), piece.range.length);
}

std::optional<uint64_t> FileOutput::TakeMissing() {
  if (!std::exchange(has_missing_, false)) return std::nullopt;
  return range().length;
}

void FileOutput::Pop(ByteQueue& next) {
  assert(sent() && next.empty());
  ByteQueue& behind = pieces_.front().behind;
  bytes_ -= behind.size();
  memory_bytes_ -= sizeof(Piece) + behind.size();
  swap(next, behind);
  pieces_.pop_front();
  waits_ = false;
}

void FileOutput::Clear(BlockPool* pool) {
  for (Piece& piece : pieces_) piece.behind.Clear(pool);
  pieces_.clear();
  bytes_ = memory_bytes_ = 0;
  has_missing_ = false;
}

}  // namespace quintet
