#ifndef QUINTET_REACTOR_VERSION_H_
#define QUINTET_REACTOR_VERSION_H_

namespace quintet {

// The version of the library that is linked, "major.minor.patch".
const char* Version();

}  // namespace quintet

#endif  // QUINTET_REACTOR_VERSION_H_
