// STAT, DELETE and RENAME: one call that may block, and its answer.
#ifndef QUINTET_NET_FILES_CALL_REQUEST_H_
#define QUINTET_NET_FILES_CALL_REQUEST_H_

#include <cstdint>
#include <functional>
#include <utility>

#include "net/files/request.h"

namespace quintet::files {

class CallRequest final : public Request {
 public:
  // What the call finds out.
  struct Found {
    Entry entry;
    uint64_t freed_bytes = 0;  // of files that it has removed
  };
  // On a thread that may block. 0 or -errno.
  using Call = std::function<int64_t(const FileStore& store, Found& found)>;

  // `answer`: kInfo, with the entry, or kEnd.
  CallRequest(RequestHost& host, uint32_t id, Call call, FrameType answer)
      : Request(host, id), call_(std::move(call)), answer_(answer) {}

  void Start() override;

 private:
  void OnDone(int64_t result);

  const Call call_;
  const FrameType answer_;
  Found found_;
};

}  // namespace quintet::files

#endif  // QUINTET_NET_FILES_CALL_REQUEST_H_
