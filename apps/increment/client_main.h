// The command increment client.
#ifndef QUINTET_APPS_INCREMENT_CLIENT_MAIN_H_
#define QUINTET_APPS_INCREMENT_CLIENT_MAIN_H_

#include <string>
#include <vector>

namespace quintet::increment {

// `arguments` are those behind "client". Prints "char from server = B", or what went wrong, and
// returns the exit code: 0, 1 for no answer, 2 for wrong arguments.
int ClientMain(const std::vector<std::string>& arguments);

}  // namespace quintet::increment

#endif  // QUINTET_APPS_INCREMENT_CLIENT_MAIN_H_
