// The variants of the io_uring floor, and what Debian 12's kernel headers lack for them. Each
// differs from kBase in one thing.
#ifndef QUINTET_BENCH_VARIANTS_VARIANT_H_
#define QUINTET_BENCH_VARIANTS_VARIANT_H_

#include <array>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string_view>
#include <utility>

namespace quintet::variants {

inline constexpr uint32_t kSetupNoSqArray = 1U << 16;     // IORING_SETUP_NO_SQARRAY, Linux 6.6
inline constexpr uint32_t kEnterNoIowait = 1U << 7;       // IORING_ENTER_NO_IOWAIT, Linux 6.15
inline constexpr uint32_t kFeatureNoIowait = 1U << 17;    // IORING_FEAT_NO_IOWAIT, Linux 6.15
inline constexpr uint32_t kFeatureBundle = 1U << 14;      // IORING_FEAT_RECVSEND_BUNDLE, Linux 6.10
inline constexpr uint32_t kFeatureMinTimeout = 1U << 15;  // IORING_FEAT_MIN_TIMEOUT, Linux 6.12
inline constexpr uint16_t kReceiveBundle = 1U << 4;       // IORING_RECVSEND_BUNDLE, Linux 6.10
inline constexpr uint16_t kBufferRingIncremental = 2;     // IOU_PBUF_RING_INC, Linux 6.12
inline constexpr uint32_t kCqeBufferMore = 1U << 4;       // IORING_CQE_F_BUF_MORE, Linux 6.12
inline constexpr unsigned kRegisterNapi = 27;             // IORING_REGISTER_NAPI, Linux 6.9

struct Napi {  // io_uring_napi, Linux 6.9
  uint32_t busy_poll_us;
  uint8_t prefer_busy_poll;
  std::array<uint8_t, 3> padding;
  uint64_t reserved;
};
static_assert(sizeof(Napi) == 16);

enum class Variant {
  kBase,
  kOneShot,
  kPollOnly,
  kInlineSend,
  kSendCompletions,
  kBundle,
  kIncremental,
  kDirect,
  kSqPoll,
  kNapi,
  kMinWait,
  kZeroCopy,
  kHugePages,
};

inline constexpr auto kVariants = std::to_array<std::pair<std::string_view, Variant>>({
    {"base", Variant::kBase},
    {"one_shot", Variant::kOneShot},
    {"poll_only", Variant::kPollOnly},
    {"inline_send", Variant::kInlineSend},
    {"send_completions", Variant::kSendCompletions},
    {"bundle", Variant::kBundle},
    {"incremental", Variant::kIncremental},
    {"direct", Variant::kDirect},
    {"sqpoll", Variant::kSqPoll},
    {"napi", Variant::kNapi},
    {"min_wait", Variant::kMinWait},
    {"zero_copy", Variant::kZeroCopy},
    {"huge_pages", Variant::kHugePages},
});

// A variant that cannot be had ends the program: measured without it, it would pass for base.
inline constexpr int kRefusedExitCode = 77;

[[noreturn]] inline void Refuse(const char* what, int error) {
  std::fprintf(stderr, "ring_floor: the kernel refuses %s: %s\n", what, strerror(error));
  std::exit(kRefusedExitCode);
}

}  // namespace quintet::variants

#endif  // QUINTET_BENCH_VARIANTS_VARIANT_H_
