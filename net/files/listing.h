// LIST: the entries of a directory, a part at a time.
#ifndef QUINTET_NET_FILES_LISTING_H_
#define QUINTET_NET_FILES_LISTING_H_

#include <cstddef>
#include <cstdint>
#include <string>

#include "net/files/directory_reader.h"
#include "net/files/request.h"

namespace quintet::files {

// Reads the next part while the one before is on its way, so it has two in memory at most.
class Listing final : public Request {
 public:
  // Of one frame: other requests get their turn between two.
  static constexpr size_t kPartBytes = 32 << 10;

  Listing(RequestHost& host, uint32_t id, std::string path, bool directories)
      : Request(host, id), reader_(context().store(), std::move(path), directories) {}

  void Start() override;
  bool ready() const override { return ready_; }
  void SendNext() override;

 private:
  void Read(bool first);
  void OnRead(int64_t result);

  DirectoryReader reader_;
  std::string part_;
  bool ready_ = false;
};

}  // namespace quintet::files

#endif  // QUINTET_NET_FILES_LISTING_H_
