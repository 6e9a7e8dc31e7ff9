// The names of the five ways to ask the kernel what is ready, and whether each works here.
#ifndef QUINTET_REACTOR_BACKEND_KIND_H_
#define QUINTET_REACTOR_BACKEND_KIND_H_

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>

namespace quintet {

enum class BackendKind : uint8_t {
  kAuto,     // io_uring where it can be set up, else kEpollEt
  kSelect,   // select(2): descriptors below FD_SETSIZE (1024) only
  kPoll,     // poll(2)
  kEpollLt,  // epoll(7), level-triggered
  kEpollEt,  // epoll(7), edge-triggered
  kIoUring,  // io_uring(7), completions; needs Linux 6.0 (multishot receive)
  kSim,      // the simulator of reactor/sim: no kernel, virtual time; never chosen by name
};

// The five real backends, in the order in which they are listed everywhere.
inline constexpr std::array<BackendKind, 5> kRealBackends = {
    BackendKind::kSelect, BackendKind::kPoll, BackendKind::kEpollLt, BackendKind::kEpollEt,
    BackendKind::kIoUring};

// "auto", "select", "poll", "epoll_lt", "epoll_et", "io_uring", "sim".
std::string_view BackendName(BackendKind kind);

// The inverse of BackendName for what a user may ask for: kAuto and the five real ones, exactly as
// spelled there. nullopt for anything else.
std::optional<BackendKind> ParseBackendKind(std::string_view name);

}  // namespace quintet

#endif  // QUINTET_REACTOR_BACKEND_KIND_H_
