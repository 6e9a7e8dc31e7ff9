// The increment server as a program: its name, its settings, what it serves.
#ifndef QUINTET_APPS_INCREMENT_INCREMENT_PROGRAM_H_
#define QUINTET_APPS_INCREMENT_INCREMENT_PROGRAM_H_

#include "apps/program/program.h"

namespace quintet::increment {

// Where server and client meet when nothing else is said: the port of the classic texts.
inline constexpr char kDefaultAddress[] = "127.0.0.1:6240";

// Its configuration's own part is program::SessionTimeouts. Never destroyed.
const program::Program& IncrementProgram();

}  // namespace quintet::increment

#endif  // QUINTET_APPS_INCREMENT_INCREMENT_PROGRAM_H_
