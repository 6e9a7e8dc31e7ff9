// What all sessions of a server of files share.
#ifndef QUINTET_NET_FILES_SERVER_CONTEXT_H_
#define QUINTET_NET_FILES_SERVER_CONTEXT_H_

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>

#include "absl/status/statusor.h"
#include "net/files/counters.h"
#include "net/files/disk.h"
#include "net/files/file_store.h"
#include "net/files/options.h"
#include "net/files/quota.h"

namespace quintet::files {

// Made before the processes are forked that serve; what changes is in memory that they share. Any
// thread. Kept alive by sessions and by the disk operations that outlive them.
class ServerContext {
 public:
  // Between two looks for unfinished uploads that are too old.
  static constexpr Duration kSweepPeriod = std::chrono::hours(1);

  using MakeDisk = std::function<std::shared_ptr<Disk>(EventLoop*, absl::AnyInvocable<void()>)>;

  // Blocks; where the total size is limited, for a walk through the whole tree. Errors: those of
  // FileStore::Open() and Quota::Create().
  static absl::StatusOr<std::shared_ptr<ServerContext>> Create(Options options);
  ~ServerContext();
  ServerContext(const ServerContext&) = delete;
  ServerContext& operator=(const ServerContext&) = delete;

  const Options& options() const { return options_; }
  const FileStore& store() const { return *store_; }
  Quota& quota() { return *quota_; }
  Counters& counters() { return shared_->counters; }
  const Counters& counters() const { return shared_->counters; }

  // Whether the caller is the one who is to call Sweep(), because the last one is long ago.
  bool SweepDue();
  // Blocks. Removes old unfinished uploads, and corrects the total size.
  void Sweep();

  // For tests that want a disk of their own; before the first session.
  void set_make_disk(MakeDisk make_disk) { make_disk_ = std::move(make_disk); }
  std::shared_ptr<Disk> CreateDisk(EventLoop* loop, absl::AnyInvocable<void()> wake) const {
    return make_disk_(loop, std::move(wake));
  }

 private:
  struct Shared {
    Counters counters;
    std::atomic<int64_t> sweep_due = 0;  // as steady_clock counts, which processes share
  };

  ServerContext(Options options, std::unique_ptr<const FileStore> store,
                std::unique_ptr<Quota> quota, Shared* shared);

  const Options options_;
  const std::unique_ptr<const FileStore> store_;
  const std::unique_ptr<Quota> quota_;
  Shared* const shared_;
  MakeDisk make_disk_ = &Disk::Create;
};

}  // namespace quintet::files

#endif  // QUINTET_NET_FILES_SERVER_CONTEXT_H_
