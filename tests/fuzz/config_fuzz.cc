// A configuration file of the hello server: errors are one line that names the file, and what is
// taken, printed as --print-config prints it, is taken again and means the same.
//
// Input: the file.
#include <algorithm>
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include "apps/hello/hello_program.h"
#include "apps/program/config_file.h"
#include "apps/program/rules.h"
#include "gtest/gtest.h"
#include "tests/fuzz/cuts.h"

namespace quintet::testing {
namespace {

using program::Assignment;
using program::Config;
using program::Program;
using program::Setting;

const std::string kFile = "fuzz.toml";

void ExpectOneLine(const absl::Status& status) {
  const std::string message(status.message());
  EXPECT_FALSE(message.empty());
  const auto is_control = [](char c) { return static_cast<uint8_t>(c) < 0x20 || c == 0x7f; };
  EXPECT_TRUE(std::none_of(message.begin(), message.end(), is_control)) << message;
}

// "90", "64KiB", "90m" in bytes or nanoseconds; nothing for what is no number with a unit.
std::optional<uint64_t> Amount(std::string_view text) {
  constexpr std::pair<std::string_view, uint64_t> kUnits[] = {{"", 1},
                                                              {"B", 1},
                                                              {"KiB", 1ULL << 10},
                                                              {"MiB", 1ULL << 20},
                                                              {"GiB", 1ULL << 30},
                                                              {"TiB", 1ULL << 40},
                                                              {"ns", 1},
                                                              {"us", 1'000},
                                                              {"ms", 1'000'000},
                                                              {"s", 1'000'000'000},
                                                              {"m", 60'000'000'000},
                                                              {"h", 3'600'000'000'000}};
  uint64_t number = 0;
  const auto [stop, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc()) return std::nullopt;
  text.remove_prefix(static_cast<size_t>(stop - text.data()));
  for (const auto& [unit, factor] : kUnits) {
    if (text == unit) return number * factor;
  }
  return std::nullopt;
}

// That both print the same would not tell that they mean the same.
void ExpectSameAmount(const Assignment& assignment, const Config& config) {
  if (assignment.values.size() != 1) return;
  const std::string printed = assignment.setting->get(config).front();
  const std::optional<uint64_t> given = Amount(assignment.values.front());
  const std::optional<uint64_t> kept = Amount(printed);
  EXPECT_TRUE(!given || !kept || *given == *kept)
      << assignment.values.front() << " became " << printed;
}

// What the file makes of the defaults, where it makes sense.
struct Applied {
  bool ok = false;
  Config config;
};

Applied Apply(const Program& program, std::string_view text) {
  Applied applied{.ok = false, .config = program.defaults};
  const auto assignments = program::ParseConfig(program.settings, text, kFile);
  if (!assignments.ok()) {
    ExpectOneLine(assignments.status());
    const std::string message(assignments.status().message());
    EXPECT_TRUE(message.starts_with(kFile + ":")) << message;
    return applied;
  }
  for (const Assignment& assignment : *assignments) {
    EXPECT_TRUE(assignment.origin.starts_with(kFile + ":")) << assignment.origin;
    const absl::Status status = assignment.setting->set(assignment.values, applied.config);
    if (!status.ok()) {
      ExpectOneLine(status);
      return applied;
    }
    ExpectSameAmount(assignment, applied.config);
  }
  applied.ok = true;
  return applied;
}

std::string Print(const Program& program, const Config& config) {
  std::string text;
  std::string table;
  for (const Setting& setting : program.settings) {
    if (setting.table != table) text += "[" + (table = setting.table) + "]\n";
    text += setting.key + " = " + program::TomlValue(setting, config) + "\n";
  }
  return text;
}

}  // namespace
}  // namespace quintet::testing

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace quintet::testing;
  const Program& program = quintet::hello::HelloProgram();
  const Applied applied = Apply(program, InputText(data, size));
  if (!applied.ok) return 0;

  const std::string printed = Print(program, applied.config);
  const Applied again = Apply(program, printed);
  EXPECT_TRUE(again.ok) << printed;
  EXPECT_EQ(Print(program, again.config), printed);

  const std::vector<std::string> origins(program.settings.size(), kFile);
  const absl::Status rules = quintet::program::CheckRules(program, applied.config, origins);
  if (!rules.ok()) ExpectOneLine(rules);
  return 0;
}
