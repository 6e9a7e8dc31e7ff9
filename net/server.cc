#include "net/server.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <system_error>
#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"
#include "net/errno_status.h"
#include "net/listener.h"
#include "net/shard.h"
#include "net/socket.h"

namespace quintet {
namespace {

std::vector<int> UsableCores() {
  cpu_set_t set;
  CPU_ZERO(&set);
  std::vector<int> cores;
  // Fails on machines with more than CPU_SETSIZE (1024) cores: then the standard library's count.
  if (::sched_getaffinity(0, sizeof(set), &set) == 0) {
    for (int core = 0; core < CPU_SETSIZE; ++core) {
      if (CPU_ISSET(core, &set)) cores.push_back(core);
    }
  }
  if (cores.empty()) {
    const int count = static_cast<int>(std::max(1U, std::thread::hardware_concurrency()));
    for (int core = 0; core < count; ++core) cores.push_back(core);
  }
  return cores;
}

void PinToCore(int core) {
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(core, &set);
  // A refusal costs locality, nothing else.
  ::pthread_setaffinity_np(::pthread_self(), sizeof(set), &set);
}

// One listening socket for each shard.
absl::StatusOr<std::vector<Socket>> ListenForShards(const Address& address, int backlog,
                                                    size_t shards) {
  std::vector<Socket> sockets;
  if (shards == 1 || address.is_unix()) {
    auto socket = ListenOn(address, {.backlog = backlog, .reuse_port = false});
    if (!socket.ok()) return socket.status();
    sockets.push_back(*std::move(socket));
    // Unix sockets know no SO_REUSEPORT: the shards accept from one queue.
    while (sockets.size() < shards) {
      const int fd = ::fcntl(sockets.front().fd(), F_DUPFD_CLOEXEC, 0);
      if (fd < 0) return ErrnoStatus(errno, absl::StrCat(address.ToString(), ": dup"));
      sockets.emplace_back(fd);
    }
    return sockets;
  }
  if (address.port() != 0) {
    // SO_REUSEPORT would let two servers of one user share the port unnoticed: a bind without it
    // finds out whether anybody is there.
    auto probe = Socket::CreateStream(address);
    if (!probe.ok()) return probe.status();
    absl::Status status = probe->SetReuseAddress(true);
    if (status.ok() && address.family() == AF_INET6) status = probe->SetV6Only(true);
    if (status.ok()) status = probe->Bind(address);
    if (!status.ok()) return status;
  }
  Address bound = address;
  while (sockets.size() < shards) {
    auto socket = ListenOn(bound, {.backlog = backlog, .reuse_port = true});
    if (!socket.ok()) return socket.status();
    if (sockets.empty()) {
      auto local = socket->LocalAddress();
      if (!local.ok()) return local.status();
      bound = *local;
    }
    sockets.push_back(*std::move(socket));
  }
  return sockets;
}

}  // namespace

// With one shard its loop also takes signals and stop requests; with more, a loop of the calling
// thread does, which the shards know nothing of.
class Server::Impl {
 public:
  explicit Impl(ServerOptions options) : options_(std::move(options)), cores_(UsableCores()) {}
  ~Impl();

  absl::Status SetUp(SessionFactory& sessions);
  absl::Status Run();
  void Stop();
  void Abort();
  absl::Status StopOnSignals();

  const std::vector<Address>& addresses() const { return addresses_; }
  int shards() const { return static_cast<int>(shards_.size()); }
  BackendKind backend() const { return kind_; }
  std::vector<ShardStats> Stats() const;

 private:
  bool threaded() const { return shards_.size() > 1; }
  absl::Status WatchStops();
  void OnStop();
  absl::Status RunShards();
  void RunShard(size_t i);

  ServerOptions options_;
  const std::vector<int> cores_;
  std::vector<Address> addresses_;
  std::vector<std::unique_ptr<Shard>> shards_;
  std::unique_ptr<EventLoop> own_control_loop_;  // with more than one shard
  EventLoop* control_loop_ = nullptr;
  BackendKind kind_ = BackendKind::kAuto;
  int stop_fd_ = -1;
  WatcherPtr stop_watch_;
  size_t running_ = 0;  // shards whose thread has not said that it is done; control loop's
  std::atomic<bool> abort_ = false;
};

Server::Impl::~Impl() {
  stop_watch_.reset();
  shards_.clear();
  own_control_loop_.reset();
  if (stop_fd_ >= 0) ::close(stop_fd_);
  for (const Address& address : addresses_) {
    if (address.unix_path().empty()) continue;
    ::unlink(std::string(address.unix_path()).c_str());
  }
}

absl::Status Server::Impl::SetUp(SessionFactory& sessions) {
  if (options_.addresses.empty()) {
    return absl::InvalidArgumentError("a server needs an address to listen on");
  }
  if (options_.shards < 0) return absl::InvalidArgumentError("shards is negative");
  const size_t shards = options_.shards == 0 ? cores_.size() : static_cast<size_t>(options_.shards);
  std::vector<std::vector<Socket>> sockets(shards);
  for (const Address& address : options_.addresses) {
    auto for_shards = ListenForShards(address, options_.backlog, shards);
    if (!for_shards.ok()) return for_shards.status();
    auto local = for_shards->front().LocalAddress();
    if (!local.ok()) return local.status();
    addresses_.push_back(*local);
    for (size_t i = 0; i < shards; ++i) sockets[i].push_back(std::move((*for_shards)[i]));
  }
  for (size_t i = 0; i < shards; ++i) {
    auto shard = Shard::Create(options_, sessions, std::move(sockets[i]));
    if (!shard.ok()) return shard.status();
    shards_.push_back(*std::move(shard));
  }
  kind_ = shards_.front()->loop().backend().kind();
  return WatchStops();
}

absl::Status Server::Impl::WatchStops() {
  stop_fd_ = ::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
  if (stop_fd_ < 0) return ErrnoStatus(errno, "eventfd");
  if (threaded()) {
    EventLoopOptions options = options_.loop;
    options.backend.kind = BackendKind::kPoll;  // two descriptors, once: the simplest that works
    auto loop = EventLoop::Create(options);
    if (!loop.ok()) return loop.status();
    own_control_loop_ = *std::move(loop);
    control_loop_ = own_control_loop_.get();
  } else {
    control_loop_ = &shards_.front()->loop();
  }
  auto watch = control_loop_->Watch(stop_fd_, Readiness::kReadable, Trigger::kLevel,
                                    [this](Readiness) { OnStop(); });
  if (!watch.ok()) return watch.status();
  stop_watch_ = *std::move(watch);
  return absl::OkStatus();
}

absl::Status Server::Impl::StopOnSignals() {
  for (const int signo : {SIGINT, SIGTERM}) {
    const absl::Status status = control_loop_->WatchSignal(signo, [this](int) { Stop(); });
    if (!status.ok()) return status;
  }
  return absl::OkStatus();
}

void Server::Impl::Stop() {
  // Also from a signal handler: write(2) is safe there, a queue of tasks is not.
  const int saved = errno;
  const uint64_t one = 1;
  [[maybe_unused]] const ssize_t written = ::write(stop_fd_, &one, sizeof(one));
  errno = saved;
}

void Server::Impl::Abort() {
  abort_ = true;
  Stop();
}

void Server::Impl::OnStop() {
  uint64_t count;
  [[maybe_unused]] const ssize_t bytes = ::read(stop_fd_, &count, sizeof(count));
  const Duration timeout = abort_ ? Duration::zero() : options_.drain_timeout;
  if (threaded()) {
    for (const auto& shard : shards_) {
      shard->executor().Post([raw = shard.get(), timeout] { raw->Drain(timeout); });
    }
  } else {
    shards_.front()->Drain(timeout);
  }
}

absl::Status Server::Impl::Run() {
  if (threaded()) return RunShards();
  shards_.front()->Run();
  stop_watch_.reset();
  shards_.front()->TearDown();
  return absl::OkStatus();
}

absl::Status Server::Impl::RunShards() {
  absl::Status status;
  std::vector<std::thread> threads;
  try {
    for (size_t i = 0; i < shards_.size(); ++i) threads.emplace_back([this, i] { RunShard(i); });
  } catch (const std::system_error& error) {
    status = absl::ResourceExhaustedError(absl::StrCat("cannot start a thread: ", error.what()));
    Abort();
  }
  running_ = threads.size();
  if (running_ > 0) control_loop_->Run();
  for (std::thread& thread : threads) thread.join();
  stop_watch_.reset();
  own_control_loop_.reset();
  return status;
}

void Server::Impl::RunShard(size_t i) {
  if (options_.pin) PinToCore(cores_[i % cores_.size()]);
  shards_[i]->Run();
  shards_[i]->TearDown();
  control_loop_->Post([this] {
    if (--running_ == 0) control_loop_->Stop();
  });
}

std::vector<ShardStats> Server::Impl::Stats() const {
  std::vector<ShardStats> stats;
  for (const auto& shard : shards_) stats.push_back(shard->Stats());
  return stats;
}

absl::StatusOr<std::unique_ptr<Server>> Server::Create(ServerOptions options,
                                                       SessionFactory& sessions) {
  auto impl = std::make_shared<Impl>(std::move(options));
  const absl::Status status = impl->SetUp(sessions);
  if (!status.ok()) return status;
  return std::unique_ptr<Server>(new Server(std::move(impl)));
}

Server::Server(std::shared_ptr<Impl> impl) : impl_(std::move(impl)) {}

Server::~Server() { impl_->Abort(); }

absl::Status Server::Run() {
  const std::shared_ptr<Impl> impl = impl_;
  return impl->Run();
}

void Server::Stop() { impl_->Stop(); }
absl::Status Server::StopOnSignals() { return impl_->StopOnSignals(); }
const std::vector<Address>& Server::addresses() const { return impl_->addresses(); }
int Server::shards() const { return impl_->shards(); }
BackendKind Server::backend() const { return impl_->backend(); }
std::vector<ShardStats> Server::Stats() const { return impl_->Stats(); }

}  // namespace quintet
