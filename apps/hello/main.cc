// The hello server: an HTTP/1.1 server that shows every backend and every setting of Quintet.
#include <string>
#include <vector>

#include "apps/hello/hello_program.h"
#include "apps/program/program.h"

int main(int argc, char** argv) {
  return quintet::program::Main(quintet::hello::HelloProgram(),
                                std::vector<std::string>(argv + (argc > 0 ? 1 : 0), argv + argc));
}
