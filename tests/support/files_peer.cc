#include "tests/support/files_peer.h"

#include <errno.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <algorithm>
#include <cstring>
#include <span>
#include <utility>

#include "tests/support/peers.h"

namespace quintet::testing {
namespace {

using files::FrameType;

constexpr size_t kReceiveBytes = 256 << 10;

}  // namespace

FilesPeer::FilesPeer(const Address& address)
    : fd_(::socket(address.family(), SOCK_STREAM | SOCK_CLOEXEC, 0)), buffer_(kReceiveBytes, '\0') {
  SetTimeouts(fd_.get(), kTimeout);
  if (!Connect(fd_.get(), address.data(), address.size())) {
    ADD_FAILURE() << "connect: " << strerror(errno);
    return;
  }
  // FINISH follows DATA and has no answer to wait for.
  const int on = 1;
  ::setsockopt(fd(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
  const std::optional<Frame> frame = Receive();
  const auto welcome = frame ? files::ParseWelcome(frame->payload) : std::nullopt;
  if (!welcome || frame->type != FrameType::kWelcome) {
    ADD_FAILURE() << "no WELCOME";
    return;
  }
  welcome_ = *welcome;
}

uint32_t FilesPeer::Send(FrameType type, uint16_t flags, std::string_view payload) {
  ++last_request_;
  if (type == FrameType::kGet) gets_.insert(last_request_);
  SendAll(fd(), files::EncodeFrame(type, flags, last_request_, payload));
  return last_request_;
}

void FilesPeer::SendMore(uint32_t request, FrameType type, std::string_view payload) {
  SendAll(fd(), files::EncodeFrame(type, 0, request, payload));
}

std::optional<FilesPeer::Frame> FilesPeer::Receive() {
  using Event = files::FrameDecoder::Event;
  Frame frame;
  while (true) {
    switch (decoder_.Next(input_)) {
      case Event::kMore: {
        // A socket with a timeout is not restarted (signal(7)), also where no signal was sent: what
        // is left of a ring of this process can interrupt it.
        ssize_t got = 0;
        do got = ::recv(fd(), buffer_.data(), buffer_.size(), 0);
        while (got < 0 && errno == EINTR);
        if (got <= 0) return std::nullopt;
        input_ = std::as_bytes(std::span(buffer_.data(), static_cast<size_t>(got)));
        break;
      }
      case Event::kDataPiece:
        frame.payload += decoder_.payload();
        break;
      case Event::kFrame:
        frame.payload = decoder_.payload();
        [[fallthrough]];
      case Event::kDataEnd:
        EXPECT_TRUE(decoder_.intact());
        frame.type = decoder_.header().type;
        frame.flags = decoder_.header().flags;
        frame.request = decoder_.header().request;
        return frame;
      case Event::kFault:
        ADD_FAILURE() << "a frame that cannot be read";
        return std::nullopt;
    }
  }
}

FilesPeer::Answer FilesPeer::Finish(uint32_t request) {
  // INFO is the end of a STAT or PUT, and the beginning of a GET.
  const bool is_get = gets_.contains(request);
  Answer answer;
  while (!answer.ended) {
    std::optional<Frame> frame = Receive();
    if (!frame) return answer;
    if (frame->request != request) {
      ADD_FAILURE() << "a frame of request " << frame->request << " instead of " << request;
      return answer;
    }
    switch (frame->type) {
      case FrameType::kData:
        answer.data += frame->payload;
        break;
      case FrameType::kEntries: {
        auto entries = files::ParseEntries(frame->payload);
        EXPECT_TRUE(entries.has_value());
        if (entries) answer.entries.insert(answer.entries.end(), entries->begin(), entries->end());
        break;
      }
      case FrameType::kInfo:
        answer.info = files::ParseEntry(frame->payload);
        EXPECT_TRUE(answer.info.has_value());
        answer.ended = !is_get;
        break;
      case FrameType::kReady:
        answer.ready = files::ParseReady(frame->payload);
        EXPECT_TRUE(answer.ready.has_value());
        return answer;
      case FrameType::kError:
        if (const auto error = files::ParseError(frame->payload)) {
          answer.error = error->code;
          answer.text = error->text;
        }
        answer.ended = true;
        break;
      case FrameType::kEnd:
        answer.ended = true;
        break;
      default:
        ADD_FAILURE() << "a frame of type " << static_cast<int>(frame->type);
        return answer;
    }
  }
  return answer;
}

FilesPeer::Answer FilesPeer::Ask(FrameType type, uint16_t flags, std::string_view payload) {
  return Finish(Send(type, flags, payload));
}

FilesPeer::Answer FilesPeer::Get(const std::string& path) {
  return Ask(FrameType::kGet, 0, files::Encode(files::GetMessage{.path = path}));
}

FilesPeer::Answer FilesPeer::Put(const std::string& path, std::string_view content) {
  const uint32_t request =
      Send(FrameType::kPut, 0,
           files::Encode(files::PutMessage{.size = content.size(), .key = 0, .path = path}));
  if (Answer answer = Finish(request); !answer.ready) return answer;
  for (std::string_view rest = content; !rest.empty();) {
    const std::string_view piece = rest.substr(0, files::kMaxDataPayload);
    SendMore(request, FrameType::kData, piece);
    rest.remove_prefix(piece.size());
  }
  SendMore(request, FrameType::kFinish,
           files::Encode(files::FinishMessage{content.size(), files::Crc32c(content)}));
  return Finish(request);
}

FilesPeer::Answer FilesPeer::List(const std::string& directory) {
  return Ask(FrameType::kList, 0, directory);
}

FilesPeer::Answer FilesPeer::Rename(const std::string& from, const std::string& to) {
  return Ask(FrameType::kRename, 0, files::Encode(files::RenameMessage{from, to}));
}

}  // namespace quintet::testing
