#include "apps/program/value.h"

#include <limits.h>

#include <algorithm>
#include <array>
#include <bit>
#include <charconv>
#include <chrono>
#include <optional>

#include "absl/strings/str_format.h"
#include "absl/time/time.h"

namespace quintet::program {
namespace {

struct Unit {
  std::string_view name;
  uint64_t factor;
};

// Longest first, so that printing finds the shortest text.
constexpr std::array<Unit, 6> kDurationUnits = {{{"h", 3'600'000'000'000},
                                                 {"m", 60'000'000'000},
                                                 {"s", 1'000'000'000},
                                                 {"ms", 1'000'000},
                                                 {"us", 1'000},
                                                 {"ns", 1}}};
constexpr std::array<Unit, 5> kSizeUnits = {
    {{"TiB", 1ull << 40}, {"GiB", 1ull << 30}, {"MiB", 1ull << 20}, {"KiB", 1ull << 10}, {"B", 1}}};

// With its NUL a path has at most PATH_MAX bytes.
constexpr size_t kMaxPathBytes = PATH_MAX - 1;

struct Number {
  uint64_t value;
  std::string_view rest;  // what follows the digits
};

std::optional<Number> ReadNumber(std::string_view text) {
  uint64_t value = 0;
  const char* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, value);
  if (error != std::errc()) return std::nullopt;
  return Number{value, {stop, static_cast<size_t>(end - stop)}};
}

std::string PrintDuration(Duration duration) {
  const auto count = static_cast<uint64_t>(duration.count());
  if (count == 0) return "0s";
  for (const Unit& unit : kDurationUnits) {
    if (count % unit.factor == 0) return std::to_string(count / unit.factor).append(unit.name);
  }
  return {};
}

std::string PrintSize(uint64_t bytes) {
  for (const Unit& unit : kSizeUnits) {
    if (bytes == 0 || unit.factor == 1 || bytes % unit.factor != 0) continue;
    return std::to_string(bytes / unit.factor).append(unit.name);
  }
  return std::to_string(bytes);
}

}  // namespace

absl::Status Refused(std::string_view text) {
  return absl::InvalidArgumentError(TomlString(text) + " is not allowed");
}

ValueType<Address> AddressValue() {
  return {.parse = [](std::string_view text) { return Address::Parse(text); },
          .print = [](const Address& address) { return address.ToString(); },
          .placeholder = "ADDR",
          .allowed = "IPV4:PORT, [IPV6]:PORT, unix:PATH, unix:@NAME",
          .form = TomlForm::kString};
}

ValueType<bool> BooleanValue() {
  return {.parse = [](std::string_view text) -> absl::StatusOr<bool> {
            if (text == "true") return true;
            if (text == "false") return false;
            return Refused(text);
          },
          .print = [](const bool& value) { return std::string(value ? "true" : "false"); },
          .placeholder = "BOOL",
          .allowed = "true, false",
          .form = TomlForm::kBoolean};
}

ValueType<Duration> DurationValue(Duration max) {
  return {.parse = [max](std::string_view text) -> absl::StatusOr<Duration> {
            absl::Duration duration;
            if (!absl::ParseDuration(absl::string_view(text.data(), text.size()), &duration) ||
                duration < absl::ZeroDuration() || duration > absl::FromChrono(max)) {
              return Refused(text);
            }
            return absl::ToChronoNanoseconds(duration);
          },
          .print = [](const Duration& duration) { return PrintDuration(duration); },
          .placeholder = "DURATION",
          .allowed = "a duration such as \"500ms\" or \"5m\", at most " + PrintDuration(max),
          .form = TomlForm::kString};
}

ValueType<std::string> TextValue(size_t max_bytes) {
  return {.parse = [max_bytes](std::string_view text) -> absl::StatusOr<std::string> {
            const bool printable =
                std::all_of(text.begin(), text.end(), [](char c) { return c >= ' ' && c <= '~'; });
            if (!printable || text.size() > max_bytes) return Refused(text);
            return std::string(text);
          },
          .print = [](const std::string& text) { return text; },
          .placeholder = "TEXT",
          .allowed = absl::StrFormat("at most %u bytes of printable ASCII", max_bytes),
          .form = TomlForm::kString};
}

ValueType<std::string> PathValue() {
  return {.parse = [](std::string_view text) -> absl::StatusOr<std::string> {
            if (text.size() > kMaxPathBytes || text.find('\0') != std::string_view::npos) {
              return Refused(text);
            }
            return std::string(text);
          },
          .print = [](const std::string& text) { return text; },
          .placeholder = "FILE",
          .allowed = absl::StrFormat("a path of at most %u bytes", kMaxPathBytes),
          .form = TomlForm::kString};
}

ValueType<uint64_t> IntegerValue(IntegerRange range) {
  return {.parse = [range](std::string_view text) -> absl::StatusOr<uint64_t> {
            if (range.zero_is_auto && text == "auto") return uint64_t{0};
            const std::optional<Number> number = ReadNumber(text);
            if (!number || !number->rest.empty() || number->value < range.min ||
                number->value > range.max ||
                (range.power_of_two && !std::has_single_bit(number->value))) {
              return Refused(text);
            }
            return number->value;
          },
          .print =
              [range](const uint64_t& value) {
                return range.zero_is_auto && value == 0 ? "auto" : std::to_string(value);
              },
          .placeholder = "N",
          .allowed = absl::StrFormat("%s%s from %u to %u", range.zero_is_auto ? "auto, or " : "",
                                     range.power_of_two ? "a power of two" : "an integer",
                                     range.min, range.max),
          .form = range.zero_is_auto ? TomlForm::kStringOrInteger : TomlForm::kInteger};
}

ValueType<uint64_t> SizeValue(uint64_t min, uint64_t max) {
  return {.parse = [min, max](std::string_view text) -> absl::StatusOr<uint64_t> {
            const std::optional<Number> number = ReadNumber(text);
            if (!number) return Refused(text);
            const std::string_view name = number->rest.empty() ? "B" : number->rest;
            for (const Unit& unit : kSizeUnits) {
              if (unit.name != name) continue;
              // Divided rather than multiplied: the product may not fit.
              if (number->value > max / unit.factor) break;
              const uint64_t bytes = number->value * unit.factor;
              if (bytes < min) break;
              return bytes;
            }
            return Refused(text);
          },
          .print = [](const uint64_t& bytes) { return PrintSize(bytes); },
          .placeholder = "SIZE",
          .allowed =
              "a size such as 65536 or \"64KiB\", from " + PrintSize(min) + " to " + PrintSize(max),
          .form = TomlForm::kStringOrInteger};
}

std::string TomlString(std::string_view text) {
  std::string result = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') {
      result += {'\\', c};
    } else if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) {
      result += absl::StrFormat("\\u%04X", static_cast<unsigned>(static_cast<unsigned char>(c)));
    } else {
      result += c;
    }
  }
  return result + "\"";
}

}  // namespace quintet::program
