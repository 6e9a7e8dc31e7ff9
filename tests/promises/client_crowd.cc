#include "tests/promises/client_crowd.h"

#include <arpa/inet.h>
#include <errno.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstddef>
#include <vector>

namespace quintet::testing {
namespace {

constexpr int kPatienceMs = 15'000;

// The child's side. It calls the kernel and nothing that a forked process could not.
class Crowd {
 public:
  explicit Crowd(size_t clients) : clients_(clients) {}

  int Obey(char command, uint16_t port) {
    switch (command) {
      case 'c':
        return Connect(port);
      case 's':
        return Look();
      case 'p':
        return Ping();
      default:
        for (int ms = 0; ms < kPatienceMs; ++ms) {
          if (Look() == static_cast<int>(clients_.size())) break;
          if (command == 'l') Leave();
          ::usleep(1000);
        }
        return Look();
    }
  }

 private:
  struct Client {
    int fd = -1;
    bool served = false;
  };

  int Connect(uint16_t port) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int connected = 0;
    for (Client& client : clients_) {
      client.fd = ::socket(AF_INET, SOCK_STREAM, 0);
      const auto* const generic = reinterpret_cast<const sockaddr*>(&address);
      if (::connect(client.fd, generic, sizeof(address)) != 0) continue;
      if (::send(client.fd, "x", 1, MSG_NOSIGNAL) == 1) ++connected;
    }
    return connected;
  }

  int Look() {
    int served = 0;
    for (Client& client : clients_) {
      char byte;
      if (!client.served) client.served = ::recv(client.fd, &byte, 1, MSG_DONTWAIT) == 1;
      if (client.served) ++served;
    }
    return served;
  }

  int Ping() {
    int answered = 0;
    for (const Client& client : clients_) {
      if (client.served) ::send(client.fd, "y", 1, MSG_NOSIGNAL);
    }
    for (const Client& client : clients_) {
      if (!client.served) continue;
      char byte = 0;
      for (int ms = 0; ms < kPatienceMs && byte == 0; ++ms) {
        if (::recv(client.fd, &byte, 1, MSG_DONTWAIT) < 0 && errno == EAGAIN) ::usleep(1000);
      }
      if (byte == 'y') ++answered;
    }
    return answered;
  }

  void Leave() {
    for (Client& client : clients_) {
      if (client.served && client.fd >= 0) {
        ::close(client.fd);
        client.fd = -1;
      }
    }
  }

  std::vector<Client> clients_;
};

}  // namespace

ClientCrowd::ClientCrowd(int clients) {
  int requests[2];
  int answers[2];
  EXPECT_EQ(::pipe(requests), 0);
  EXPECT_EQ(::pipe(answers), 0);
  Crowd crowd(static_cast<size_t>(clients));
  pid_ = ::fork();
  if (pid_ == 0) {
    ::close(requests[1]);
    rlimit limit;
    ::getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    ::setrlimit(RLIMIT_NOFILE, &limit);
    Request request;
    while (::read(requests[0], &request, sizeof(request)) == sizeof(request)) {
      const int answer = crowd.Obey(request.command, request.port);
      if (::write(answers[1], &answer, sizeof(answer)) != sizeof(answer)) break;
    }
    ::_exit(0);
  }
  EXPECT_GT(pid_, 0);
  ::close(requests[0]);
  ::close(answers[1]);
  requests_ = Fd(requests[1]);
  answers_ = Fd(answers[0]);
}

ClientCrowd::~ClientCrowd() {
  requests_.Reset();
  answers_.Reset();
  int status = -1;
  EXPECT_EQ(::waitpid(pid_, &status, 0), pid_);
  EXPECT_EQ(status, 0);
}

int ClientCrowd::Ask(char command, uint16_t port) {
  const Request request{command, port};
  EXPECT_EQ(::write(requests_.get(), &request, sizeof(request)),
            static_cast<ssize_t>(sizeof(request)));
  int answer = -1;
  EXPECT_EQ(::read(answers_.get(), &answer, sizeof(answer)), static_cast<ssize_t>(sizeof(answer)));
  return answer;
}

}  // namespace quintet::testing
