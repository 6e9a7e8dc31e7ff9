// What is served of one directory.
#ifndef QUINTET_NET_FILES_DIRECTORY_READER_H_
#define QUINTET_NET_FILES_DIRECTORY_READER_H_

#include <dirent.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "net/files/file_store.h"

namespace quintet::files {

// In parts, so that a directory may be larger than memory. In the order of the file system. Left
// out are hidden names and what is neither a regular file nor, where asked for, a directory. A link
// that leads to a file below the root is that file; links to directories are left out, because who
// goes down into all of them would go round in circles.
//
// Everything blocks: for FileRequest::Call(). One thread at a time.
class DirectoryReader {
 public:
  DirectoryReader(const FileStore& store, std::string path, bool directories)
      : store_(store), path_(std::move(path)), directories_(directories) {}

  // 0 or -errno.
  int64_t Open();
  // Makes `payload` one of entries, of at most `limit` bytes, which must be kMaxEntryBytes or more.
  // 0 or -errno.
  int64_t Read(std::string& payload, size_t limit);
  // Nothing is left to be read.
  bool at_end() const { return at_end_; }

  // Of one entry: its name has 255 bytes at most.
  static constexpr size_t kMaxEntryBytes = 1 + 8 + 8 + 8 + 2 + 255;

 private:
  struct CloseDirectory {
    void operator()(DIR* directory) const { ::closedir(directory); }
  };

  bool Look(const dirent& found, Entry& entry) const;

  const FileStore& store_;
  const std::string path_;
  const bool directories_;
  std::unique_ptr<DIR, CloseDirectory> directory_;
  bool at_end_ = false;
};

}  // namespace quintet::files

#endif  // QUINTET_NET_FILES_DIRECTORY_READER_H_
