// What a source of settings (file, environment, command line) says about one of them.
#ifndef QUINTET_APPS_PROGRAM_ASSIGNMENT_H_
#define QUINTET_APPS_PROGRAM_ASSIGNMENT_H_

#include <string>
#include <vector>

#include "apps/program/setting.h"

namespace quintet::program {

struct Assignment {
  const Setting* setting;
  std::vector<std::string> values;
  // Where it stands: "hello.toml:3", "environment QUINTET_BACKEND", "flag --backend".
  std::string origin;
  // The same as the beginning of an error: a line of a file also names the key.
  std::string subject;
};

}  // namespace quintet::program

#endif  // QUINTET_APPS_PROGRAM_ASSIGNMENT_H_
