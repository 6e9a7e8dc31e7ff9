// Runs one fuzz target, without libFuzzer, on each file of the directories that are named as its
// arguments: the corpora are tests under every compiler and sanitizer. Prints the name of each file
// first, so that the last one is the culprit where a target ends the process.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <iterator>
#include <string>
#include <vector>

#include "gtest/gtest.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

namespace {

std::vector<std::filesystem::path> FilesOf(const std::filesystem::path& directory) {
  std::vector<std::filesystem::path> files;
  for (const auto& entry : std::filesystem::directory_iterator(directory)) {
    if (entry.is_regular_file()) files.push_back(entry.path());
  }
  std::sort(files.begin(), files.end());
  return files;
}

// Whether the target had nothing against the content of `path`.
bool Replay(const std::filesystem::path& path) {
  std::cout << path.filename().string() << std::endl;
  std::ifstream file(path, std::ios::binary);
  const std::string bytes(std::istreambuf_iterator<char>(file), {});
  // On the heap and exactly as large, so that AddressSanitizer sees who reads beyond.
  const std::vector<uint8_t> input(bytes.begin(), bytes.end());
  const auto failures = [] {
    return ::testing::UnitTest::GetInstance()->ad_hoc_test_result().total_part_count();
  };
  const int before = failures();
  LLVMFuzzerTestOneInput(input.data(), input.size());
  if (failures() == before) return true;
  std::cout << "^ failed" << std::endl;
  return false;
}

}  // namespace

int main(int argc, char** argv) {
  size_t files = 0;
  size_t failed = 0;
  for (int i = 1; i < argc; ++i) {
    for (const auto& file : FilesOf(argv[i])) {
      ++files;
      if (!Replay(file)) ++failed;
    }
  }
  std::cout << files << " files, " << failed << " failed" << std::endl;
  // An empty corpus tests nothing.
  return files > 0 && failed == 0 ? 0 : 1;
}
