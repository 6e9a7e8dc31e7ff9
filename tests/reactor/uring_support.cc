#include "tests/reactor/uring_support.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <filesystem>

#include "tests/reactor/syscall_filter.h"
#include "tests/support/peers.h"

namespace quintet {

std::string UringMissing() {
  static const std::string missing = [] {
    SteadyClock clock;
    auto backend = UringBackend::Create({}, {}, clock);
    return backend.ok() ? std::string() : std::string(backend.status().message());
  }();
  return missing;
}

bool UringRequired() {
  const char* required = std::getenv("QUINTET_REQUIRE_IO_URING");
  return required != nullptr && std::strcmp(required, "1") == 0;
}

std::string UringKernelName(const ::testing::TestParamInfo<UringKernel>& kernel) {
  return kernel.param.name;
}

void UringKernelTest::Run(const std::function<void()>& body) {
  if (GetParam().unknown_flags == 0) {
    body();
  } else if (!RunWithoutSetupFlags(GetParam().unknown_flags, body)) {
    GTEST_SKIP() << "no seccomp notification here";
  }
}

void RecordingSource::OnCompletion(const Completion& completion) {
  if (completion.op != Op::kClosed && (close_called || closed > 0)) ++after_close;
  if (completion.result < 0) {
    errors.push_back(completion.result);
  } else {
    switch (completion.op) {
      case Op::kAccept:
        accepted.push_back(completion.result);
        break;
      case Op::kConnect:
        ++connected;
        break;
      case Op::kRecv:
        if (completion.result == 0) ++ends;
        EXPECT_EQ(completion.data.size(), static_cast<size_t>(completion.result));
        received.append(reinterpret_cast<const char*>(completion.data.data()),
                        completion.data.size());
        break;
      case Op::kSend:
        EXPECT_GT(completion.result, 0);
        sent.push_back(completion.result);
        break;
      case Op::kReady:
        ready.push_back(completion.result);
        break;
      case Op::kClosed:
        ++closed;
        EXPECT_FALSE(attached());
        break;
      case Op::kFile:
        ADD_FAILURE() << "a file request's turn went to a source";
        break;
    }
  }
  if (react) react(completion);
}

std::pair<int, int> UnixPair() {
  int fds[2] = {-1, -1};
  EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds), 0);
  return {fds[0], fds[1]};
}

std::pair<int, int> TcpPair() {
  const auto [listener, port] = TcpListener(1);
  const int client = TcpConnect(port);
  // The listener does not block; a connection that connect(2) reported is in its queue.
  const int server = ::accept4(listener, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
  EXPECT_GE(server, 0);
  ::close(listener);
  ::fcntl(client, F_SETFL, O_NONBLOCK);
  return {client, server};
}

sockaddr* LoopbackAddress(uint16_t port, sockaddr_storage* storage, socklen_t* length) {
  *storage = {};
  auto* address = reinterpret_cast<sockaddr_in*>(storage);
  address->sin_family = AF_INET;
  address->sin_port = htons(port);
  address->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  *length = sizeof(sockaddr_in);
  return reinterpret_cast<sockaddr*>(storage);
}

std::pair<int, uint16_t> TcpListener(int backlog) {
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  EXPECT_GE(fd, 0);
  const int on = 1;
  EXPECT_EQ(::setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)), 0);
  sockaddr_storage storage;
  socklen_t length;
  sockaddr* address = LoopbackAddress(0, &storage, &length);
  EXPECT_EQ(::bind(fd, address, length), 0);
  EXPECT_EQ(::listen(fd, backlog), 0);
  EXPECT_EQ(::getsockname(fd, address, &length), 0);
  return {fd, ntohs(reinterpret_cast<sockaddr_in*>(&storage)->sin_port)};
}

int TcpConnect(uint16_t port) {
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return fd;
  sockaddr_storage storage;
  socklen_t length;
  const sockaddr* address = LoopbackAddress(port, &storage, &length);
  if (testing::Connect(fd, address, length)) return fd;
  ::close(fd);
  return -1;
}

void Send(int fd, const std::string& text) {
  ASSERT_EQ(::send(fd, text.data(), text.size(), MSG_NOSIGNAL), static_cast<ssize_t>(text.size()));
}

std::vector<iovec> Buffers(const std::string& text) {
  return {{const_cast<char*>(text.data()), text.size()}};
}

size_t OpenDescriptors() {
  size_t count = 0;
  for ([[maybe_unused]] const auto& entry : std::filesystem::directory_iterator("/proc/self/fd")) {
    ++count;
  }
  return count;
}

std::unique_ptr<BackendDriver> BackendDriver::Make(const UringOptions& options, bool bind) {
  auto driver = std::make_unique<BackendDriver>();
  auto backend = UringBackend::Create(options, LogToStderr, driver->clock_);
  EXPECT_TRUE(backend.ok()) << backend.status();
  if (!backend.ok()) return nullptr;
  driver->backend_ = *std::move(backend);
  if (bind) {
    const absl::Status status = driver->backend_->BindToThread();
    EXPECT_TRUE(status.ok()) << status;
  }
  return driver;
}

BackendDriver::~BackendDriver() {
  if (backend_ != nullptr) Drain();
}

RecordingSource& BackendDriver::Attach(int fd) {
  sources_.push_back(std::make_unique<RecordingSource>(fd));
  const absl::Status status = backend_->Add(*sources_.back());
  EXPECT_TRUE(status.ok()) << status;
  return *sources_.back();
}

size_t BackendDriver::Turn(Duration max_wait, size_t limit) {
  backend_->Wait(max_wait <= Duration::zero() ? kPollOnly : AddSaturated(clock_.Now(), max_wait));
  backend_->Validate();
  size_t delivered = 0;
  Completion completion{};
  while (delivered < limit && backend_->Next(&completion)) {
    ++delivered;
    completion.source->OnCompletion(completion);
  }
  backend_->Validate();
  return delivered;
}

bool BackendDriver::RunUntil(const std::function<bool()>& done) {
  const TimePoint end = AddSaturated(clock_.Now(), std::chrono::seconds(60));
  while (!done()) {
    if (clock_.Now() > end) {
      ADD_FAILURE() << "nothing more after a minute";
      return false;
    }
    Turn(std::chrono::milliseconds(100));
  }
  return true;
}

void BackendDriver::Close(RecordingSource& source, CloseMode mode) {
  source.close_called = true;
  backend_->Close(source, mode);
}

void BackendDriver::Drain() {
  backend_->CloseAll();
  while (backend_->attached_sources() > 0) Turn(std::chrono::seconds(1));
}

}  // namespace quintet
