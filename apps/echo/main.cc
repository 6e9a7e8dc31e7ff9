// The echo server: sends back what it gets, or answers each line.
#include <string>
#include <vector>

#include "apps/echo/echo_program.h"
#include "apps/program/program.h"

int main(int argc, char** argv) {
  return quintet::program::Main(quintet::echo::EchoProgram(),
                                std::vector<std::string>(argv + (argc > 0 ? 1 : 0), argv + argc));
}
