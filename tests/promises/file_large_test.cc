// Issue "a file server": a file larger than memory goes up and comes down bit for bit, while both
// sides stay small.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <iostream>
#include <random>
#include <string>
#include <vector>

#include "reactor/backend_kind.h"
#include "tests/promises/files_fixture.h"
#include "tests/support/backend_kinds.h"
#include "tests/support/descriptors.h"
#include "tests/support/peers.h"
#include "tests/support/sanitizers.h"

namespace quintet::testing {
namespace {

// Done when 4 GiB pass: QUINTET_FILE_BYTES=4294967296.
constexpr uint64_t kFileBytes = uint64_t{256} << 20;
// Of either side, at its largest (VmHWM, proc(5)).
constexpr int64_t kMaxResidentBytes = int64_t{64} << 20;
// On the average one island of content in so much sea of zeros.
constexpr uint64_t kSeaBytes = uint64_t{4} << 20;
constexpr uint64_t kMaxIslandBytes = 256 << 10;
constexpr size_t kCompareBytes = 1 << 20;

Fd Open(const std::string& path, int flags) {
  Fd fd(::open(path.c_str(), flags | O_CLOEXEC, 0644));
  EXPECT_TRUE(fd) << path << ": " << std::strerror(errno);
  return fd;
}

// Sparse, so that the disk is not filled: islands of random bytes at random places, also across the
// borders of pages and frames, and at the very end.
void WriteIslands(const std::string& path, uint64_t size, uint64_t seed) {
  const Fd fd = Open(path, O_WRONLY | O_CREAT);
  ASSERT_EQ(::ftruncate(fd.get(), static_cast<off_t>(size)), 0) << std::strerror(errno);
  std::mt19937_64 random(seed);
  const uint64_t count = size / kSeaBytes + 1;
  for (uint64_t i = 0; i <= count; ++i) {
    const uint64_t length = std::min(size, 1 + random() % kMaxIslandBytes);
    const uint64_t begin = i == count ? size - length : random() % (size - length + 1);
    const std::string island = PatternBytes(length, static_cast<uint32_t>(1 + i));
    ASSERT_EQ(::pwrite(fd.get(), island.data(), length, static_cast<off_t>(begin)),
              static_cast<ssize_t>(length));
  }
}

size_t ReadAt(const Fd& fd, uint64_t offset, std::vector<char>& buffer) {
  size_t done = 0;
  while (done < buffer.size()) {
    const ssize_t got = ::pread(fd.get(), buffer.data() + done, buffer.size() - done,
                                static_cast<off_t>(offset + done));
    if (got <= 0) break;
    done += static_cast<size_t>(got);
  }
  return done;
}

// The first byte that differs, and the size of both where none does.
uint64_t SameBytes(const std::string& a, const std::string& b) {
  const Fd fd_a = Open(a, O_RDONLY);
  const Fd fd_b = Open(b, O_RDONLY);
  std::vector<char> piece_a(kCompareBytes);
  std::vector<char> piece_b(kCompareBytes);
  for (uint64_t offset = 0;; offset += kCompareBytes) {
    const size_t size_a = ReadAt(fd_a, offset, piece_a);
    const size_t size_b = ReadAt(fd_b, offset, piece_b);
    const size_t both = std::min(size_a, size_b);
    if (both == kCompareBytes && std::memcmp(piece_a.data(), piece_b.data(), both) == 0) continue;
    const auto differ = std::mismatch(piece_a.begin(), piece_a.begin() + both, piece_b.begin());
    return offset + static_cast<uint64_t>(differ.first - piece_a.begin());
  }
}

class FileLargeTest : public FilesTest {};
INSTANTIATE_TEST_SUITE_P(Backends, FileLargeTest, AllBackends(), KindName);

TEST_P(FileLargeTest, GoesUpAndComesDownBitForBitInLittleMemory) {
  if (IsSkipped()) return;
  const uint64_t size =
      CountFrom("QUINTET_FILE_BYTES", kFileBytes / static_cast<uint64_t>(kLoadDivisor));
  ASSERT_NO_FATAL_FAILURE(WriteIslands(Local("up"), size, PrintedSeed()));
  ASSERT_TRUE(StartServer());

  const ClientResult put = RunClient({"put", server_name(), Local("up"), "file"});
  ASSERT_EQ(put.exit_code, 0) << put.error;
  ASSERT_EQ(std::filesystem::file_size(Served("file")), size);
  EXPECT_EQ(SameBytes(Local("up"), Served("file")), size);

  const ClientResult get = RunClient({"get", server_name(), "file", Local("down")});
  ASSERT_EQ(get.exit_code, 0) << get.error;
  ASSERT_EQ(std::filesystem::file_size(Local("down")), size);
  EXPECT_EQ(SameBytes(Local("up"), Local("down")), size);
  std::filesystem::remove(Local("down"));

  const ClientResult verified =
      RunClient({"get", server_name(), "file", Local("down"), "--verify"});
  ASSERT_EQ(verified.exit_code, 0) << verified.error;
  EXPECT_EQ(SameBytes(Local("up"), Local("down")), size);

  const int64_t server_peak = StopServer();
  const int64_t client_peak =
      std::max({put.peak_rss_bytes, get.peak_rss_bytes, verified.peak_rss_bytes});
  std::cout << (size >> 20) << " MiB; resident at most: server " << (server_peak >> 10)
            << " KiB, clients " << (client_peak >> 10) << " KiB\n";
  EXPECT_GT(server_peak, 0);
  EXPECT_GT(client_peak, 0);
  // Shadow memory counts, too.
  if (kAddressSanitizer || kThreadSanitizer) return;
  EXPECT_LT(server_peak, kMaxResidentBytes);
  EXPECT_LT(client_peak, kMaxResidentBytes);
}

}  // namespace
}  // namespace quintet::testing
