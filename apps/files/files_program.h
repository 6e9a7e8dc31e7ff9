// The file server as a program: its name, its settings, what it serves.
#ifndef QUINTET_APPS_FILES_FILES_PROGRAM_H_
#define QUINTET_APPS_FILES_FILES_PROGRAM_H_

#include <string>

#include "apps/program/program.h"
#include "net/files/options.h"

namespace quintet::files::app {

// Where it listens by default.
inline constexpr char kDefaultAddress[] = "127.0.0.1:6241";

// The configuration's own part.
struct FilesConfig {
  Options options;          // but for the secret
  std::string secret_file;  // empty: none
};

// "files serve". Never destroyed.
const program::Program& FilesProgram();

}  // namespace quintet::files::app

#endif  // QUINTET_APPS_FILES_FILES_PROGRAM_H_
