// The increment server of the classic texts, and with "client" as first argument its client.
#include <string>
#include <vector>

#include "apps/increment/client_main.h"
#include "apps/increment/increment_program.h"
#include "apps/program/program.h"

int main(int argc, char** argv) {
  std::vector<std::string> arguments(argv + (argc > 0 ? 1 : 0), argv + argc);
  if (!arguments.empty() && arguments.front() == "client") {
    arguments.erase(arguments.begin());
    return quintet::increment::ClientMain(arguments);
  }
  return quintet::program::Main(quintet::increment::IncrementProgram(), arguments);
}
