// Hello on libmicrohttpd, driven by epoll on the calling thread; it sends Date and Content-Length.
#include <arpa/inet.h>
#include <microhttpd.h>
#include <netinet/in.h>
#include <poll.h>

#include <algorithm>

#include "bench/peers/peer.h"

namespace quintet::peers {
namespace {

constexpr MHD_UNSIGNED_LONG_LONG kLongestWaitMs = 60'000;

MHD_Result Answer(void* context, MHD_Connection* connection, const char* /*url*/,
                  const char* /*method*/, const char* /*version*/, const char* /*upload*/,
                  size_t* /*upload_bytes*/, void** state) {
  // The library asks for the reply after the whole request; the first call is for its head.
  static int head_seen;
  if (*state != &head_seen) {
    *state = &head_seen;
    return MHD_YES;
  }
  return MHD_queue_response(connection, MHD_HTTP_OK, static_cast<MHD_Response*>(context));
}

void Run(uint16_t port) {
  MHD_Response* const response = MHD_create_response_from_buffer(
      kBody.size(), const_cast<char*>(kBody.data()), MHD_RESPMEM_PERSISTENT);
  if (response == nullptr) Die("no response");
  MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, "text/plain");
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  MHD_Daemon* const daemon = MHD_start_daemon(
      MHD_USE_EPOLL | MHD_USE_TURBO, port, nullptr, nullptr, &Answer, response,
      MHD_OPTION_SOCK_ADDR, reinterpret_cast<sockaddr*>(&address), MHD_OPTION_CONNECTION_LIMIT,
      kMaxConnections, MHD_OPTION_CONNECTION_TIMEOUT, 75U, MHD_OPTION_LISTEN_BACKLOG_SIZE,
      static_cast<unsigned>(kBacklog), MHD_OPTION_END);
  if (daemon == nullptr) Die("cannot listen");
  // Waits here and lets the library only look: where it waits by itself (MHD_run_wait, or a thread
  // of its own), version 0.9.75 waits once more before it serves when exactly 128 events, or a
  // multiple, came at once, and all of 256 clients wait with it.
  pollfd ready = {MHD_get_daemon_info(daemon, MHD_DAEMON_INFO_EPOLL_FD)->epoll_fd, POLLIN, 0};
  do {
    MHD_UNSIGNED_LONG_LONG left_ms = 0;
    const bool limited = MHD_get_timeout(daemon, &left_ms) == MHD_YES;
    ::poll(&ready, 1, limited ? static_cast<int>(std::min(left_ms, kLongestWaitMs)) : -1);
  } while (MHD_run(daemon) == MHD_YES);
  Die("the daemon gave up");
}

}  // namespace
}  // namespace quintet::peers

int main(int argc, char** argv) {
  quintet::peers::Run(quintet::peers::PortArgument(argc, argv, MHD_get_version()));
}
