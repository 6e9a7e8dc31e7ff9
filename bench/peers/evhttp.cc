// Hello on evhttp, the HTTP server of libevent, which sends Date and Content-Length by itself.
#include <event2/buffer.h>
#include <event2/event.h>
#include <event2/http.h>
#include <event2/keyvalq_struct.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include "bench/peers/peer.h"

namespace quintet::peers {
namespace {

constexpr int kKeepAliveSeconds = 75;

void Answer(evhttp_request* request, void* /*context*/) {
  evhttp_add_header(evhttp_request_get_output_headers(request), "Content-Type", "text/plain");
  evbuffer_add_reference(evhttp_request_get_output_buffer(request), kBody.data(), kBody.size(),
                         nullptr, nullptr);
  evhttp_send_reply(request, HTTP_OK, "OK", nullptr);
}

void Run(uint16_t port) {
  IgnoreBrokenPipes();
  event_base* const base = event_base_new();
  evhttp* const server = evhttp_new(base);
  evhttp_set_gencb(server, &Answer, nullptr);
  evhttp_set_timeout(server, kKeepAliveSeconds);
  evhttp_bound_socket* const bound = evhttp_bind_socket_with_handle(server, "127.0.0.1", port);
  if (bound == nullptr) Die("cannot listen");
  const int on = 1;  // accepted sockets inherit it
  ::setsockopt(evhttp_bound_socket_get_fd(bound), IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
  ::listen(evhttp_bound_socket_get_fd(bound), kBacklog);
  event_base_dispatch(base);
}

}  // namespace
}  // namespace quintet::peers

int main(int argc, char** argv) {
  quintet::peers::Run(quintet::peers::PortArgument(argc, argv, event_get_version()));
}
