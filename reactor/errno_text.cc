#include "reactor/errno_text.h"

#include <string.h>

#include <system_error>

#include "absl/strings/str_cat.h"

namespace quintet {

std::string ErrnoText(int error) {
  // strerror(3) is not thread-safe; the error category makes its own string.
  const std::string description = std::generic_category().message(error);
#if defined(__GLIBC__) && __GLIBC_PREREQ(2, 32)
  if (const char* name = ::strerrorname_np(error)) {
    return absl::StrCat(name, " (", description, ")");
  }
#endif
  return absl::StrCat("error ", error, " (", description, ")");
}

}  // namespace quintet
