#include "apps/files/exit_code.h"

namespace quintet::files::app {

ExitCode ExitCodeOf(const ClientError& error) {
  if (!error.code.has_value()) return ExitCode::kConnection;
  switch (*error.code) {
    case ErrorCode::kNotFound:
      return ExitCode::kNotFound;
    case ErrorCode::kBadName:
    case ErrorCode::kForbidden:
    case ErrorCode::kReadOnly:
    case ErrorCode::kAuthentication:
    case ErrorCode::kNotAFile:
    case ErrorCode::kExists:
      return ExitCode::kRefused;
    case ErrorCode::kNoSpace:
    case ErrorCode::kQuota:
      return ExitCode::kNoSpace;
    case ErrorCode::kBusy:
    case ErrorCode::kChanged:
    case ErrorCode::kConflict:
    case ErrorCode::kEnding:
      return ExitCode::kBusy;
    case ErrorCode::kCancelled:
      return ExitCode::kInterrupted;
    case ErrorCode::kProtocol:
    case ErrorCode::kCrc:
    case ErrorCode::kVersion:
    case ErrorCode::kTooLong:
      return ExitCode::kConnection;
    default:
      return ExitCode::kFailure;
  }
}

}  // namespace quintet::files::app
