// Marks memory that nobody may touch at the moment, for AddressSanitizer; nothing in other builds.
#ifndef QUINTET_REACTOR_ASAN_H_
#define QUINTET_REACTOR_ASAN_H_

#include <cstddef>

#if defined(__SANITIZE_ADDRESS__)
#define QUINTET_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define QUINTET_ASAN 1
#endif
#endif

#ifdef QUINTET_ASAN
#include <sanitizer/asan_interface.h>
#endif

namespace quintet {

inline void AsanPoison([[maybe_unused]] const void* data, [[maybe_unused]] size_t size) {
#ifdef QUINTET_ASAN
  ASAN_POISON_MEMORY_REGION(data, size);
#endif
}

inline void AsanUnpoison([[maybe_unused]] const void* data, [[maybe_unused]] size_t size) {
#ifdef QUINTET_ASAN
  ASAN_UNPOISON_MEMORY_REGION(data, size);
#endif
}

}  // namespace quintet

#endif  // QUINTET_REACTOR_ASAN_H_
