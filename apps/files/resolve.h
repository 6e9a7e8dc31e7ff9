// Where a server is, from what a user writes.
#ifndef QUINTET_APPS_FILES_RESOLVE_H_
#define QUINTET_APPS_FILES_RESOLVE_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "net/address.h"

namespace quintet::files::app {

// `text` is what Address::Parse() reads, or NAME:PORT. Names are looked up by getaddrinfo(3), which
// blocks. All addresses of the name, the best first (RFC 6724). InvalidArgument: `text` is neither;
// Unavailable: the name has no address, or nobody can be asked.
absl::StatusOr<std::vector<Address>> Resolve(const std::string& text);

}  // namespace quintet::files::app

#endif  // QUINTET_APPS_FILES_RESOLVE_H_
