// What a server of files allows, and how careful it is.
#ifndef QUINTET_NET_FILES_OPTIONS_H_
#define QUINTET_NET_FILES_OPTIONS_H_

#include <sys/types.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "net/files/authentication.h"
#include "reactor/clock.h"

namespace quintet::files {

// All but the first are off where they are 0.
struct Limits {
  uint32_t requests = 16;         // open at a time on one connection
  uint32_t transfers = 0;         // at a time, of all connections and processes
  uint64_t file_bytes = 0;        // of a file that is put
  uint64_t total_bytes = 0;       // of all files below the root
  uint64_t bytes_per_second = 0;  // of one connection, in each direction
};

// Zero: none.
struct Timeouts {
  // From the opening of the connection to a proof of the secret.
  Duration authentication = std::chrono::seconds(10);
  // Without a request, or in the middle of the frame that would be one.
  Duration idle = std::chrono::minutes(5);
  // A put that waits for its client: it fails, and what it has stays for a resumed one.
  Duration stall = std::chrono::minutes(1);
};

// What is on the disk, and not only in the kernel's memory, when a put is answered. Whichever it
// is: after a crash of the program a file is whole or absent.
enum class Durability : uint8_t {
  kNone,       // nothing: after a power failure the file may be empty, or the former one
  kFile,       // its content: after a power failure the new file or the former one, whole
  kDirectory,  // its name as well: after a power failure the new file
};

struct Options {
  std::string root;  // the directory that is served
  bool read_only = false;
  // That clients have to know; null: none.
  std::shared_ptr<const Secret> secret;
  Limits limits;
  Timeouts timeouts;
  Durability durability = Durability::kDirectory;
  mode_t file_mode = 0644;  // of new files, less the umask
  mode_t directory_mode = 0755;
  // How old an unfinished upload gets since its last byte.
  Duration partial_lifetime = std::chrono::hours(24);
  // Pieces of a file of so many bytes or more go from the disk to the socket without being looked
  // at. Shorter ones cost less as a copy, and their end is known to be right before END is sent.
  size_t send_file_from_bytes = 64 << 10;
};

}  // namespace quintet::files

#endif  // QUINTET_NET_FILES_OPTIONS_H_
