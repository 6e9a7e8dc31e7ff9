#include "reactor/version.h"

namespace quintet {

const char* Version() { return QUINTET_VERSION; }

}  // namespace quintet
