#include "net/listen_sockets.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <numeric>
#include <utility>

#include "absl/strings/str_cat.h"
#include "net/errno_status.h"

namespace quintet {
namespace {

// A process that was killed keeps its addresses until the kernel has taken its io_uring apart,
// which it does in the background: seen to take some milliseconds. An address in use is tried again
// for so long.
constexpr int kBindAttempts = 10;
constexpr timespec kBindPause{.tv_sec = 0, .tv_nsec = 20'000'000};

absl::StatusOr<Socket> BindPatiently(const Address& address, const ListenOptions& options) {
  for (int attempt = 1;; ++attempt) {
    auto socket = BindTo(address, options);
    const bool in_use = absl::IsAlreadyExists(socket.status()) && !address.is_unix();
    if (!in_use || attempt == kBindAttempts) return socket;
    ::nanosleep(&kBindPause, nullptr);
  }
}

// The name of a socket that a successor is to inherit, and that has no file to remove.
constexpr std::string_view kPlain = "quintet";

bool IsPredecessors(const InheritedSocket& inherited) {
  return inherited.name == ListenSockets::kOwned || inherited.name == kPlain;
}

// The program sees a packet, returns a number, and the kernel takes the socket of that number among
// those of the address, in the order in which they began to listen.
bool AttachSteering(int fd, size_t targets) {
  sock_filter code[] = {
      {BPF_LD | BPF_W | BPF_ABS, 0, 0, static_cast<uint32_t>(SKF_AD_OFF + SKF_AD_CPU)},
      {BPF_ALU | BPF_MOD | BPF_K, 0, 0, static_cast<uint32_t>(targets)},
      {BPF_RET | BPF_A, 0, 0, 0},
  };
  const sock_fprog program{.len = std::size(code), .filter = code};
  return ::setsockopt(fd, SOL_SOCKET, SO_ATTACH_REUSEPORT_CBPF, &program, sizeof(program)) == 0;
}

// On a socket that nobody uses.
absl::Status CheckSteering() {
  const Socket probe(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const int on = 1;
  if (::setsockopt(probe.fd(), SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on)) == 0 &&
      AttachSteering(probe.fd(), 2)) {
    return absl::OkStatus();
  }
  const int error = errno;
  return ErrnoStatus(error, "steering by core: SO_ATTACH_REUSEPORT_CBPF");
}

}  // namespace

class ListenSockets::File {
 public:
  // Somebody else's, until Own().
  explicit File(std::string path) : path_(std::move(path)) {}
  ~File() {
    if (owned()) ::unlink(path_.c_str());
  }
  void Own() { owner_ = ::getpid(); }
  void Disown() { owner_ = 0; }
  bool owned() const { return owner_ == ::getpid(); }

 private:
  const std::string path_;
  pid_t owner_ = 0;
};

absl::Status ListenSockets::Check(const ListenSocketsOptions& options) {
  if (options.addresses.empty()) {
    return absl::InvalidArgumentError("a server needs an address to listen on");
  }
  if (options.workers == 0) return absl::InvalidArgumentError("a server needs a worker");
  if (options.steer_by_cpu && options.policy != ListenPolicy::kReusePort) {
    return absl::InvalidArgumentError(
        "steering by core needs a socket per worker: listen policy reuseport");
  }
  return options.steer_by_cpu ? CheckSteering() : absl::OkStatus();
}

absl::StatusOr<std::shared_ptr<ListenSockets>> ListenSockets::Open(
    const ListenSocketsOptions& options, std::vector<InheritedSocket> inherited) {
  if (absl::Status status = Check(options); !status.ok()) return status;
  std::shared_ptr<ListenSockets> set(new ListenSockets(options));
  for (const Address& address : options.addresses) set->places_.push_back({address, address});
  const bool succeeds = std::any_of(inherited.begin(), inherited.end(), IsPredecessors);
  set->Inherit(inherited);
  absl::Status status = set->Fill();
  if (status.ok() && !succeeds) status = set->Listen();
  if (!status.ok()) return status;
  return set;
}

absl::StatusOr<std::shared_ptr<ListenSockets>> ListenSockets::Change(
    const ListenSocketsOptions& options) const {
  if (absl::Status status = Check(options); !status.ok()) return status;
  std::shared_ptr<ListenSockets> set(new ListenSockets(options));
  for (const Address& address : options.addresses) set->places_.push_back({address, address});
  set->Share(*this);
  if (absl::Status status = set->Fill(); !status.ok()) return status;
  return set;
}

size_t ListenSockets::Wanted(const Place& place) const {
  const bool one_each = options_.policy == ListenPolicy::kReusePort && !place.asked.is_unix();
  const size_t wanted = one_each && !place.manager_name.has_value() ? options_.workers : 1;
  return std::max(wanted, place.sockets);
}

void ListenSockets::Add(size_t place, std::shared_ptr<Socket> socket,
                        std::shared_ptr<bool> listens) {
  sockets_.push_back({std::move(socket), std::move(listens), place, places_[place].sockets++});
}

// An address that is asked for by its port is nobody else's. Of those that are left, the first is
// of the first place that asks for any port, and so on: the order is that of the predecessor.
void ListenSockets::Inherit(std::vector<InheritedSocket>& inherited) {
  std::vector<Address> bound;
  for (const InheritedSocket& each : inherited) {
    if (std::find(bound.begin(), bound.end(), each.address) == bound.end()) {
      bound.push_back(each.address);
    }
  }
  const auto take = [&](Place& place, const auto& fits) {
    const auto taken = std::find_if(bound.begin(), bound.end(), fits);
    if (place.sockets > 0 || taken == bound.end()) return;
    InheritAt(place, *taken, inherited);
    bound.erase(taken);
  };
  for (Place& place : places_) {
    take(place, [&](const Address& each) { return each == place.asked; });
  }
  for (Place& place : places_) {
    if (place.asked.is_unix() || place.asked.port() != 0) continue;
    take(place,
         [&](const Address& each) { return !each.is_unix() && each.WithPort(0) == place.asked; });
  }
}

// All that listen at one address.
void ListenSockets::InheritAt(Place& place, const Address& address,
                              std::vector<InheritedSocket>& inherited) {
  place.bound = address;
  const std::string path(address.unix_path());
  for (InheritedSocket& each : inherited) {
    if (!(each.address == address)) continue;
    if (!IsPredecessors(each)) place.manager_name = each.name;
    if (each.name == kOwned && !path.empty()) place.file = std::make_shared<File>(path);
    // As ListenOn() does; without it replies only come later.
    if (path.empty()) static_cast<void>(each.socket.SetNoDelay(true));
    Add(static_cast<size_t>(&place - places_.data()),
        std::make_shared<Socket>(std::move(each.socket)), std::make_shared<bool>(true));
  }
}

// As Inherit(), but who asked for what is known: a port that the kernel chose stays with those who
// ask for any.
void ListenSockets::Share(const ListenSockets& other) {
  std::vector<bool> taken(other.places_.size());
  const auto take = [&](Place& place, const auto& fits) {
    for (size_t i = 0; i < taken.size() && place.sockets == 0; ++i) {
      if (taken[i] || !fits(other.places_[i])) continue;
      taken[i] = true;
      ShareAt(place, other, i);
    }
  };
  for (Place& place : places_) {
    take(place, [&](const Place& theirs) { return theirs.bound == place.asked; });
  }
  for (Place& place : places_) {
    take(place, [&](const Place& theirs) { return theirs.asked == place.asked; });
  }
}

void ListenSockets::ShareAt(Place& place, const ListenSockets& other, size_t index) {
  const Place& theirs = other.places_[index];
  place.bound = theirs.bound;
  place.file = theirs.file;
  place.manager_name = theirs.manager_name;
  for (const Bound& bound : other.sockets_) {
    if (bound.address != index) continue;
    Add(static_cast<size_t>(&place - places_.data()), bound.socket, bound.listens);
  }
}

absl::Status ListenSockets::Fill() {
  size_t wanted = 0;
  for (const Place& place : places_) wanted += Wanted(place);
  if (wanted > kMaxSockets) {
    return absl::InvalidArgumentError(
        absl::StrCat(wanted, " listening sockets are more than the ", kMaxSockets, " that can be"));
  }
  for (size_t i = 0; i < places_.size(); ++i) {
    Place& place = places_[i];
    const bool is_new = place.sockets == 0;
    if (is_new) {
      if (absl::Status status = BindFirst(i); !status.ok()) return status;
    }
    if (place.sockets >= Wanted(place)) continue;
    // One that was bound to be alone gets company: the kernel asks for the flag on both.
    for (const Bound& bound : sockets_) {
      if (bound.address != i) continue;
      if (absl::Status status = bound.socket->SetReusePort(true); !status.ok()) return status;
    }
    while (place.sockets < Wanted(place)) {
      auto socket = BindTo(place.bound, {.backlog = options_.backlog, .reuse_port = true});
      // The kernel asks for the user of the others (EADDRINUSE), and for ports below 1024 for a
      // privilege (EACCES); whoever bound the others may have had both.
      const bool refused =
          absl::IsAlreadyExists(socket.status()) || absl::IsPermissionDenied(socket.status());
      if (refused && !is_new) {
        place.refusal = std::string(socket.status().message());
        break;
      }
      if (!socket.ok()) return socket.status();
      Add(i, std::make_shared<Socket>(*std::move(socket)), std::make_shared<bool>(false));
    }
  }
  return absl::OkStatus();
}

// Without SO_REUSEPORT, which would let two servers of one user share the port unnoticed; it is set
// once the address is ours.
absl::Status ListenSockets::BindFirst(size_t i) {
  Place& place = places_[i];
  auto socket = BindPatiently(place.asked, {.backlog = options_.backlog});
  if (!socket.ok()) return socket.status();
  auto local = socket->LocalAddress();
  if (!local.ok()) return local.status();
  place.bound = *local;
  const std::string path(place.bound.unix_path());
  if (!path.empty()) {
    place.file = std::make_shared<File>(path);
    place.file->Own();
  }
  Add(i, std::make_shared<Socket>(*std::move(socket)), std::make_shared<bool>(false));
  return absl::OkStatus();
}

absl::Status ListenSockets::Listen() {
  for (const Bound& bound : sockets_) {
    if (bound.nth != 0 || *bound.listens) continue;
    if (absl::Status status = bound.socket->Listen(options_.backlog); !status.ok()) return status;
    *bound.listens = true;
  }
  for (const Bound& bound : sockets_) {
    if (places_[bound.address].manager_name.has_value()) continue;
    // Of one that listens it changes the backlog alone (inet_listen() and unix_listen() of Linux).
    if (bound.socket->Listen(options_.backlog).ok()) *bound.listens = true;
  }
  Steer();
  listens_ = true;
  return absl::OkStatus();
}

// Sockets beyond the workers, left of more, are dealt out among them, and steered past: the number
// of the core modulo the workers is that of a worker's first. A number beyond the sockets, while
// some do not listen yet, is as none: the kernel takes the hash.
void ListenSockets::Steer() const {
  for (const Bound& bound : sockets_) {
    const Place& place = places_[bound.address];
    if (bound.nth != 0 || place.asked.is_unix()) continue;
    const size_t targets = std::min(place.sockets, options_.workers);
    if (options_.steer_by_cpu && targets > 1) {
      AttachSteering(bound.socket->fd(), targets);
    } else {
      // ENOENT where there is none.
      const int unused = 0;
      ::setsockopt(bound.socket->fd(), SOL_SOCKET, SO_DETACH_REUSEPORT_BPF, &unused,
                   sizeof(unused));
    }
  }
}

std::vector<Address> ListenSockets::addresses() const {
  std::vector<Address> addresses;
  for (const Place& place : places_) addresses.push_back(place.bound);
  return addresses;
}

std::vector<std::string> ListenSockets::Shortfalls() const {
  std::vector<std::string> result;
  for (const Place& place : places_) {
    const bool one_each = options_.policy == ListenPolicy::kReusePort && !place.asked.is_unix();
    if (!one_each || place.sockets >= options_.workers) continue;
    const std::string why = place.manager_name.has_value()
                                ? "of a service manager"
                                : absl::StrCat("no further one: ", place.refusal);
    result.push_back(absl::StrCat(place.bound.ToString(), ": listen policy reuseport, but ",
                                  options_.workers, " workers share ", place.sockets,
                                  place.sockets == 1 ? " socket: " : " sockets: ", why));
  }
  return result;
}

std::vector<size_t> ListenSockets::SocketsOf(size_t worker) const {
  std::vector<size_t> result;
  if (options_.policy == ListenPolicy::kHandoff && options_.workers > 1) return result;
  for (size_t i = 0; i < sockets_.size(); ++i) {
    const size_t count = places_[sockets_[i].address].sockets;
    const size_t nth = sockets_[i].nth;
    const bool dealt = options_.policy == ListenPolicy::kReusePort;
    const bool its_own =
        count >= options_.workers ? nth % options_.workers == worker : worker % count == nth;
    if (!dealt || its_own) result.push_back(i);
  }
  return result;
}

Listener::Sharing ListenSockets::SharingOf(size_t index) const {
  const bool dealt = options_.policy == ListenPolicy::kReusePort &&
                     places_[sockets_[index].address].sockets >= options_.workers;
  const bool alone = dealt || options_.policy == ListenPolicy::kShared || options_.workers == 1;
  return alone ? Listener::Sharing::kAlone : Listener::Sharing::kShared;
}

std::vector<size_t> ListenSockets::All() const {
  std::vector<size_t> all(sockets_.size());
  std::iota(all.begin(), all.end(), size_t{0});
  return all;
}

std::vector<size_t> ListenSockets::AbandonedBy(const DrainPlan& plan) const {
  if (plan.timeout <= Duration::zero()) return {};
  return plan.stopping ? All() : plan.abandoned;
}

absl::StatusOr<Socket> ListenSockets::Duplicate(size_t index) const {
  const Bound& bound = sockets_[index];
  const int fd = ::fcntl(bound.socket->fd(), F_DUPFD_CLOEXEC, 0);
  if (fd < 0) {
    const int error = errno;
    return ErrnoStatus(error, absl::StrCat(places_[bound.address].bound.ToString(), ": dup"));
  }
  return Socket(fd);
}

std::shared_ptr<ListenSockets> ListenSockets::InChild() const {
  std::shared_ptr<ListenSockets> set(new ListenSockets(options_));
  set->places_ = places_;
  for (const Bound& bound : sockets_) {
    Bound& own = set->sockets_.emplace_back(bound);
    own.socket = std::make_shared<Socket>(bound.socket->fd());
  }
  return set;
}

std::vector<ListenSockets::Descriptor> ListenSockets::descriptors() const {
  std::vector<Descriptor> result;
  for (const Bound& bound : sockets_) {
    const Place& place = places_[bound.address];
    const bool owned = place.file != nullptr && place.file->owned();
    const std::string own_name(owned ? kOwned : kPlain);
    result.push_back({bound.socket->fd(), place.manager_name.value_or(own_name)});
  }
  return result;
}

void ListenSockets::OwnFiles() {
  for (const Place& place : places_) {
    if (place.file != nullptr) place.file->Own();
  }
}

std::vector<size_t> ListenSockets::NotIn(const ListenSockets& other) const {
  std::vector<size_t> result;
  for (size_t i = 0; i < sockets_.size(); ++i) {
    const auto same = [&](const Bound& bound) { return bound.socket == sockets_[i].socket; };
    if (std::none_of(other.sockets_.begin(), other.sockets_.end(), same)) result.push_back(i);
  }
  return result;
}

void ListenSockets::DisownFiles() {
  for (const Place& place : places_) {
    if (place.file != nullptr) place.file->Disown();
  }
}

}  // namespace quintet
