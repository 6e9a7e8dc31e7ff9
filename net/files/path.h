// Names of files in the files protocol (docs/files-protocol.md, "Paths").
#ifndef QUINTET_NET_FILES_PATH_H_
#define QUINTET_NET_FILES_PATH_H_

#include <cstddef>
#include <string>
#include <string_view>

namespace quintet::files {

// PATH_MAX without its NUL, and NAME_MAX (limits.h): the system refuses longer ones.
inline constexpr size_t kMaxPathBytes = 4095;
inline constexpr size_t kMaxComponentBytes = 255;

// Whether `path` is one of the protocol: components between single slashes, each of 1 to
// kMaxComponentBytes bytes without NUL and without a dot at its front. So it is relative, stays
// below the root but for symbolic links, and there is one way to write it. The empty path, which
// LIST takes for the root, is none.
bool CheckPath(std::string_view path);

// `bytes` for people to read, on one line, in logs and on terminals: UTF-8 (RFC 3629) stays, and
// these are shown as \xNN for each of their bytes: what is no UTF-8; control characters (U+0000 to
// U+001F, U+007F to U+009F), which move cursors and forge lines; line separators (U+2028, U+2029);
// and the characters that turn the direction of what follows them (U+202A to U+202E, U+2066 to
// U+2069), by which one name can look like another. Not to be turned back: a name may hold a
// backslash of its own.
std::string SafeText(std::string_view bytes);

}  // namespace quintet::files

#endif  // QUINTET_NET_FILES_PATH_H_
