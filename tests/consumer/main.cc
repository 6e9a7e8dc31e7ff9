// A program of a user: serves an echo on a port of the kernel's choice, asks it one thing over a
// real socket, and stops. It sees the library only through <net/...> and <reactor/...>.

#include <net/server.h>
#include <netinet/in.h>
#include <reactor/version.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdio>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <thread>
#include <utility>

namespace {

class EchoSession final : public quintet::Session {
 public:
  size_t OnData(std::span<const std::byte> data) override {
    transport().Write({reinterpret_cast<const char*>(data.data()), data.size()});
    return data.size();
  }
};

class EchoFactory final : public quintet::SessionFactory {
 public:
  std::unique_ptr<quintet::Session> CreateSession() override {
    return std::make_unique<EchoSession>();
  }
};

// What the server answers to `request`, up to its end of file.
std::string Ask(const quintet::Address& address, std::string_view request) {
  std::string reply;
  const int fd = socket(address.family(), SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd >= 0 && connect(fd, address.data(), address.size()) == 0 &&
      send(fd, request.data(), request.size(), MSG_NOSIGNAL) ==
          static_cast<ssize_t>(request.size())) {
    shutdown(fd, SHUT_WR);
    char bytes[256];
    for (ssize_t n; (n = recv(fd, bytes, sizeof(bytes), 0)) > 0;) {
      reply.append(bytes, static_cast<size_t>(n));
    }
  }
  if (fd >= 0) close(fd);
  return reply;
}

}  // namespace

int main() {
  absl::StatusOr<quintet::Address> any_port = quintet::Address::Parse("127.0.0.1:0");
  if (!any_port.ok()) return 1;

  EchoFactory factory;
  quintet::ServerOptions options;
  options.addresses.push_back(*any_port);
  absl::StatusOr<std::unique_ptr<quintet::Server>> server =
      quintet::Server::Create(std::move(options), factory);
  if (!server.ok()) {
    std::fprintf(stderr, "%s\n", server.status().ToString().c_str());
    return 1;
  }

  std::string reply;
  std::thread client([&] {
    reply = Ask((*server)->addresses().front(), "ping");
    (*server)->Stop();
  });
  const absl::Status status = (*server)->Run();
  client.join();

  std::printf("quintet %s: %s, reply \"%s\"\n", quintet::Version(), status.ToString().c_str(),
              reply.c_str());
  return status.ok() && reply == "ping" ? 0 : 1;
}
