// The least client: gets a file again and again on one connection, and throws its bytes away
// without a copy (MSG_TRUNC, tcp(7)), so that what is measured is the server.
//
// usage: file_sink files|http PORT PATH SIZE SECONDS
//
// Ends with the first get that is complete after so many seconds, and prints one JSON object. Every
// answer must be of SIZE bytes.
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "bench/files/socket.h"
#include "bench/harness/load.h"
#include "net/files/frame.h"
#include "net/files/messages.h"

namespace quintet::bench {
namespace {

using files::FrameHeader;
using files::FrameType;

// What the kernel is asked to throw away at once.
constexpr uint64_t kDropBytes = 8 << 20;

void Drop(int fd, uint64_t size) {
  while (size > 0) {
    // MSG_TRUNC: the address is not written to.
    const ssize_t got =
        ::recv(fd, nullptr, static_cast<size_t>(std::min(size, kDropBytes)), MSG_TRUNC);
    if (got <= 0) DieErrno("recv");
    size -= static_cast<uint64_t>(got);
  }
}

void ReceiveExactly(int fd, char* to, size_t size) {
  const ssize_t got = ::recv(fd, to, size, MSG_WAITALL);
  if (got != static_cast<ssize_t>(size)) Die("the server has closed the connection");
}

class Client {
 public:
  virtual ~Client() = default;
  // One get: how many bytes it brought.
  virtual uint64_t Get() = 0;
};

class FilesClient final : public Client {
 public:
  FilesClient(uint16_t port, std::string path) : fd_(ConnectTo(port)), path_(std::move(path)) {
    if (ReceiveFrame().type != FrameType::kWelcome) Die("no WELCOME");
  }

  uint64_t Get() override {
    const files::GetMessage message{.path = path_};
    SendAll(fd_, files::EncodeFrame(FrameType::kGet, 0, ++request_, files::Encode(message)));
    uint64_t bytes = 0;
    while (true) {
      const FrameHeader header = ReceiveFrame();
      if (header.type == FrameType::kEnd) return bytes;
      if (header.type == FrameType::kData) {
        bytes += header.length;
      } else if (header.type != FrameType::kInfo) {
        Die("a frame of type " + std::to_string(static_cast<int>(header.type)));
      }
    }
  }

 private:
  // With its payload, which is dropped.
  FrameHeader ReceiveFrame() {
    std::array<char, files::kHeaderBytes> bytes;
    ReceiveExactly(fd_, bytes.data(), bytes.size());
    std::span<const std::byte> input = std::as_bytes(std::span(bytes));
    files::FrameDecoder decoder;
    if (decoder.Next(input) == files::FrameDecoder::Event::kFault) Die("a wrong header");
    const FrameHeader header = decoder.header();
    Drop(fd_, header.length);
    return header;
  }

  const int fd_;
  const std::string path_;
  uint32_t request_ = 0;
};

class HttpClient final : public Client {
 public:
  HttpClient(uint16_t port, const std::string& path)
      : fd_(ConnectTo(port)),
        request_("GET /" + path + " HTTP/1.1\r\nHost: 127.0.0.1:" + std::to_string(port) +
                 "\r\n\r\n") {}

  uint64_t Get() override {
    SendAll(fd_, request_);
    // The head, and what came with it.
    char buffer[4096];
    size_t filled = 0;
    size_t head = std::string_view::npos;
    while (head == std::string_view::npos) {
      const ssize_t got = ::recv(fd_, buffer + filled, sizeof(buffer) - filled, 0);
      if (got <= 0) Die("no head of an answer");
      filled += static_cast<size_t>(got);
      head = std::string_view(buffer, filled).find("\r\n\r\n");
    }
    const std::string_view text(buffer, head);
    constexpr std::string_view kLength = "Content-Length: ";
    const size_t field = text.find(kLength);
    if (!text.starts_with("HTTP/1.1 200 ") || field == std::string_view::npos) {
      Die("not a file: " + std::string(text));
    }
    const uint64_t size = std::strtoull(text.data() + field + kLength.size(), nullptr, 10);
    Drop(fd_, size - (filled - (head + 4)));
    return size;
  }

 private:
  const int fd_;
  const std::string request_;
};

int Run(int argc, char** argv) {
  if (argc != 6) Die("usage: file_sink files|http PORT PATH SIZE SECONDS");
  const auto port = static_cast<uint16_t>(std::atoi(argv[2]));
  const uint64_t size = std::strtoull(argv[4], nullptr, 10);
  std::unique_ptr<Client> client;
  if (std::string_view(argv[1]) == "http") {
    client = std::make_unique<HttpClient>(port, argv[3]);
  } else {
    client = std::make_unique<FilesClient>(port, argv[3]);
  }
  const auto begin = Clock::now();
  const auto end = begin + Seconds(std::atof(argv[5]));
  uint64_t gets = 0;
  do {
    const uint64_t got = client->Get();
    if (got != size) Die("a file of " + std::to_string(got) + " bytes");
    ++gets;
  } while (Clock::now() < end);
  const double seconds = std::chrono::duration<double>(Clock::now() - begin).count();
  std::printf("{\"seconds\": %.6f, \"transfers\": %llu, \"bytes\": %llu, \"cpu_seconds\": %.6f}\n",
              seconds, static_cast<unsigned long long>(gets),
              static_cast<unsigned long long>(gets * size), CpuSeconds());
  return 0;
}

}  // namespace
}  // namespace quintet::bench

int main(int argc, char** argv) { return quintet::bench::Run(argc, argv); }
