// A file that names the running process, and keeps a second one from starting.
#ifndef QUINTET_NET_PID_FILE_H_
#define QUINTET_NET_PID_FILE_H_

#include <sys/types.h>

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "net/unique_fd.h"

namespace quintet {

// The file holds the decimal process id and a line feed, mode 0644, and is locked with flock(2) for
// as long as its process lives: a file that nobody holds locked is stale and replaced. It appears
// under its name complete and locked, by rename(2) from a file beside it, so a successor can put
// its own in place while its predecessor still holds the old one.
//
// The descriptor is close-on-exec, but a forked child shares the lock: one that outlives this
// process and has not closed its descriptors keeps the next program from starting.
// Thread-compatible; move-only.
class PidFile {
 public:
  // For a first start. AlreadyExists: another process holds the file, its id is in the message.
  // FailedPrecondition: there is something else than a regular file. InvalidArgument: the path is
  // empty. Otherwise the errno of the call that failed, as for a directory that is not there.
  //
  // The path is used again at the end: a relative one needs the working directory to stay.
  static absl::StatusOr<PidFile> Create(const std::string& path);

  // Whether Create() would be refused for what is there: its AlreadyExists, FailedPrecondition or
  // errno of open(2). Changes nothing. For a program that shows its id only once it takes signals,
  // and is to do nothing before if another runs.
  static absl::Status Check(const std::string& path);

  // For the successor of a process that may still hold the file: puts its own in place without
  // asking. Errors: as Create(), without AlreadyExists and FailedPrecondition.
  static absl::StatusOr<PidFile> TakeOver(const std::string& path);

  // Removes the file if it is still this one, and not a successor's. Does nothing in a forked
  // child.
  ~PidFile() { Remove(); }
  PidFile(PidFile&&) noexcept = default;
  PidFile& operator=(PidFile&& other) noexcept;

  const std::string& path() const { return path_; }

 private:
  PidFile(std::string path, UniqueFd fd);

  void Remove();

  std::string path_;
  UniqueFd fd_;  // holds the lock; empty when moved from
  pid_t owner_;
};

}  // namespace quintet

#endif  // QUINTET_NET_PID_FILE_H_
