// Finds the program that a path names, and nothing outside of its directory.
#ifndef QUINTET_NET_CGI_PROGRAM_FILE_H_
#define QUINTET_NET_CGI_PROGRAM_FILE_H_

#include <string>
#include <string_view>

#include "net/unique_fd.h"

namespace quintet::cgi {

struct ProgramFile {
  // 0, or the status to refuse the request with: 404, 403, 503; then `error` says why, for a log,
  // and nothing else is set.
  int status = 0;
  std::string error;

  std::string name;       // below the directory, decoded: "name" or "folder/name"
  std::string path_info;  // decoded, what follows: "" or "/..."
  // The folder that the program is in (O_PATH), in which it is to run, and its name there.
  UniqueFd folder;
  std::string base_name;
};

// `path` is undecoded, relative to `directory` and goes as far as the program, or beyond: the first
// regular file on the way is the program, the rest is PATH_INFO. Refused with 404: what is not
// there, leads outside (by a symbolic link: openat2(2) RESOLVE_BENEATH, Linux 5.6; where that is
// missing, every symbolic link), is no regular file, is hidden (its name begins
// with a dot), has a "." or ".." segment, or holds an encoded slash, a backslash or a control
// character. With 403: a file without
// permission to execute it, and names that begin with "nph-" (programs that speak HTTP themselves,
// section 5, are not supported).
//
// Somebody who may write to the directory can put another file there before it is executed; that
// user may run any program as it is.
ProgramFile FindProgram(const std::string& directory, std::string_view path);

}  // namespace quintet::cgi

#endif  // QUINTET_NET_CGI_PROGRAM_FILE_H_
