#include "tests/fuzz/cuts.h"

#include <algorithm>
#include <random>

namespace quintet::testing {
namespace {

constexpr size_t kShortPiece = 8;
constexpr size_t kLongPiece = 200;

// FNV-1a: the same on every machine, unlike std::hash.
uint32_t SeedOf(std::string_view bytes) {
  uint32_t hash = 2166136261U;
  for (const char c : bytes) hash = (hash ^ static_cast<uint8_t>(c)) * 16777619U;
  return hash;
}

// Pieces of 1 to `longest` octets.
Pieces CutAtRandom(std::string_view bytes, size_t longest, std::minstd_rand& random) {
  Pieces pieces;
  while (!bytes.empty()) {
    const size_t size = std::min<size_t>(1 + random() % longest, bytes.size());
    pieces.push_back(bytes.substr(0, size));
    bytes.remove_prefix(size);
  }
  return pieces;
}

}  // namespace

std::string_view InputText(const uint8_t* data, size_t size) {
  return {reinterpret_cast<const char*>(data), size};
}

std::vector<Pieces> Cuts(std::string_view bytes) {
  std::minstd_rand random(SeedOf(bytes));
  return {CutAtRandom(bytes, 1, random), CutAtRandom(bytes, kShortPiece, random),
          CutAtRandom(bytes, kLongPiece, random)};
}

std::string Sizes(const Pieces& pieces) {
  std::string text;
  for (const std::string_view piece : pieces) {
    if (!text.empty()) text += '|';
    text += std::to_string(piece.size());
  }
  return text;
}

}  // namespace quintet::testing
