// The hidden file that an upload goes to before it has its name.
#ifndef QUINTET_NET_FILES_PARTIAL_FILE_H_
#define QUINTET_NET_FILES_PARTIAL_FILE_H_

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <string_view>

#include "net/files/file_store.h"
#include "net/unique_fd.h"

namespace quintet::files {

// ".quintet-<32 hexadecimal digits>.part", the same for the same name and key, so that an upload
// can be found again; by chance for key 0. Hidden names are neither listed nor taken from clients.
std::string PartialName(std::string_view name, uint64_t key);
bool IsPartialName(std::string_view name);

// In the directory of the file that it becomes, so that rename(2) puts it there in one step. Locked
// (flock(2)) while it is open: two uploads of the same name and key conflict, and those of a
// process that has died do not. A file whose lock is held and which has its name is nobody else's.
class PartialFile {
 public:
  struct Target {
    std::string path;
    uint64_t key = 0;
    // Goes on with what is there, if that is not more than `size`. Else it starts anew.
    bool resume = false;
    uint64_t size = 0;
    const FileStore::Making* making = nullptr;  // of directories on the way; null: none
    mode_t mode = 0644;
  };

  // How often the name is looked at again: each time another has put its file in place between our
  // open and our lock.
  static constexpr int kAttempts = 8;

  PartialFile() = default;
  PartialFile(PartialFile&&) = default;
  PartialFile& operator=(PartialFile&&) = default;

  // Blocks. 0 or -errno: -EALREADY where another makes the same upload; -EEXIST where a directory
  // has the name of the file, -ENXIO where a device or the like has it.
  int64_t Open(const FileStore& store, const Target& target);
  // Blocks. Removes it, and closes it.
  int64_t Discard();
  // Blocks. Keeps the first `size` bytes, and closes it.
  int64_t Keep(uint64_t size);
  // May block (close(2) of a file on another machine).
  void Close();

  bool open() const { return file_.valid(); }
  int fd() const { return file_.get(); }
  // Not with O_PATH, so that it may be synchronised.
  int directory() const { return directory_.get(); }
  // Of the file to be, and of this one.
  const std::string& name() const { return name_; }
  const std::string& partial_name() const { return partial_name_; }
  // Bytes that Open() found and goes on with, and those that it threw away.
  uint64_t found_bytes() const { return found_bytes_; }
  uint64_t dropped_bytes() const { return dropped_bytes_; }

 private:
  int64_t OpenLocked(const Target& target);

  UniqueFd directory_;
  UniqueFd file_;
  std::string name_;
  std::string partial_name_;
  uint64_t found_bytes_ = 0;
  uint64_t dropped_bytes_ = 0;
};

}  // namespace quintet::files

#endif  // QUINTET_NET_FILES_PARTIAL_FILE_H_
