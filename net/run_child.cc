#include "net/run_child.h"

#include <stdio.h>
#include <unistd.h>

#include <cstdlib>

#include "reactor/catch_all.h"

namespace quintet {

void RunChild(absl::FunctionRef<int()> main) {
  int code = EXIT_FAILURE;
  CatchAll([&] { code = main(); },
           [](const char* what) { ::fprintf(stderr, "quintet: a child threw: %s\n", what); });
  ::fflush(nullptr);
  ::_exit(code);
}

}  // namespace quintet
