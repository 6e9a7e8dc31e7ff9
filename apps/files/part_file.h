// The file in which a download grows until it is whole.
#ifndef QUINTET_APPS_FILES_PART_FILE_H_
#define QUINTET_APPS_FILES_PART_FILE_H_

#include <cstdint>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "net/unique_fd.h"

namespace quintet::files::app {

// ".NAME.part" beside NAME, where listings do not show it, and ".NAME.part.tag" with the tag of the
// file on the server that it is a part of. One process at a time has it (flock(2)). The calls look
// at names, which is quick; contents are read and written by descriptor(), elsewhere.
class PartFile {
 public:
  // Takes the part of the file `target`, which is made where it is not there. FailedPrecondition:
  // another process has it, or `target` is a directory. Other codes: as open(2) fails.
  static absl::StatusOr<PartFile> Open(const std::string& target);

  int descriptor() const { return fd_.get(); }
  // Bytes in it.
  uint64_t size() const { return size_; }
  // Of the file that it is a part of; nothing where that is not known.
  std::optional<uint64_t> tag() const { return tag_; }

  // Empties it; from here on it is a part of the file with this tag.
  absl::Status Begin(uint64_t tag);
  // Cuts off what is behind.
  absl::Status Truncate(uint64_t size);
  // The part is the whole: it gets the name of the target, in one step.
  absl::Status Publish();
  // Removes it and its tag.
  void Discard();

 private:
  PartFile(std::string target, UniqueFd fd);

  std::string target_;
  std::string path_;
  std::string tag_path_;
  UniqueFd fd_;
  uint64_t size_ = 0;
  std::optional<uint64_t> tag_;
};

// The path of the part of `target`, also where its name has no room for what is added.
std::string PartPath(const std::string& target);

}  // namespace quintet::files::app

#endif  // QUINTET_APPS_FILES_PART_FILE_H_
