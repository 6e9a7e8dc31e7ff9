#include "net/errno_status.h"

#include <errno.h>

#include <string>

#include "reactor/errno_text.h"

namespace quintet {
namespace {

absl::StatusCode CodeOf(int error) {
  switch (error) {
    case EADDRINUSE:
      return absl::StatusCode::kAlreadyExists;
    case EADDRNOTAVAIL:
      return absl::StatusCode::kInvalidArgument;
    default:
      return absl::ErrnoToStatusCode(error);
  }
}

}  // namespace

absl::Status ErrnoStatus(int error, std::string_view what) {
  return absl::Status(CodeOf(error), std::string(what) + ": " + ErrnoText(error));
}

}  // namespace quintet
