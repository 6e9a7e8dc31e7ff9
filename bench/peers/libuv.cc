// Hello on libuv. It has no HTTP; llhttp, the parser of Node.js, stands in. What is missing against
// a whole server: routes, limits and deadlines.
#include <llhttp.h>
#include <uv.h>

#include <array>
#include <string>

#include "bench/peers/peer.h"

namespace quintet::peers {
namespace {

constexpr size_t kReceiveBytes = size_t{64} << 10;

DateText date;

struct Connection {
  uv_tcp_t tcp;
  llhttp_t parser;
  std::string output;  // the replies to what one read brought
  bool ends = false;   // after them
};

struct Write {
  uv_write_t request;
  std::string bytes;
};

uv_stream_t* Stream(Connection* connection) {
  return reinterpret_cast<uv_stream_t*>(&connection->tcp);
}

void Close(Connection* connection) {
  uv_handle_t* const handle = reinterpret_cast<uv_handle_t*>(&connection->tcp);
  if (uv_is_closing(handle) != 0) return;
  uv_close(handle, [](uv_handle_t* closed) { delete static_cast<Connection*>(closed->data); });
}

int OnRequest(llhttp_t* parser) {
  auto* const connection = static_cast<Connection*>(parser->data);
  connection->output.append("HTTP/1.1 200 OK\r\nDate: ")
      .append(date.Get())
      .append("\r\nContent-Type: text/plain\r\nContent-Length: 13\r\n");
  if (llhttp_should_keep_alive(parser) == 0) {
    connection->output.append("Connection: close\r\n");
    connection->ends = true;
  }
  connection->output.append("\r\n").append(kBody);
  return 0;
}

void OnWritten(uv_write_t* request, int /*status*/) { delete static_cast<Write*>(request->data); }

void Flush(Connection* connection) {
  uv_buf_t buffer =
      uv_buf_init(connection->output.data(), static_cast<unsigned>(connection->output.size()));
  const int written = uv_try_write(Stream(connection), &buffer, 1);
  if (written < 0 && written != UV_EAGAIN) return Close(connection);
  const auto taken = static_cast<size_t>(written < 0 ? 0 : written);
  if (taken < connection->output.size()) {
    auto* const write = new Write{{}, connection->output.substr(taken)};
    write->request.data = write;
    buffer = uv_buf_init(write->bytes.data(), static_cast<unsigned>(write->bytes.size()));
    uv_write(&write->request, Stream(connection), &buffer, 1, &OnWritten);
  }
  connection->output.clear();
  if (connection->ends) Close(connection);
}

void OnRead(uv_stream_t* stream, ssize_t count, const uv_buf_t* buffer) {
  auto* const connection = static_cast<Connection*>(stream->data);
  if (count == 0) return;
  if (count < 0) return Close(connection);
  const llhttp_errno_t error =
      llhttp_execute(&connection->parser, buffer->base, static_cast<size_t>(count));
  if (error != HPE_OK) return Close(connection);
  if (!connection->output.empty()) Flush(connection);
}

// What is read is used up before the next read, so that all connections share one buffer.
void GiveBuffer(uv_handle_t* /*handle*/, size_t /*suggested*/, uv_buf_t* buffer) {
  static std::array<char, kReceiveBytes> memory;
  *buffer = uv_buf_init(memory.data(), memory.size());
}

void OnConnection(uv_stream_t* listener, int status) {
  static const llhttp_settings_t settings = [] {
    llhttp_settings_t made;
    llhttp_settings_init(&made);
    made.on_message_complete = &OnRequest;
    return made;
  }();
  if (status < 0) return;
  auto* const connection = new Connection;
  uv_tcp_init(listener->loop, &connection->tcp);
  connection->tcp.data = connection;
  llhttp_init(&connection->parser, HTTP_REQUEST, &settings);
  connection->parser.data = connection;
  if (uv_accept(listener, Stream(connection)) != 0) return Close(connection);
  uv_tcp_nodelay(&connection->tcp, 1);
  uv_read_start(Stream(connection), &GiveBuffer, &OnRead);
}

void Run(uint16_t port) {
  IgnoreBrokenPipes();
  uv_loop_t* const loop = uv_default_loop();
  uv_tcp_t listener;
  uv_tcp_init(loop, &listener);
  sockaddr_in address;
  uv_ip4_addr("127.0.0.1", port, &address);
  if (uv_tcp_bind(&listener, reinterpret_cast<sockaddr*>(&address), 0) != 0) Die("cannot bind");
  if (uv_listen(reinterpret_cast<uv_stream_t*>(&listener), kBacklog, &OnConnection) != 0) {
    Die("cannot listen");
  }
  uv_run(loop, UV_RUN_DEFAULT);
}

}  // namespace
}  // namespace quintet::peers

int main(int argc, char** argv) {
  quintet::peers::Run(quintet::peers::PortArgument(argc, argv, uv_version_string()));
}
