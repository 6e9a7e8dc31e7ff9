#include "tests/net/files/files_client.h"

#include <gtest/gtest.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <utility>

#include "net/files/server_session.h"
#include "tests/support/peers.h"

namespace quintet::testing {

using files::FrameDecoder;
using files::FrameType;

// ---- AnswerReader ----

void AnswerReader::Feed(std::string_view bytes) {
  std::span<const std::byte> input = std::as_bytes(std::span(bytes));
  for (;;) {
    switch (decoder_.Next(input)) {
      case FrameDecoder::Event::kMore:
        return;
      case FrameDecoder::Event::kFault:
        ADD_FAILURE() << "the server sent what is no frame";
        return;
      case FrameDecoder::Event::kFrame:
        EXPECT_TRUE(decoder_.intact());
        OnFrame();
        break;
      case FrameDecoder::Event::kDataPiece:
        answers_[decoder_.header().request].data += decoder_.payload();
        break;
      case FrameDecoder::Event::kDataEnd: {
        EXPECT_TRUE(decoder_.intact());
        const files::FrameHeader& header = decoder_.header();
        FilesAnswer& answer = answers_[header.request];
        EXPECT_FALSE(answer.over()) << "data behind the end";
        EXPECT_TRUE(answer.info.has_value()) << "data before INFO";
        ++answer.data_frames;
        if ((header.flags & files::kNoPayloadCrc) == 0) ++answer.checked_frames;
        data_order_.push_back(header.request);
        break;
      }
    }
  }
}

void AnswerReader::OnFrame() {
  const std::string_view payload = decoder_.payload();
  FilesAnswer& answer = answers_[decoder_.header().request];
  EXPECT_FALSE(answer.over()) << "a frame behind the end";
  switch (decoder_.header().type) {
    case FrameType::kWelcome:
      welcome_ = files::ParseWelcome(payload);
      EXPECT_TRUE(welcome_.has_value());
      break;
    case FrameType::kEnd:
      answer.ended = true;
      answer.end_payload = payload;
      break;
    case FrameType::kError: {
      const auto error = files::ParseError(payload);
      ASSERT_TRUE(error.has_value());
      answer.error = error->code;
      answer.text = error->text;
      break;
    }
    case FrameType::kEntries: {
      auto entries = files::ParseEntries(payload);
      ASSERT_TRUE(entries.has_value());
      std::move(entries->begin(), entries->end(), std::back_inserter(answer.entries));
      break;
    }
    case FrameType::kInfo: {
      const auto entries = files::ParseEntries(payload);
      ASSERT_TRUE(entries.has_value() && entries->size() == 1);
      answer.info = entries->front();
      break;
    }
    case FrameType::kReady:
      answer.ready = files::ParseReady(payload);
      EXPECT_TRUE(answer.ready.has_value());
      break;
    default:
      ADD_FAILURE() << "no frame of a server";
  }
}

// ---- RequestWriter ----

std::string RequestWriter::Request(FrameType type, uint16_t flags, std::string_view payload) {
  return files::EncodeFrame(type, flags, ++last_id_, payload);
}
std::string RequestWriter::List(std::string_view path, uint16_t flags) {
  return Request(FrameType::kList, flags, path);
}
std::string RequestWriter::Stat(std::string_view path) {
  return Request(FrameType::kStat, 0, path);
}
std::string RequestWriter::Get(std::string_view path, uint64_t offset, uint64_t length,
                               uint64_t tag, uint16_t flags) {
  return Request(FrameType::kGet, flags,
                 files::Encode(files::GetMessage{
                     .offset = offset, .length = length, .tag = tag, .path = std::string(path)}));
}
std::string RequestWriter::Put(std::string_view path, uint64_t size, uint64_t key, uint16_t flags) {
  return Request(
      FrameType::kPut, flags,
      files::Encode(files::PutMessage{.size = size, .key = key, .path = std::string(path)}));
}
std::string RequestWriter::Delete(std::string_view path) {
  return Request(FrameType::kDelete, 0, path);
}
std::string RequestWriter::Rename(std::string_view from, std::string_view to) {
  return Request(
      FrameType::kRename, 0,
      files::Encode(files::RenameMessage{.from = std::string(from), .to = std::string(to)}));
}
std::string RequestWriter::Quit() { return Request(FrameType::kQuit, 0, {}); }

std::string RequestWriter::Data(std::string_view bytes, uint32_t id) const {
  std::string frames;
  do {
    const std::string_view piece = bytes.substr(0, files::kMaxDataPayload);
    frames += files::EncodeFrame(FrameType::kData, 0, id != 0 ? id : last_id_, piece);
    bytes.remove_prefix(piece.size());
  } while (!bytes.empty());
  return frames;
}
std::string RequestWriter::Finish(std::string_view whole, uint32_t id) const {
  return files::EncodeFrame(
      FrameType::kFinish, 0, id != 0 ? id : last_id_,
      files::Encode(files::FinishMessage{.size = whole.size(), .crc = files::Crc32c(whole)}));
}
std::string RequestWriter::Cancel(uint32_t id) const {
  return files::EncodeFrame(FrameType::kCancel, 0, id != 0 ? id : last_id_, {});
}

std::string Join(std::initializer_list<std::string> frames) {
  std::string all;
  for (const std::string& frame : frames) all += frame;
  return all;
}

// ---- MemoryClient ----

MemoryClient::MemoryClient(std::shared_ptr<files::ServerContext> context,
                           MemoryTransport::Marks marks)
    : transport_(std::make_unique<files::ServerSession>(std::move(context)), marks) {
  transport_.Open();
}

void MemoryClient::Send(std::string_view frames) { transport_.Feed(frames); }

AnswerReader& MemoryClient::answers() {
  reader_.Feed(transport_.TakeReceived());
  return reader_;
}

const FilesAnswer& MemoryClient::Of(uint32_t id) { return answers().Of(id); }

const FilesAnswer& MemoryClient::Ask(const std::string& frame) {
  Send(frame);
  return Last();
}

const FilesAnswer& MemoryClient::AskPut(std::string_view path, std::string_view content,
                                        uint64_t key, uint16_t flags) {
  Send(Put(path, content.size(), key, flags));
  Send(Data(content));
  Send(Finish(content));
  return Last();
}

// ---- SocketClient ----

bool SocketClient::Send(std::string_view frames) const { return SendAll(fd_.get(), frames); }

bool SocketClient::ReadSome() {
  std::array<char, 64 << 10> buffer;
  const ssize_t count = ::recv(fd_.get(), buffer.data(), buffer.size(), 0);
  if (count <= 0) return false;
  reader_.Feed({buffer.data(), static_cast<size_t>(count)});
  return true;
}

const FilesAnswer& SocketClient::Await(uint32_t id, bool by_info) {
  const FilesAnswer& answer = reader_.Of(id);
  while (!answer.over() && !(by_info && answer.info.has_value())) {
    if (!ReadSome()) break;
  }
  return answer;
}

const FilesAnswer& SocketClient::AwaitReady(uint32_t id) {
  const FilesAnswer& answer = reader_.Of(id);
  while (!answer.over() && !answer.ready.has_value()) {
    if (!ReadSome()) break;
  }
  return answer;
}

const FilesAnswer& SocketClient::Ask(const std::string& frame, bool by_info) {
  EXPECT_TRUE(Send(frame));
  return Await(last_id(), by_info);
}

const FilesAnswer& SocketClient::AskPut(std::string_view path, std::string_view content) {
  EXPECT_TRUE(Send(Put(path, content.size())));
  const uint32_t id = last_id();
  if (!AwaitReady(id).ready.has_value()) return reader_.Of(id);
  EXPECT_TRUE(Send(Join({Data(content, id), Finish(content, id)})));
  return Await(id, /*by_info=*/true);
}

}  // namespace quintet::testing
