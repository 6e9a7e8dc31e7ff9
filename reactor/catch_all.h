// Keeps exceptions of callers' code from leaving the library.
#ifndef QUINTET_REACTOR_CATCH_ALL_H_
#define QUINTET_REACTOR_CATCH_ALL_H_

#include <exception>

namespace quintet {

// Runs `call`; where it throws, `on_throw` is given what() of the exception, which is valid during
// the call only. `on_throw` itself must not throw.
template <typename Call, typename OnThrow>
void CatchAll(Call&& call, OnThrow&& on_throw) {
  try {
    call();
  } catch (const std::exception& exception) {
    on_throw(exception.what());
  } catch (...) {
    on_throw("not a std::exception");
  }
}

}  // namespace quintet

#endif  // QUINTET_REACTOR_CATCH_ALL_H_
