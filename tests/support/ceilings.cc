#include "tests/support/ceilings.h"

#include <gtest/gtest.h>

#include <fstream>
#include <iostream>
#include <optional>
#include <sstream>

namespace quintet::testing {
namespace {

constexpr char kTable[] = QUINTET_SOURCE_DIR "/tests/ceilings/ceilings.txt";

std::optional<double> Measured(std::string_view what, std::string_view path) {
  std::ifstream table(kTable);
  std::string line;
  while (std::getline(table, line)) {
    std::istringstream row(line);
    std::string row_what;
    std::string row_path;
    double value = 0;
    if (row >> row_what >> row_path >> value && row_what == what && row_path == path) return value;
  }
  return std::nullopt;
}

// Six digits: GoogleTest would print every one.
std::string Short(double value) {
  std::ostringstream text;
  text << value;
  return text.str();
}

}  // namespace

void ExpectBelowCeiling(std::string_view what, std::string_view path, double value, double margin) {
  std::cout << what << " " << path << " " << value << "\n";
  const std::optional<double> measured = Measured(what, path);
  ASSERT_TRUE(measured) << kTable << " has no value of " << what << " on " << path << "; it is "
                        << value;
  const double percent = 100 * (value / *measured - 1);
  EXPECT_LE(value, *measured * (1 + margin))
      << what << " on " << path << " went up from " << Short(*measured) << " to " << Short(value)
      << ", by " << Short(percent) << " %";
  if (value < *measured * (1 - margin)) {
    std::cout << "down from " << *measured << ", by " << -percent << " %: lower it in " << kTable
              << "\n";
  }
}

}  // namespace quintet::testing
