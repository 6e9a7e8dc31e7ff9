// Ends the process where a user of the simulator breaks the contract of reactor/backend.h.
#ifndef QUINTET_REACTOR_SIM_SIM_CHECK_H_
#define QUINTET_REACTOR_SIM_SIM_CHECK_H_

#include <cstdio>
#include <cstdlib>

namespace quintet {

// Also in release builds: finding this is what the simulator is for.
inline void SimCheck(bool holds, const char* what) {
  if (holds) return;
  std::fprintf(stderr, "quintet: the contract of the backend is broken: %s\n", what);
  std::abort();
}

}  // namespace quintet

#endif  // QUINTET_REACTOR_SIM_SIM_CHECK_H_
