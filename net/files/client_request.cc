#include "net/files/client_request.h"

#include <algorithm>
#include <cassert>

namespace quintet::files {
bool EndsRequest(FrameType request, FrameType answer) {
  switch (answer) {
    case FrameType::kEnd:
    case FrameType::kError:
      return true;
    case FrameType::kInfo:
      return request == FrameType::kStat || request == FrameType::kPut;
    default:
      return false;
  }
}

Verdict PlainRequest::OnFrame(FrameType type, std::string_view payload) {
  return type == FrameType::kEnd && payload.empty() ? Verdict::kOver : Verdict::kWrong;
}

Verdict StatRequest::OnFrame(FrameType type, std::string_view payload) {
  if (type != FrameType::kInfo) return Verdict::kWrong;
  std::optional<Entry> entry = ParseEntry(payload);
  if (!entry.has_value()) return Verdict::kWrong;
  entry_ = *std::move(entry);
  return Verdict::kOver;
}

Verdict ListRequest::OnFrame(FrameType type, std::string_view payload) {
  if (type == FrameType::kEnd) return payload.empty() ? Verdict::kOver : Verdict::kWrong;
  if (type != FrameType::kEntries) return Verdict::kWrong;
  std::optional<std::vector<Entry>> entries = ParseEntries(payload);
  if (!entries.has_value()) return Verdict::kWrong;
  entries_(*std::move(entries));
  return Verdict::kMore;
}

Verdict GetRequest::OnFrame(FrameType type, std::string_view payload) {
  if (type == FrameType::kEnd) {
    // A server that ends early has not said why: nobody may take that for the whole file.
    return informed_ && left_ == 0 && payload.empty() ? Verdict::kOver : Verdict::kWrong;
  }
  const std::optional<Entry> entry = ParseEntry(payload);
  if (type != FrameType::kInfo || informed_ || !entry.has_value()) return Verdict::kWrong;
  informed_ = true;
  left_ = std::min(left_, entry->size - std::min(entry->size, offset_));
  sink_.OnInfo(*entry);
  return Verdict::kMore;
}

Verdict GetRequest::OnPiece(std::string_view bytes) {
  if (!informed_ || bytes.size() > left_) return Verdict::kWrong;
  left_ -= bytes.size();
  sink_.OnPiece(bytes);
  return Verdict::kMore;
}

Verdict GetRequest::OnDataEnd(bool intact) {
  if (!informed_) return Verdict::kWrong;
  if (!intact) return Verdict::kCrc;
  sink_.OnIntact();
  return Verdict::kMore;
}

Verdict PutRequest::OnFrame(FrameType type, std::string_view payload) {
  if (type == FrameType::kInfo) {
    std::optional<Entry> entry = ParseEntry(payload);
    if (state_ != State::kFinished || !entry.has_value()) return Verdict::kWrong;
    entry_ = *std::move(entry);
    return Verdict::kOver;
  }
  const std::optional<ReadyMessage> ready = ParseReady(payload);
  if (type != FrameType::kReady || state_ != State::kAsked || !ready.has_value()) {
    return Verdict::kWrong;
  }
  if (ready->offset > size_ || (ready->offset != 0 && !resume_)) return Verdict::kWrong;
  sent_ = ready->offset;
  crc_ = ready->crc;
  if (sent_ != 0) {
    state_ = State::kComparing;
    source_.OnResume(sent_);
  } else {
    state_ = State::kSending;
    OfferRoom();
  }
  return Verdict::kMore;
}

bool PutRequest::Compare(uint32_t crc) {
  assert(state_ == State::kComparing);
  state_ = crc == crc_ ? State::kSending : State::kRestarting;
  return state_ == State::kSending;
}

void PutRequest::Restart() {
  assert(state_ == State::kRestarting);
  resume_ = false;
  set_flags(flags_ & static_cast<uint16_t>(~kResume));
  sent_ = 0;
  crc_ = 0;
  state_ = State::kAsked;
}

uint32_t PutRequest::Count(std::string_view bytes) {
  assert(state_ == State::kSending);
  crc_ = Crc32c(bytes, crc_);
  sent_ += bytes.size();
  return Crc32c(bytes);
}

std::string PutRequest::FinishSending() {
  assert(state_ == State::kSending);
  state_ = State::kFinished;
  return files::Encode(FinishMessage{.size = sent_, .crc = crc_});
}

void PutRequest::OfferRoom() {
  if (!told_to_wait_) return;
  told_to_wait_ = false;
  source_.OnRoom(sent_);
}

}  // namespace quintet::files
