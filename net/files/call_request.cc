#include "net/files/call_request.h"

#include <string>

#include "net/files/file_error.h"

namespace quintet::files {

void CallRequest::Start() {
  StartDisk(FileRequest::Call([this] { return call_(context().store(), found_); }),
            &CallRequest::OnDone);
}

void CallRequest::OnDone(int64_t result) {
  context().quota().Freed(found_.freed_bytes);
  if (over()) return;
  if (result < 0) return EndWithError(FromErrno(static_cast<int>(-result)));
  std::string payload;
  if (answer_ == FrameType::kInfo) AppendEntry(payload, found_.entry);
  End(answer_, payload);
}

}  // namespace quintet::files
