// The client of the files program.
#ifndef QUINTET_APPS_FILES_CLIENT_MAIN_H_
#define QUINTET_APPS_FILES_CLIENT_MAIN_H_

#include <string>
#include <vector>

namespace quintet::files::app {

// `arguments` without the program's name. Returns the exit code, an ExitCode.
int ClientMain(const std::vector<std::string>& arguments);

}  // namespace quintet::files::app

#endif  // QUINTET_APPS_FILES_CLIENT_MAIN_H_
