// The listening sockets of a program, which outlive the workers that accept from them.
#ifndef QUINTET_NET_LISTEN_SOCKETS_H_
#define QUINTET_NET_LISTEN_SOCKETS_H_

#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "net/address.h"
#include "net/drain_plan.h"
#include "net/inherited_sockets.h"
#include "net/listen_policy.h"
#include "net/listener.h"
#include "net/socket.h"

namespace quintet {

struct ListenSocketsOptions {
  std::vector<Address> addresses;
  // listen(2); the kernel caps it at net.core.somaxconn. Sockets of a service manager keep theirs.
  int backlog = 1024;
  ListenPolicy policy = ListenPolicy::kReusePort;
  // With kReusePort: the kernel gives a connection to the worker whose number is that of the core
  // that received it, modulo the workers (SO_ATTACH_REUSEPORT_CBPF in socket(7), Linux 4.5).
  // Switched off by SO_DETACH_REUSEPORT_BPF (Linux 5.3; before, it lasts as long as the sockets).
  bool steer_by_cpu = false;
  size_t workers = 1;
};

// Each address has one socket, or with kReusePort one per worker. A socket, once it listens, is
// closed only when nobody holds it any more, since the kernel resets what waits in it: a set for
// fewer workers keeps the sockets of the one before, and its workers serve several each.
//
// Used on one thread at a time. Held by shared_ptr, because workers that drain may still need what
// their successors have not. Copies in forked children remove nothing of the parent's.
class ListenSockets {
 public:
  // The name under which a socket travels to a successor who is to remove the file of its address
  // once it has taken over, see OwnFiles() (LISTEN_FDNAMES, sd_listen_fds_with_names(3)).
  static constexpr std::string_view kOwned = "quintet-owned";

  // Most sockets of a set: a message to a worker process names each with a bit (WorkerChannel).
  static constexpr size_t kMaxSockets = 32'000;

  // Binds every address, and listens. `inherited` are used where their addresses are asked for:
  // first by those that name the port, then by each that asks for any (port 0) one address, in
  // order; others are closed. With sockets of a predecessor among them, known by the names under
  // which it hands them over, nothing is changed of them, and what is new does not listen, until
  // Listen(): a successor that fails has taken no connection. Errors: InvalidArgument (more than
  // kMaxSockets, too), AlreadyExists (an address is in use: says which), PermissionDenied and
  // others of bind(2); of steer_by_cpu, that the kernel cannot.
  static absl::StatusOr<std::shared_ptr<ListenSockets>> Open(
      const ListenSocketsOptions& options, std::vector<InheritedSocket> inherited = {});

  // A set for other options, which shares with this one what both need. What is new in it is bound
  // but does not listen until Listen(), so that a set which is given up has taken no connection.
  absl::StatusOr<std::shared_ptr<ListenSockets>> Change(const ListenSocketsOptions& options) const;

  ListenSockets(const ListenSockets&) = delete;
  ListenSockets& operator=(const ListenSockets&) = delete;

  // Listens on everything that does not yet, and gives what does the backlog and the steering of
  // the options. Errors of listen(2) at an address that is new: what others serve is as it was
  // then. Further sockets of an address, and its steering, can only fail for want of memory; the
  // address does without them until the next Listen().
  absl::Status Listen();
  // Whether Listen() has succeeded, or Open() did all of it.
  bool listens() const { return listens_; }

  const ListenSocketsOptions& options() const { return options_; }
  // Where it listens, with the real port in place of port 0; in the order of the options.
  std::vector<Address> addresses() const;
  // How many sockets there are. They are known by their index.
  size_t size() const { return sockets_.size(); }

  // A line for each address of IP whose workers share sockets although the policy is kReusePort:
  // those of a service manager, which are shared always, and those beside which no further one
  // could be bound, because whoever bound them, perhaps a predecessor, had another user or more
  // privileges (SO_REUSEPORT in socket(7)).
  std::vector<std::string> Shortfalls() const;

  // What worker `worker` accepts from when all serve; with kHandoff nothing, unless it is alone.
  std::vector<size_t> SocketsOf(size_t worker) const;
  // Whether several workers accept from it and only one is to be woken.
  Listener::Sharing SharingOf(size_t index) const;
  // The index of every socket, and of those whose queues a drain by `plan` has to serve first.
  std::vector<size_t> All() const;
  std::vector<size_t> AbandonedBy(const DrainPlan& plan) const;
  // A descriptor of its own. Errors: ResourceExhausted.
  absl::StatusOr<Socket> Duplicate(size_t index) const;

  // A set of the same descriptors, which closes them: for a forked child, where this object and
  // others like it lie about and will never be destroyed. Once.
  std::shared_ptr<ListenSockets> InChild() const;

  // Every socket with the name it travels under. The descriptors stay this object's.
  struct Descriptor {
    int fd;
    std::string name;
  };
  std::vector<Descriptor> descriptors() const;
  // The sockets of this set that `other` has not, by index.
  std::vector<size_t> NotIn(const ListenSockets& other) const;
  // The file of a Unix socket is removed by the process that bound it, with the last set that
  // listens there. Of a socket inherited as kOwned it is this process's to remove from OwnFiles()
  // on, which a successor calls when it serves: if it fails before, its predecessor goes on with
  // the file. Files of other inherited sockets stay.
  void OwnFiles();
  // From now on the files are another process's to remove.
  void DisownFiles();

 private:
  // The file of a Unix socket, removed with the last set that listens there.
  class File;
  struct Bound {
    std::shared_ptr<Socket> socket;
    std::shared_ptr<bool> listens;
    size_t address;  // index into places_
    size_t nth;      // of its address
  };
  struct Place {
    Address asked;
    Address bound;
    std::shared_ptr<File> file = nullptr;
    // Of a service manager, by whom it is named so; a successor is to know it for one, too. It has
    // what it has.
    std::optional<std::string> manager_name = std::nullopt;
    size_t sockets = 0;
    std::string refusal = {};  // why further ones could not be bound; empty where they could
  };

  explicit ListenSockets(const ListenSocketsOptions& options) : options_(options) {}

  static absl::Status Check(const ListenSocketsOptions& options);
  size_t Wanted(const Place& place) const;
  void Add(size_t place, std::shared_ptr<Socket> socket, std::shared_ptr<bool> listens);
  void Inherit(std::vector<InheritedSocket>& inherited);
  void InheritAt(Place& place, const Address& address, std::vector<InheritedSocket>& inherited);
  void Share(const ListenSockets& other);
  void ShareAt(Place& place, const ListenSockets& other, size_t index);
  absl::Status Fill();
  absl::Status BindFirst(size_t place);
  void Steer() const;

  const ListenSocketsOptions options_;
  std::vector<Place> places_;  // as options_.addresses
  std::vector<Bound> sockets_;
  bool listens_ = false;
};

}  // namespace quintet

#endif  // QUINTET_NET_LISTEN_SOCKETS_H_
