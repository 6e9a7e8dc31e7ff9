// Hello on Boost.Asio and Boost.Beast, after Beast's own example of an asynchronous server, without
// its deadline per operation.
#include <boost/asio/ip/tcp.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>
#include <boost/version.hpp>
#include <memory>
#include <utility>

#include "bench/peers/peer.h"

namespace quintet::peers {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;
using asio::ip::tcp;

DateText date;

class Session : public std::enable_shared_from_this<Session> {
 public:
  explicit Session(tcp::socket socket) : stream_(std::move(socket)) {}

  void Read() {
    request_ = {};
    http::async_read(
        stream_, buffer_, request_,
        [self = shared_from_this()](beast::error_code error, size_t) { self->OnRead(error); });
  }

 private:
  void OnRead(beast::error_code error) {
    if (error) return;
    response_ = {};
    response_.version(request_.version());
    response_.result(http::status::ok);
    const std::string_view now = date.Get();
    response_.set(http::field::date, beast::string_view(now.data(), now.size()));
    response_.set(http::field::content_type, "text/plain");
    response_.keep_alive(request_.keep_alive());
    response_.body().assign(kBody.data(), kBody.size());
    response_.prepare_payload();
    http::async_write(
        stream_, response_,
        [self = shared_from_this()](beast::error_code failed, size_t) { self->OnWritten(failed); });
  }

  void OnWritten(beast::error_code error) {
    if (error) return;
    if (response_.keep_alive()) return Read();
    stream_.socket().shutdown(tcp::socket::shutdown_send, error);
  }

  beast::tcp_stream stream_;
  beast::flat_buffer buffer_;
  http::request<http::empty_body> request_;
  http::response<http::string_body> response_;
};

void Accept(tcp::acceptor& acceptor) {
  acceptor.async_accept([&acceptor](beast::error_code error, tcp::socket socket) {
    if (!error) std::make_shared<Session>(std::move(socket))->Read();
    Accept(acceptor);
  });
}

void Run(uint16_t port) {
  asio::io_context context(1);
  tcp::acceptor acceptor(context);
  acceptor.open(tcp::v4());
  acceptor.set_option(asio::socket_base::reuse_address(true));
  acceptor.set_option(tcp::no_delay(true));  // accepted sockets inherit it
  acceptor.bind({asio::ip::address_v4::loopback(), port});
  acceptor.listen(kBacklog);
  Accept(acceptor);
  context.run();
}

}  // namespace
}  // namespace quintet::peers

int main(int argc, char** argv) {
  quintet::peers::Run(quintet::peers::PortArgument(argc, argv, "Boost " BOOST_LIB_VERSION));
}
