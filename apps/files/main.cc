// The file server, "files serve", and its client.
#include <string>
#include <vector>

#include "apps/files/client_main.h"
#include "apps/files/files_program.h"
#include "apps/program/program.h"

int main(int argc, char** argv) {
  std::vector<std::string> arguments(argv + (argc > 0 ? 1 : 0), argv + argc);
  if (!arguments.empty() && arguments.front() == "serve") {
    arguments.erase(arguments.begin());
    return quintet::program::Main(quintet::files::app::FilesProgram(), arguments);
  }
  return quintet::files::app::ClientMain(arguments);
}
