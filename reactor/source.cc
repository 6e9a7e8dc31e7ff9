#include "reactor/source.h"

#include <cassert>

namespace quintet {

Source::~Source() { assert(!attached() && "a source was destroyed before its kClosed"); }

}  // namespace quintet
