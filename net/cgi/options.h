// Which programs answer requests, and within which limits.
#ifndef QUINTET_NET_CGI_OPTIONS_H_
#define QUINTET_NET_CGI_OPTIONS_H_

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "reactor/clock.h"

namespace quintet::cgi {

struct Options {
  // Where the programs are. A relative path is meant from the working directory of the moment at
  // which the Gateway is made.
  std::string directory;
  // The path of requests below which they are reached; begins and ends with '/'.
  std::string prefix = "/cgi-bin/";

  // From the start of a program to the end of its output; then it is killed, and the answer is 504
  // where none was begun. Above zero: what nobody waits for must end, too.
  Duration timeout = std::chrono::seconds(30);
  // The body of a reply in bytes; above, the program is killed and the connection closed.
  uint64_t max_output_bytes = 64 << 20;
  // Programs that may run at once, of all loops of the process; above: 503 with Retry-After. Each
  // costs a process, three pipes and about a MiB.
  int max_programs = 32;
  // A client that closes its sending side may be gone or may wait for the reply. Its program is
  // killed when for so long it wrote nothing and no output was on its way to the client.
  Duration half_closed_timeout = std::chrono::seconds(2);

  // Added to the environment of each program, "NAME=value". Nothing else of this process's own
  // environment gets there.
  std::vector<std::string> environment = {"PATH=/usr/local/bin:/usr/bin:/bin"};
};

}  // namespace quintet::cgi

#endif  // QUINTET_NET_CGI_OPTIONS_H_
