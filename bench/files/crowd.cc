// Many clients that transfer without a pause, and one that only lists.
//
// usage: file_crowd PORT GETTERS PUTTERS PATH SECONDS
//
// The crowd is one thread: each getter fetches PATH again and again, each putter stores a file of
// its own. The lister is another: it asks for the root every 10 ms, and its latencies count from
// the moment a list was due, so that one that comes late counts against all that wait behind it.
// They hold how late this process ran, too.
//
// Prints one JSON object; latencies are in microseconds. Any error of the server ends it with 1.
#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/uio.h>

#include <array>
#include <atomic>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "bench/files/socket.h"
#include "bench/harness/load.h"
#include "net/files/crc32c.h"
#include "net/files/frame.h"
#include "net/files/messages.h"

namespace quintet::bench {
namespace {

using files::FrameDecoder;
using files::FrameType;

constexpr size_t kReceiveBytes = 256 << 10;
constexpr size_t kPutFrameBytes = 256 << 10;
constexpr int kPutFrames = 16;
constexpr auto kListGap = std::chrono::milliseconds(10);
constexpr int kPollMs = 100;

struct Counts {
  uint64_t gets = 0;
  uint64_t puts = 0;
  uint64_t bytes_down = 0;
  uint64_t bytes_up = 0;
};

[[noreturn]] void DieOf(const FrameDecoder& decoder) {
  if (decoder.header().type == FrameType::kError) {
    const auto error = files::ParseError(decoder.payload());
    if (error) Die("refused: " + error->text);
  }
  Die("a frame of type " + std::to_string(static_cast<int>(decoder.header().type)));
}

// One client of the crowd.
class Client {
 public:
  // A putter where `put`; `path` is what it gets or puts.
  Client(uint16_t port, bool put, std::string path, const std::string& content, Counts& counts)
      : fd_(ConnectTo(port)),
        put_(put),
        path_(std::move(path)),
        content_(content),
        content_crc_(files::Crc32c(content)),
        counts_(counts) {
    for (int i = 0; i < kPutFrames; ++i) whole_crc_ = files::Crc32c(content, whole_crc_);
    if (::fcntl(fd_, F_SETFL, O_NONBLOCK) != 0) DieErrno("fcntl");
  }

  int fd() const { return fd_; }
  // What epoll(7) is to look for.
  uint32_t interest() const {
    return frames_left_ > 0 || !head_.empty() ? EPOLLOUT | EPOLLIN : EPOLLIN;
  }

  void OnReadable(std::vector<char>& buffer) {
    const ssize_t got = ::recv(fd_, buffer.data(), buffer.size(), 0);
    if (got < 0 && errno == EAGAIN) return;
    if (got <= 0) Die("the server has closed a connection");
    auto input = std::as_bytes(std::span(buffer.data(), static_cast<size_t>(got)));
    for (auto event = decoder_.Next(input); event != FrameDecoder::Event::kMore;
         event = decoder_.Next(input)) {
      OnEvent(event);
    }
  }

  void OnWritable() {
    while (!head_.empty() || frames_left_ > 0) {
      if (head_.empty()) NextFrame();
      const std::string_view body = body_;
      std::array<iovec, 2> parts = {};
      const size_t in_head = std::min(sent_, head_.size());
      parts[0] = {head_.data() + in_head, head_.size() - in_head};
      const size_t in_body = sent_ - in_head;
      parts[1] = {const_cast<char*>(body.data()) + in_body, body.size() - in_body};
      msghdr message = {};
      message.msg_iov = parts.data();
      message.msg_iovlen = parts.size();
      const ssize_t put = ::sendmsg(fd_, &message, MSG_NOSIGNAL);
      if (put < 0 && errno == EAGAIN) return;
      if (put < 0) DieErrno("sendmsg");
      sent_ += static_cast<size_t>(put);
      if (sent_ < head_.size() + body.size()) continue;
      counts_.bytes_up += body.size();
      head_.clear();
      body_ = {};
      if (frames_left_ == 0 && finish_) {
        finish_ = false;
        Queue(files::EncodeFrame(
            FrameType::kFinish, 0, request_,
            files::Encode(files::FinishMessage{kPutFrames * content_.size(), whole_crc_})));
      }
    }
  }

 private:
  void Queue(std::string frame) {
    head_ = std::move(frame);
    sent_ = 0;
  }
  void NextFrame() {
    --frames_left_;
    const auto header = files::EncodeHeader({.type = FrameType::kData,
                                             .request = request_,
                                             .length = static_cast<uint32_t>(content_.size()),
                                             .payload_crc = content_crc_});
    Queue(std::string(header.begin(), header.end()));
    body_ = content_;
  }
  void Ask() {
    ++request_;
    Queue(put_ ? files::EncodeFrame(
                     FrameType::kPut, 0, request_,
                     files::Encode(files::PutMessage{
                         .size = kPutFrames * content_.size(), .key = 0, .path = path_}))
               : files::EncodeFrame(FrameType::kGet, 0, request_,
                                    files::Encode(files::GetMessage{.path = path_})));
  }
  void OnEvent(FrameDecoder::Event event) {
    switch (event) {
      case FrameDecoder::Event::kDataPiece:
        counts_.bytes_down += decoder_.payload().size();
        return;
      case FrameDecoder::Event::kDataEnd:
        if (!decoder_.intact()) Die("a wrong CRC");
        return;
      case FrameDecoder::Event::kFault:
        Die("a frame that cannot be read");
      default:
        break;
    }
    const FrameType type = decoder_.header().type;
    if (type == FrameType::kWelcome) return Ask();
    if (put_ && type == FrameType::kReady) {
      frames_left_ = kPutFrames;
      finish_ = true;
    } else if (put_ && type == FrameType::kInfo) {
      ++counts_.puts;
      Ask();
    } else if (!put_ && type == FrameType::kEnd) {
      ++counts_.gets;
      Ask();
    } else if (put_ || type != FrameType::kInfo) {
      DieOf(decoder_);
    }
  }

  const int fd_;
  const bool put_;
  const std::string path_;
  const std::string& content_;  // of each frame of a put
  const uint32_t content_crc_;
  uint32_t whole_crc_ = 0;
  Counts& counts_;
  FrameDecoder decoder_;
  uint32_t request_ = 0;
  std::string head_;  // being sent, then body_
  std::string_view body_;
  size_t sent_ = 0;  // of both
  int frames_left_ = 0;
  bool finish_ = false;
};

// Blocking, on a thread of its own.
void ListUntil(Clock::time_point end, uint16_t port, Durations& times) {
  const int fd = ConnectTo(port);
  FrameDecoder decoder;
  std::vector<char> buffer(kReceiveBytes);
  // Until a frame of this type.
  const auto wait_for = [&](FrameType type) {
    while (true) {
      const ssize_t got = ::recv(fd, buffer.data(), buffer.size(), 0);
      if (got <= 0) Die("the server has closed the lister's connection");
      auto input = std::as_bytes(std::span(buffer.data(), static_cast<size_t>(got)));
      for (auto event = decoder.Next(input); event != FrameDecoder::Event::kMore;
           event = decoder.Next(input)) {
        if (event == FrameDecoder::Event::kFault) Die("a frame that cannot be read");
        if (decoder.header().type == type) return;
        if (decoder.header().type != FrameType::kEntries) DieOf(decoder);
      }
    }
  };
  wait_for(FrameType::kWelcome);
  uint32_t request = 0;
  for (auto due = Clock::now(); due < end; due += kListGap) {
    std::this_thread::sleep_until(due);
    SendAll(fd, files::EncodeFrame(FrameType::kList, 0, ++request, ""));
    wait_for(FrameType::kEnd);
    times.Add(Clock::now() - due);
  }
}

int Run(int argc, char** argv) {
  if (argc != 6) Die("usage: file_crowd PORT GETTERS PUTTERS PATH SECONDS");
  const auto port = static_cast<uint16_t>(std::atoi(argv[1]));
  const int getters = std::atoi(argv[2]);
  const int putters = std::atoi(argv[3]);
  const std::string content(kPutFrameBytes, 'x');
  Counts counts;
  const int epoll = ::epoll_create1(EPOLL_CLOEXEC);
  std::vector<std::unique_ptr<Client>> crowd;
  for (int i = 0; i < getters + putters; ++i) {
    const bool put = i >= getters;
    crowd.push_back(std::make_unique<Client>(port, put, put ? "put-" + std::to_string(i) : argv[4],
                                             content, counts));
    epoll_event event = {.events = EPOLLIN, .data = {.ptr = crowd.back().get()}};
    if (::epoll_ctl(epoll, EPOLL_CTL_ADD, crowd.back()->fd(), &event) != 0) DieErrno("epoll_ctl");
  }
  const auto begin = Clock::now();
  const auto end = begin + Seconds(std::atof(argv[5]));
  Durations times;
  std::thread lister([&] { ListUntil(end, port, times); });
  std::vector<char> buffer(kReceiveBytes);
  std::array<epoll_event, 256> events;
  while (Clock::now() < end) {
    const int count = ::epoll_wait(epoll, events.data(), events.size(), kPollMs);
    for (int i = 0; i < count; ++i) {
      auto& client = *static_cast<Client*>(events[i].data.ptr);
      const uint32_t before = client.interest();
      if ((events[i].events & ~EPOLLOUT) != 0) client.OnReadable(buffer);
      client.OnWritable();
      if (client.interest() == before) continue;
      epoll_event event = {.events = client.interest(), .data = {.ptr = &client}};
      if (::epoll_ctl(epoll, EPOLL_CTL_MOD, client.fd(), &event) != 0) DieErrno("epoll_ctl");
    }
  }
  const double seconds = std::chrono::duration<double>(Clock::now() - begin).count();
  lister.join();
  std::printf(
      "{\"seconds\": %.3f, \"gets\": %llu, \"puts\": %llu, \"bytes_down\": %llu, "
      "\"bytes_up\": %llu, \"lists\": %zu, \"p50\": %.0f, \"p99\": %.0f, \"max\": %.0f}\n",
      seconds, static_cast<unsigned long long>(counts.gets),
      static_cast<unsigned long long>(counts.puts),
      static_cast<unsigned long long>(counts.bytes_down),
      static_cast<unsigned long long>(counts.bytes_up), times.size(), times.Quantile(0.5),
      times.Quantile(0.99), times.Quantile(1));
  return 0;
}

}  // namespace
}  // namespace quintet::bench

int main(int argc, char** argv) { return quintet::bench::Run(argc, argv); }
