#include "tests/net/supervised_server.h"

#include <errno.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <fstream>
#include <new>
#include <sstream>
#include <utility>

#include "absl/strings/str_cat.h"
#include "tests/net/real_server.h"

namespace quintet::testing {
namespace {

using std::chrono::steady_clock;

constexpr std::chrono::seconds kPatience{30};

// Told to drain it still answers whoever was not answered yet, and then closes.
class ScriptedEcho final : public EchoSession {
 public:
  explicit ScriptedEcho(const Script& script) : script_(script) {}
  size_t OnData(std::span<const std::byte> data) override {
    answered_ = true;
    const std::string_view text(reinterpret_cast<const char*>(data.data()), data.size());
    const bool busy = script_.blocks && text == "busy";
    if (busy) ++script_.hangs;
    while (busy && script_.blocks) ::usleep(1000);
    const size_t taken = EchoSession::OnData(data);
    if (draining_) transport().Close();
    return taken;
  }
  void OnDrain() override {
    while (script_.blocks_drain) ::usleep(1000);
    if (script_.ignores_drain) return;
    draining_ = true;
    if (answered_) transport().Close();
  }

 private:
  const Script& script_;
  bool answered_ = false;
  bool draining_ = false;
};

// Lets this process open `left` descriptors more, -1: as many as it may.
void LimitDescriptors(int left) {
  rlimit limit;
  ::getrlimit(RLIMIT_NOFILE, &limit);
  limit.rlim_cur = limit.rlim_max;
  if (left >= 0) {
    // The limit is one of numbers, of which the lowest that is free is taken.
    limit.rlim_cur = 0;
    for (int free = 0; free < left || IsOpen(static_cast<int>(limit.rlim_cur)); ++limit.rlim_cur) {
      free += IsOpen(static_cast<int>(limit.rlim_cur)) ? 0 : 1;
    }
  }
  ::setrlimit(RLIMIT_NOFILE, &limit);
}

absl::Status StartWorker(const Script& script, size_t worker) {
  const int number = static_cast<int>(worker);
  if (script.crashing_worker == number) ::abort();
  if (script.hanging_worker == number) ++script.hangs;
  while (script.hanging_worker == number) ::usleep(1000);
  if (script.failing_worker == number || script.failing_worker == -2) {
    return absl::InternalError("cannot start, on purpose");
  }
  if (script.worker_descriptors_left >= 0) LimitDescriptors(script.worker_descriptors_left);
  return absl::OkStatus();
}

int Serve(const Script& script, WorkerKind kind, const ServerOptions& options,
          Duration start_timeout, int log_fd) {
  const auto log = [log_fd](LogLevel, std::string_view message) {
    const std::string line = absl::StrCat(std::string(message), "\n");
    [[maybe_unused]] const ssize_t written = ::write(log_fd, line.data(), line.size());
  };
  const auto load = [&]() -> absl::StatusOr<Service> {
    if (script.load_fails) return absl::InvalidArgumentError("on purpose");
    Service service{.server = options, .kind = kind, .start_timeout = start_timeout};
    service.server.shards = script.workers;
    if (script.max_connections > 0) {
      service.server.max_connections_per_shard = script.max_connections;
    }
    if (script.drain_timeout_ms >= 0) {
      service.server.drain_timeout = std::chrono::milliseconds(script.drain_timeout_ms);
    }
    std::vector<Address>& addresses = service.server.addresses;
    while (addresses.size() > script.addresses) addresses.pop_back();
    if (script.descriptors_left >= 0) LimitDescriptors(script.descriptors_left);
    service.server.loop.backend.log = log;
    service.sessions = std::make_shared<FunctionFactory>(
        [&script] { return std::make_unique<ScriptedEcho>(script); });
    service.start_worker = [&script](size_t worker) { return StartWorker(script, worker); };
    return service;
  };
  if (script.descriptor_limit > 0) {
    rlimit limit;
    if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return 2;
    limit.rlim_cur = script.descriptor_limit;
    if (::setrlimit(RLIMIT_NOFILE, &limit) != 0) return 2;
  }
  SupervisorOptions supervision{.log = log, .kept_descriptors = {log_fd}};
  Supervisor* running = nullptr;
  supervision.on_serving = [&] {
    std::string line = "serving";
    for (const Address& each : running->addresses()) absl::StrAppend(&line, " ", each.ToString());
    log(LogLevel::kInfo, line);
  };
  supervision.on_stopping = [&] { log(LogLevel::kInfo, "stopping"); };
  supervision.on_reloaded = [&script](bool) {
    if (script.descriptors_left >= 0) LimitDescriptors(-1);
  };
  auto supervisor = Supervisor::Create(std::move(supervision), load);
  if (!supervisor.ok()) return 2;
  running = supervisor->get();
  const absl::Status status = running->Run();
  if (!status.ok()) log(LogLevel::kError, absl::StrCat("ended: ", status.message()));
  return status.ok() ? 0 : 1;
}

}  // namespace

SupervisedServer::SupervisedServer()
    : script_(new (::mmap(nullptr, sizeof(Script), PROT_READ | PROT_WRITE,
                          MAP_SHARED | MAP_ANONYMOUS, -1, 0)) Script) {}

SupervisedServer::~SupervisedServer() {
  if (pid_ > 0) {
    for (const pid_t worker : Workers()) ::kill(worker, SIGKILL);
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
  }
  if (::testing::Test::HasFailure()) ADD_FAILURE() << "it said:\n" << seen_;
  ::munmap(script_, sizeof(Script));
}

void SupervisedServer::Start(WorkerKind kind, const ServerOptions& options,
                             Duration start_timeout) {
  int ends[2];
  ASSERT_EQ(::pipe2(ends, O_CLOEXEC), 0);
  log_ = Fd(ends[0]);
  pid_ = ::fork();
  ASSERT_GE(pid_, 0);
  if (pid_ == 0) {
    log_.Reset();
    const int code = Serve(*script_, kind, options, start_timeout, ends[1]);
    ::_exit(code);
  }
  ::close(ends[1]);
  SetNonBlocking(log_.get());
  const std::string line = WaitForLine("serving ");
  ASSERT_FALSE(line.empty()) << "it does not serve";
  std::istringstream words(line.substr(line.find("serving ") + 8));
  for (std::string word; words >> word;) {
    auto address = Address::Parse(word);
    ASSERT_TRUE(address.ok()) << line;
    addresses_.push_back(*address);
  }
}

void SupervisedServer::Signal(int signo) const { ASSERT_EQ(::kill(pid_, signo), 0); }

std::string SupervisedServer::WaitForLine(std::string_view text) {
  const auto deadline = steady_clock::now() + kPatience;
  while (true) {
    for (size_t end; (end = unread_.find('\n')) != std::string::npos;) {
      const std::string line = unread_.substr(0, end);
      unread_.erase(0, end + 1);
      if (line.find(text) != std::string::npos) return line;
    }
    if (steady_clock::now() >= deadline) return "";
    pollfd poll{.fd = log_.get(), .events = POLLIN, .revents = 0};
    ::poll(&poll, 1, 100);
    char bytes[4096];
    const ssize_t count = ::read(log_.get(), bytes, sizeof(bytes));
    if (count == 0) return "";
    if (count < 0) continue;
    unread_.append(bytes, static_cast<size_t>(count));
    seen_.append(bytes, static_cast<size_t>(count));
  }
}

int SupervisedServer::WaitForExit() {
  const auto deadline = steady_clock::now() + kPatience;
  int status = 0;
  pid_t waited = 0;
  while ((waited = ::waitpid(pid_, &status, WNOHANG)) == 0) {
    if (steady_clock::now() >= deadline) return -1;
    ::usleep(1000);
  }
  pid_ = -1;
  return waited > 0 && WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

bool SupervisedServer::Serves() const {
  const Fd client = Dial(address());
  return client && SendAll(client.get(), "hello") && ReceiveExactly(client.get(), 5) == "hello";
}

std::vector<pid_t> SupervisedServer::Workers() const {
  const std::string pid = std::to_string(pid_);
  std::ifstream file("/proc/" + pid + "/task/" + pid + "/children");
  std::vector<pid_t> children;
  for (pid_t child; file >> child;) children.push_back(child);
  return children;
}

}  // namespace quintet::testing
