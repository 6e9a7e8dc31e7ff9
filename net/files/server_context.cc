#include "net/files/server_context.h"

#include <errno.h>
#include <sys/mman.h>

#include <new>
#include <utility>

#include "net/errno_status.h"
#include "net/files/tree_walk.h"

namespace quintet::files {
namespace {

int64_t Now() { return Duration(std::chrono::steady_clock::now().time_since_epoch()).count(); }

}  // namespace

absl::StatusOr<std::shared_ptr<ServerContext>> ServerContext::Create(Options options) {
  if (options.limits.requests == 0) {
    return absl::InvalidArgumentError("a connection without requests is of no use");
  }
  auto store = FileStore::Open(options.root);
  if (!store.ok()) return store.status();
  auto quota = Quota::Create(options.limits.total_bytes, options.limits.transfers);
  if (!quota.ok()) return quota.status();
  void* const memory =
      ::mmap(nullptr, sizeof(Shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) return ErrnoStatus(errno, "mmap");
  std::shared_ptr<ServerContext> context(new ServerContext(std::move(options), *std::move(store),
                                                           *std::move(quota), new (memory) Shared));
  // Without a limit the first connection does it, so that nobody waits for a large tree.
  if (context->quota().limits_bytes() && context->SweepDue()) context->Sweep();
  return context;
}

ServerContext::ServerContext(Options options, std::unique_ptr<const FileStore> store,
                             std::unique_ptr<Quota> quota, Shared* shared)
    : options_(std::move(options)),
      store_(std::move(store)),
      quota_(std::move(quota)),
      shared_(shared) {}

ServerContext::~ServerContext() { ::munmap(shared_, sizeof(Shared)); }

bool ServerContext::SweepDue() {
  if (options_.read_only) return false;
  int64_t due = shared_->sweep_due.load(std::memory_order_relaxed);
  const int64_t now = Now();
  if (now < due) return false;
  const int64_t next = now + Duration(kSweepPeriod).count();
  return shared_->sweep_due.compare_exchange_strong(due, next, std::memory_order_relaxed);
}

void ServerContext::Sweep() {
  const TreeWalk walk = WalkTree(*store_, options_.partial_lifetime);
  Counters::Add(counters().swept, walk.removed);
  quota_->SetOnDisk(walk.bytes);
}

}  // namespace quintet::files
