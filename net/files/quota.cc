#include "net/files/quota.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <new>
#include <string_view>
#include <utility>

#include "absl/strings/str_cat.h"
#include "net/errno_status.h"
#include "net/unique_fd.h"

namespace quintet::files {
namespace {

struct ProcessState {
  bool over = false;     // gone, or waited for by nobody yet
  uint64_t started = 0;  // in ticks since the system started; 0: not known
};

// From /proc/PID/stat (proc(5)): the third field is the state, the 22nd the start. The second is a
// name in parentheses, which may hold anything.
ProcessState Look(pid_t pid) {
  ProcessState state;
  if (::kill(pid, 0) != 0 && errno == ESRCH) state.over = true;
  const UniqueFd file(::open(absl::StrCat("/proc/", pid, "/stat").c_str(), O_RDONLY | O_CLOEXEC));
  std::array<char, 1024> buffer;
  const ssize_t length = file.valid() ? ::read(file.get(), buffer.data(), buffer.size()) : 0;
  if (length <= 0) return state;
  std::string_view text(buffer.data(), static_cast<size_t>(length));
  const size_t name_end = text.rfind(") ");
  if (name_end == std::string_view::npos) return state;
  text.remove_prefix(name_end + 2);
  state.over = state.over || text.starts_with('Z') || text.starts_with('X');
  for (int field = 3; field < 22; ++field) {
    const size_t space = text.find(' ');
    if (space == std::string_view::npos) return state;
    text.remove_prefix(space + 1);
  }
  std::from_chars(text.data(), text.data() + text.size(), state.started);
  return state;
}

bool HasDied(pid_t pid, uint64_t started) {
  const ProcessState state = Look(pid);
  // The number may be another's by now.
  return state.over || (started != 0 && state.started != 0 && started != state.started);
}

}  // namespace

absl::StatusOr<std::unique_ptr<Quota>> Quota::Create(uint64_t total_bytes, uint32_t transfers) {
  void* const memory =
      ::mmap(nullptr, sizeof(Shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) return ErrnoStatus(errno, "mmap");
  static_assert(std::atomic<uint64_t>::is_always_lock_free);
  // Zero as the kernel gives it: pages of places that nobody takes are never touched.
  return std::unique_ptr<Quota>(new Quota(static_cast<Shared*>(memory), total_bytes, transfers));
}

Quota::~Quota() { ::munmap(shared_, sizeof(Shared)); }

uint64_t Quota::used_bytes() const {
  return static_cast<uint64_t>(std::max<int64_t>(shared_->used_bytes.load(), 0));
}

uint32_t Quota::transfers() const { return shared_->transfers.load(); }

Quota::Place* Quota::MyPlace() {
  const pid_t pid = ::getpid();
  Place* place = place_.load();
  if (place != nullptr && place->pid.load() == pid) return place;
  place = Claim(pid);
  if (place == nullptr && GiveBackOfTheDead()) place = Claim(pid);
  if (place != nullptr) place_.store(place);
  return place;
}

// Threads of one process may take a place each, once: what is held remembers where it is written.
Quota::Place* Quota::Claim(pid_t pid) {
  const size_t first = static_cast<size_t>(pid) % kPlaces;
  for (size_t i = 0; i < kPlaces; ++i) {
    Place& place = shared_->places[(first + i) % kPlaces];
    pid_t free = 0;
    if (!place.pid.compare_exchange_strong(free, pid)) continue;
    place.started.store(Look(pid).started);
    return &place;
  }
  return nullptr;
}

bool Quota::GiveBackOfTheDead() {
  bool any = false;
  for (Place& place : shared_->places) {
    pid_t pid = place.pid.load();
    if (pid <= 0 || pid == ::getpid() || !HasDied(pid, place.started.load())) continue;
    if (!place.pid.compare_exchange_strong(pid, kReaping)) continue;
    shared_->transfers.fetch_sub(place.transfers.exchange(0));
    shared_->used_bytes.fetch_sub(static_cast<int64_t>(place.reserved_bytes.exchange(0)));
    place.started.store(0);
    place.pid.store(0);
    any = true;
  }
  return any;
}

bool Quota::TryTransfer() {
  uint32_t now = shared_->transfers.load();
  while (now < most_transfers_) {
    if (shared_->transfers.compare_exchange_weak(now, now + 1)) return true;
  }
  return false;
}

bool Quota::TryReserve(uint64_t bytes) {
  if (bytes > total_bytes_) return false;
  int64_t now = shared_->used_bytes.load();
  while (static_cast<uint64_t>(std::max<int64_t>(now, 0)) <= total_bytes_ - bytes) {
    const int64_t then = now + static_cast<int64_t>(bytes);
    if (shared_->used_bytes.compare_exchange_weak(now, then)) return true;
  }
  return false;
}

void Quota::Freed(uint64_t bytes) {
  if (limits_bytes()) shared_->used_bytes.fetch_sub(static_cast<int64_t>(bytes));
}

void Quota::SetOnDisk(uint64_t bytes) {
  if (!limits_bytes()) return;
  GiveBackOfTheDead();
  for (const Place& place : shared_->places) bytes += place.reserved_bytes.load();
  shared_->used_bytes.store(static_cast<int64_t>(bytes));
}

bool Quota::Transfer::Begin(Quota& quota) {
  if (quota.most_transfers_ == 0) return true;
  Place* const place = quota.MyPlace();
  if (place == nullptr) return false;
  if (!quota.TryTransfer() && !(quota.GiveBackOfTheDead() && quota.TryTransfer())) return false;
  // A process that dies between the two lines takes one transfer with it, for good.
  place->transfers.fetch_add(1);
  place_ = place;
  quota_ = &quota;
  return true;
}

void Quota::Transfer::End() {
  Quota* const quota = std::exchange(quota_, nullptr);
  if (quota == nullptr) return;
  place_->transfers.fetch_sub(1);
  quota->shared_->transfers.fetch_sub(1);
}

bool Quota::Room::Reserve(Quota& quota, uint64_t bytes) {
  if (!quota.limits_bytes() || bytes == 0) return true;
  if (place_ == nullptr) place_ = quota.MyPlace();
  if (place_ == nullptr) return false;
  if (!quota.TryReserve(bytes) && !(quota.GiveBackOfTheDead() && quota.TryReserve(bytes))) {
    return false;
  }
  place_->reserved_bytes.fetch_add(bytes);
  quota_ = &quota;
  bytes_ += bytes;
  return true;
}

void Quota::Room::Wrote(uint64_t bytes) {
  if (quota_ == nullptr) return;
  bytes = std::min(bytes, bytes_);
  bytes_ -= bytes;
  place_->reserved_bytes.fetch_sub(bytes);
}

Quota::Room::~Room() {
  if (quota_ == nullptr || bytes_ == 0) return;
  place_->reserved_bytes.fetch_sub(bytes_);
  quota_->shared_->used_bytes.fetch_sub(static_cast<int64_t>(bytes_));
}

}  // namespace quintet::files
