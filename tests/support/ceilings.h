// Ceilings on what repeats from run to run: tests/ceilings/ceilings.txt has the measured values.
#ifndef QUINTET_TESTS_SUPPORT_CEILINGS_H_
#define QUINTET_TESTS_SUPPORT_CEILINGS_H_

#include <string>
#include <string_view>

namespace quintet::testing {

// Above the measured value by this part, a ceiling is broken. What a compiler decides differs by
// more between compilers: the table is g++ 12's.
#if defined(__GNUC__) && !defined(__clang__) && __GNUC__ == 12
inline constexpr double kCompiledMargin = 0.03;
#else
inline constexpr double kCompiledMargin = 0.15;
#endif
// For what does not depend on the compiler.
inline constexpr double kExactMargin = 0.03;

// Fails the running test, saying by how much, when `value` is above the table's value of `what` on
// `path` (a backend, or "session") by more than `margin`, and when the table has none. Says it when
// the value has come down by more than that: then the table is to follow.
void ExpectBelowCeiling(std::string_view what, std::string_view path, double value, double margin);

}  // namespace quintet::testing

#endif  // QUINTET_TESTS_SUPPORT_CEILINGS_H_
