// One file on its way from the local disk to the server.
#ifndef QUINTET_APPS_FILES_UPLOAD_H_
#define QUINTET_APPS_FILES_UPLOAD_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "apps/files/transfer.h"
#include "net/files/client_session.h"
#include "net/unique_fd.h"
#include "reactor/event_loop.h"

namespace quintet::files::app {

struct UploadOptions {
  bool resume = false;
  bool make_directories = false;
};

// The name of an upload, by which a later process finds it again: of the file at this absolute
// path, of this size and time of change, to this remote name. Never 0.
uint64_t UploadKey(const std::string& path, uint64_t size, int64_t modified_ns,
                   const std::string& remote);

// Read a piece at a time, off the loop, while the piece before it is being sent.
//
// Loop's thread only. Kept alive by itself until it is done.
class Upload final : public Transfer,
                     private PutSource,
                     public std::enable_shared_from_this<Upload> {
 public:
  Upload(EventLoop& loop, std::string local, std::string remote, UploadOptions options);

  void Start(ClientSession& session, Done done) override;
  // The server forgets what it has, too; where the connection just ends it keeps it.
  void Cancel() override;
  uint64_t bytes() const override { return sent_; }
  uint64_t total() const override { return size_; }
  const std::string& name() const override { return local_; }

 private:
  // PutSource.
  void OnResume(uint64_t offset) override;
  void OnRoom(uint64_t offset) override;
  void OnPutDone(const std::optional<ClientError>& error, const Entry& entry) override;

  void ReadPrefix();
  void ReadMore();
  void OnRead(int64_t result);
  void SendMore();
  bool Unchanged() const;
  void FailLocally(const std::string& text);
  void EndWith(std::optional<TransferFailure> failure);

  EventLoop& loop_;
  const std::string local_;
  const std::string remote_;
  const UploadOptions options_;
  ClientSession* session_ = nullptr;  // while there is a request
  ClientSession::RequestId request_ = 0;
  Done done_;
  UniqueFd file_;
  uint64_t size_ = kUnknown;
  int64_t modified_ns_ = 0;
  uint64_t prefix_ = 0;  // bytes that the server says it has, while they are compared
  uint32_t crc_ = 0;     // of those that were read
  uint64_t read_ = 0;    // offset of what is read next
  uint64_t sent_ = 0;
  bool busy_ = false;  // a file request is under way
  bool room_ = false;  // the session takes more
  bool ended_ = false;
  std::string piece_;    // what was read
  std::string reading_;  // where the kernel writes to
};

}  // namespace quintet::files::app

#endif  // QUINTET_APPS_FILES_UPLOAD_H_
