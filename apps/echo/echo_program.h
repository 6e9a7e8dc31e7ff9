// The echo server as a program: its name, its settings, what it serves.
#ifndef QUINTET_APPS_ECHO_ECHO_PROGRAM_H_
#define QUINTET_APPS_ECHO_ECHO_PROGRAM_H_

#include "apps/program/program.h"

namespace quintet::echo {

// Its configuration's own part is EchoOptions. Never destroyed.
const program::Program& EchoProgram();

}  // namespace quintet::echo

#endif  // QUINTET_APPS_ECHO_ECHO_PROGRAM_H_
