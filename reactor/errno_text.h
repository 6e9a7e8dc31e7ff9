// Error numbers as people search for them.
#ifndef QUINTET_REACTOR_ERRNO_TEXT_H_
#define QUINTET_REACTOR_ERRNO_TEXT_H_

#include <string>

namespace quintet {

// "ENOSYS (Function not implemented)" for ENOSYS. `error` is positive. Any thread.
std::string ErrnoText(int error);

}  // namespace quintet

#endif  // QUINTET_REACTOR_ERRNO_TEXT_H_
