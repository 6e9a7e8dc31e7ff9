// One file on its way from the server to the local disk.
#ifndef QUINTET_APPS_FILES_DOWNLOAD_H_
#define QUINTET_APPS_FILES_DOWNLOAD_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "apps/files/part_file.h"
#include "apps/files/transfer.h"
#include "net/files/client_session.h"
#include "reactor/event_loop.h"

namespace quintet::files::app {

struct DownloadOptions {
  bool resume = false;
  bool verify = false;
  bool sync = false;  // fsync(2) before the file appears
};

// Grows in a PartFile, which is renamed when all is there. Written a megabyte at a time, off the
// loop, while the next one arrives; when the disk is slower than the server, the server waits.
//
// Loop's thread only. Kept alive by itself until it is done.
class Download final : public Transfer,
                       private GetSink,
                       public std::enable_shared_from_this<Download> {
 public:
  Download(EventLoop& loop, std::string remote, std::string local, DownloadOptions options);

  void Start(ClientSession& session, Done done) override;
  void Cancel() override;
  uint64_t bytes() const override { return received_; }
  uint64_t total() const override { return total_; }
  const std::string& name() const override { return remote_; }

 private:
  void Ask();
  bool OpenPart();
  // GetSink.
  void OnInfo(const Entry& entry) override;
  void OnPiece(std::string_view bytes) override;
  void OnGetDone(const std::optional<ClientError>& error) override;

  void WriteMore();
  void OnWritten(int64_t result);
  void Publish();
  void FailLocally(absl::Status status);
  // Tells, once nothing is under way.
  void EndWith(std::optional<TransferFailure> failure);

  EventLoop& loop_;
  const std::string remote_;
  const std::string local_;
  const DownloadOptions options_;
  ClientSession* session_ = nullptr;  // while there is a request
  ClientSession::RequestId request_ = 0;
  Done done_;
  std::optional<PartFile> part_;
  bool resumed_ = false;   // the request goes on with what is in the part
  bool all_here_ = false;  // the server has sent everything
  bool busy_ = false;      // a file request is under way
  bool ended_ = false;
  std::optional<TransferFailure> failure_;
  std::string arriving_;  // to be written next
  std::string writing_;   // what is being written meanwhile, from taken_ on
  size_t taken_ = 0;
  uint64_t written_ = 0;  // bytes of the file in the part
  uint64_t received_ = 0;
  uint64_t total_ = kUnknown;
};

}  // namespace quintet::files::app

#endif  // QUINTET_APPS_FILES_DOWNLOAD_H_
