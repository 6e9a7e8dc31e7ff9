// How a forked child lives and ends.
#ifndef QUINTET_NET_RUN_CHILD_H_
#define QUINTET_NET_RUN_CHILD_H_

#include "absl/functional/function_ref.h"

namespace quintet {

// In the child: runs `main` and ends the process with what it returns, or, where it throws, with
// EXIT_FAILURE and a line on standard error. Without destructors and exit handlers: those are the
// parent's (_exit(2)).
[[noreturn]] void RunChild(absl::FunctionRef<int()> main);

}  // namespace quintet

#endif  // QUINTET_NET_RUN_CHILD_H_
