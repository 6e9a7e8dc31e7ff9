#include "net/files/listing.h"

#include "net/files/file_error.h"

namespace quintet::files {

void Listing::Start() { Read(/*first=*/true); }

void Listing::Read(bool first) {
  StartDisk(FileRequest::Call([this, first] {
              const int64_t error = first ? reader_.Open() : 0;
              return error != 0 ? error : reader_.Read(part_, kPartBytes);
            }),
            &Listing::OnRead);
}

void Listing::OnRead(int64_t result) {
  if (over()) return;
  if (result < 0) return EndWithError(FromErrno(static_cast<int>(-result)));
  ready_ = true;
}

void Listing::SendNext() {
  ready_ = false;
  if (!part_.empty()) host().Send(FrameType::kEntries, 0, id(), part_);
  if (reader_.at_end()) return End(FrameType::kEnd, {});
  Read(/*first=*/false);
}

}  // namespace quintet::files
