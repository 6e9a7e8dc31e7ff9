// Hello on libh2o, the library of the h2o server, whose own program serves a file here: a
// handler that answers from memory, on libh2o's own loop over epoll. It sends Date and Server
// by itself.
#include <h2o.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include "bench/peers/peer.h"

namespace quintet::peers {
namespace {

h2o_context_t context;
h2o_accept_ctx_t accept_context;

int Answer(h2o_handler_t* /*handler*/, h2o_req_t* request) {
  request->res.status = 200;
  request->res.reason = "OK";
  request->res.content_length = kBody.size();
  h2o_add_header(&request->pool, &request->res.headers, H2O_TOKEN_CONTENT_TYPE, nullptr,
                 H2O_STRLIT("text/plain"));
  h2o_send_inline(request, kBody.data(), kBody.size());
  return 0;
}

void OnReadable(h2o_socket_t* listener, const char* error) {
  if (error != nullptr) return;
  for (;;) {
    h2o_socket_t* const socket = h2o_evloop_socket_accept(listener);
    if (socket == nullptr) return;
    h2o_accept(&accept_context, socket);
  }
}

int Listen(uint16_t port) {
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const int on = 1;
  ::setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
  ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));  // accepted sockets inherit it
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (::bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof(address)) != 0) Die("cannot bind");
  if (::listen(fd, kBacklog) != 0) Die("cannot listen");
  return fd;
}

void Run(uint16_t port) {
  IgnoreBrokenPipes();
  static h2o_globalconf_t configuration;
  h2o_config_init(&configuration);
  h2o_hostconf_t* const host =
      h2o_config_register_host(&configuration, h2o_iovec_init(H2O_STRLIT("default")), 65535);
  h2o_pathconf_t* const path = h2o_config_register_path(host, "/", 0);
  h2o_create_handler(path, sizeof(h2o_handler_t))->on_req = &Answer;

  h2o_loop_t* const loop = h2o_evloop_create();
  h2o_context_init(&context, loop, &configuration);
  accept_context.ctx = &context;
  accept_context.hosts = configuration.hosts;
  h2o_socket_t* const listener =
      h2o_evloop_socket_create(loop, Listen(port), H2O_SOCKET_FLAG_DONT_READ);
  h2o_socket_read_start(listener, &OnReadable);
  while (h2o_evloop_run(loop, INT32_MAX) == 0) {
  }
  Die("the loop gave up");
}

}  // namespace
}  // namespace quintet::peers

int main(int argc, char** argv) {
  quintet::peers::Run(quintet::peers::PortArgument(argc, argv, "2.2 (libh2o-evloop)"));
}
