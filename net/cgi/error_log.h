// What a program writes to its standard error, as lines of a log.
#ifndef QUINTET_NET_CGI_ERROR_LOG_H_
#define QUINTET_NET_CGI_ERROR_LOG_H_

#include <cstddef>
#include <string>
#include <string_view>

#include "reactor/log.h"

namespace quintet::cgi {

// Of one program. Control characters are escaped, so that a program forges no lines and writes
// nothing to a terminal. Thread-compatible.
class ErrorLog {
 public:
  // A longer line goes on in the next.
  static constexpr size_t kMaxLineBytes = 1 << 10;
  // Of one program; what is beyond is counted and dropped, and the last line says how much.
  static constexpr size_t kMaxBytes = 16 << 10;

  // Each line begins with `prefix`. `log` may be empty.
  ErrorLog(LogFunction log, std::string prefix)
      : log_(std::move(log)), prefix_(std::move(prefix)) {}
  // Writes what is left.
  ~ErrorLog();
  ErrorLog(const ErrorLog&) = delete;
  ErrorLog& operator=(const ErrorLog&) = delete;

  void Add(std::string_view bytes);

 private:
  void WriteLine();

  const LogFunction log_;
  const std::string prefix_;
  std::string line_;
  size_t taken_bytes_ = 0;
  size_t dropped_bytes_ = 0;
};

}  // namespace quintet::cgi

#endif  // QUINTET_NET_CGI_ERROR_LOG_H_
