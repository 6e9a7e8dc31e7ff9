// Numbers as the files protocol writes them: of fixed size, the highest byte first.
#ifndef QUINTET_NET_FILES_WIRE_H_
#define QUINTET_NET_FILES_WIRE_H_

#include <algorithm>
#include <array>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace quintet::files {

// `number` into the sizeof(T) bytes from `to` on. Returns what is behind them.
template <std::unsigned_integral T>
char* PutNumber(T number, char* to) {
  for (size_t i = sizeof(T); i-- > 0;) *to++ = static_cast<char>((number >> (8 * i)) & 0xff);
  return to;
}

template <std::unsigned_integral T>
void AppendNumber(T number, std::string& to) {
  char bytes[sizeof(T)];
  PutNumber(number, bytes);
  to.append(bytes, sizeof(T));
}

// Takes one field after another from the front of a payload. Once a field reaches beyond the end,
// ok() is false, and that field and all after it are zero or empty: one look at the end will do.
class WireReader {
 public:
  // `bytes` live at least as long as what Take() returns is used.
  explicit WireReader(std::string_view bytes) : left_(bytes) {}

  template <std::unsigned_integral T>
  T TakeNumber() {
    T number = 0;
    for (const char byte : Take(sizeof(T))) {
      number = static_cast<T>((uint64_t{number} << 8) | static_cast<unsigned char>(byte));
    }
    return number;
  }
  template <size_t kSize>
  std::array<unsigned char, kSize> TakeArray() {
    std::array<unsigned char, kSize> bytes = {};
    const std::string_view taken = Take(kSize);
    std::copy(taken.begin(), taken.end(), bytes.begin());
    return bytes;
  }
  std::string_view Take(size_t size) {
    if (size > left_.size()) ok_ = false;
    if (!ok_) return {};
    const std::string_view taken = left_.substr(0, size);
    left_.remove_prefix(size);
    return taken;
  }
  std::string_view TakeRest() { return Take(left_.size()); }

  bool ok() const { return ok_; }
  // All was taken, and nothing was missing.
  bool Complete() const { return ok_ && left_.empty(); }

 private:
  std::string_view left_;
  bool ok_ = true;
};

}  // namespace quintet::files

#endif  // QUINTET_NET_FILES_WIRE_H_
