// Sets of signals (sigsetops(3)).
#ifndef QUINTET_REACTOR_SIGNAL_SET_H_
#define QUINTET_REACTOR_SIGNAL_SET_H_

#include <signal.h>

#include <initializer_list>
#include <span>

namespace quintet {

inline sigset_t SignalSet(std::span<const int> signals) {
  sigset_t set;
  ::sigemptyset(&set);
  for (const int signo : signals) ::sigaddset(&set, signo);
  return set;
}
inline sigset_t SignalSet(std::initializer_list<int> signals) {
  return SignalSet(std::span<const int>(signals.begin(), signals.size()));
}

}  // namespace quintet

#endif  // QUINTET_REACTOR_SIGNAL_SET_H_
