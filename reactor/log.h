// Where the library's rare log lines go: a function that the user passes in, no global state.
#ifndef QUINTET_REACTOR_LOG_H_
#define QUINTET_REACTOR_LOG_H_

#include <functional>
#include <string_view>

namespace quintet {

enum class LogLevel { kInfo, kWarning, kError };

// Takes one line without its newline. Shards call it from their own threads, so it must be
// thread-safe; it is called while the loop runs, so it must not block for long. An empty function
// means silence.
using LogFunction = std::function<void(LogLevel level, std::string_view message)>;

// Writes "quintet: message\n" ("quintet: warning: ...", "quintet: error: ...") to standard error
// with one write(2), so that lines of several threads do not mix.
void LogToStderr(LogLevel level, std::string_view message);

}  // namespace quintet

#endif  // QUINTET_REACTOR_LOG_H_
