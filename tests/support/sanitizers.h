// Whether the tests run under a sanitizer, and how much load they can bear then.
#ifndef QUINTET_TESTS_SUPPORT_SANITIZERS_H_
#define QUINTET_TESTS_SUPPORT_SANITIZERS_H_

#include "reactor/asan.h"

#if defined(__SANITIZE_THREAD__)
#define QUINTET_TSAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define QUINTET_TSAN 1
#endif
#endif

namespace quintet::testing {

#ifdef QUINTET_ASAN
inline constexpr bool kAddressSanitizer = true;
#else
inline constexpr bool kAddressSanitizer = false;
#endif

#ifdef QUINTET_TSAN
inline constexpr bool kThreadSanitizer = true;
#else
inline constexpr bool kThreadSanitizer = false;
#endif

// Counts of the heavier tests are divided by this, so that a sanitizer's run stays short.
inline constexpr int kLoadDivisor = kThreadSanitizer    ? 16
                                    : kAddressSanitizer ? 8
                                                        :
#ifdef NDEBUG
                                                        1;
#else
                                                        2;
#endif

// `count` where nothing slows the tests down, a part of it elsewhere, never 0.
constexpr int Scaled(int count) { return count < kLoadDivisor ? 1 : count / kLoadDivisor; }

}  // namespace quintet::testing

#endif  // QUINTET_TESTS_SUPPORT_SANITIZERS_H_
