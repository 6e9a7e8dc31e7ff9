// How the values of settings are written: one notation for flags, environment and file.
#ifndef QUINTET_APPS_PROGRAM_VALUE_H_
#define QUINTET_APPS_PROGRAM_VALUE_H_

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "net/address.h"
#include "reactor/clock.h"

namespace quintet::program {

// What a TOML file writes a value as.
enum class TomlForm { kString, kInteger, kBoolean, kStringOrInteger, kStringList };

// Reads and prints values of one type: parse(print(x)) == x.
template <typename T>
struct ValueType {
  std::function<absl::StatusOr<T>(std::string_view text)> parse;
  std::function<std::string(const T&)> print;
  std::string placeholder;  // in the help text: "--flag PLACEHOLDER"
  std::string allowed;      // after "allowed: " in errors and in the documentation
  TomlForm form;
};

// What parse() answers to a text that is none of the allowed values.
absl::Status Refused(std::string_view text);

ValueType<Address> AddressValue();
ValueType<bool> BooleanValue();
// "500ms", "30s", "5m", "1h30m"; "0s" to `max`.
ValueType<Duration> DurationValue(Duration max);
// At most `max_bytes` of printable ASCII.
ValueType<std::string> TextValue(size_t max_bytes);

// The name of a file, or empty for none: what open(2) takes, so without NUL and shorter than
// PATH_MAX. Whether the file can be opened shows when it is.
ValueType<std::string> PathValue();

// The integer types share these. Zero is "auto" where `zero_is_auto`, and then 0 is not a number.
struct IntegerRange {
  uint64_t min = 0;
  uint64_t max = 0;
  bool zero_is_auto = false;
  bool power_of_two = false;
};
ValueType<uint64_t> IntegerValue(IntegerRange range);
// In bytes: "65536" or "64KiB", with B, KiB, MiB, GiB or TiB.
ValueType<uint64_t> SizeValue(uint64_t min, uint64_t max);

// `base` for fields of another integer type, which must hold its range.
template <typename T>
ValueType<T> As(const ValueType<uint64_t>& base) {
  return {
      .parse = [parse = base.parse](std::string_view text) -> absl::StatusOr<T> {
        absl::StatusOr<uint64_t> value = parse(text);
        if (!value.ok()) return value.status();
        return static_cast<T>(*value);
      },
      .print = [print = base.print](const T& value) { return print(static_cast<uint64_t>(value)); },
      .placeholder = base.placeholder,
      .allowed = base.allowed,
      .form = base.form};
}

template <typename T>
ValueType<T> Integer(uint64_t min, uint64_t max) {
  return As<T>(IntegerValue({.min = min, .max = max}));
}
template <typename T>
ValueType<T> Size(uint64_t min, uint64_t max) {
  return As<T>(SizeValue(min, max));
}

// One of the names, which are listed in this order.
template <typename T>
ValueType<T> OneOf(std::vector<std::pair<std::string, T>> names) {
  std::string allowed;
  for (const auto& [name, value] : names) allowed += (allowed.empty() ? "" : ", ") + name;
  return {.parse = [names](std::string_view text) -> absl::StatusOr<T> {
            for (const auto& [name, value] : names) {
              if (name == text) return value;
            }
            return Refused(text);
          },
          .print =
              [names](const T& value) {
                for (const auto& [name, candidate] : names) {
                  if (candidate == value) return name;
                }
                return std::string("?");
              },
          .placeholder = "NAME",
          .allowed = allowed,
          .form = TomlForm::kString};
}

// `text` as a TOML basic string, in quotes.
std::string TomlString(std::string_view text);

}  // namespace quintet::program

#endif  // QUINTET_APPS_PROGRAM_VALUE_H_
