#include "net/files/server_session.h"

#include <algorithm>
#include <string>
#include <utility>

#include "net/files/authentication.h"
#include "net/files/put_transfer.h"
#include "reactor/catch_all.h"

namespace quintet::files {
namespace {

// A limited connection gets pieces of an eighth of a second, so that its client sees a stream.
constexpr uint64_t kPiecesPerSecond = 8;
constexpr uint64_t kLeastPieceBytes = 4 << 10;

}  // namespace

ServerSession::ServerSession(std::shared_ptr<ServerContext> context)
    : context_(std::move(context)),
      in_(context_->options().limits.bytes_per_second),
      out_(context_->options().limits.bytes_per_second) {}

ServerSession::~ServerSession() { Drop(); }

// ---- What the transport tells ----

void ServerSession::OnOpen() {
  disk_ = context_->CreateDisk(transport().loop(), [this] { OnDiskFinished(); });
  opened_at_ = active_at_ = resumed_at_ = now();
  const Options& options = context_->options();
  const bool authentication = options.secret != nullptr;
  if (authentication) {
    state_ = State::kProving;
    nonce_ = MakeNonce();
  }
  Send(FrameType::kWelcome, 0, 0,
       Encode(WelcomeMessage{.authentication = authentication,
                             .read_only = options.read_only,
                             .max_requests = options.limits.requests,
                             .nonce = nonce_}));
  if (!disk_->in_place() && context_->SweepDue()) {
    disk_->Start(FileRequest::Call([context = context_.get()]() -> int64_t {
                   context->Sweep();
                   return 0;
                 }),
                 [context = context_](int64_t /*result*/) {});
  }
  Advance();
}

size_t ServerSession::OnData(std::span<const std::byte> data) {
  if (closed()) return data.size();
  active_at_ = now();
  reading_stopped_ = false;
  frames_left_ = true;
  std::span<const std::byte> input = data;
  Advance(input);
  return closed() ? data.size() : data.size() - input.size();
}

void ServerSession::OnEof() {
  if (closed()) return;
  input_ended_ = true;
  if (state_ == State::kServing) state_ = State::kEnding;
  if (state_ == State::kProving) return Close();
  for (const auto& request : requests_) {
    if (PutTransfer* const put = request->put()) put->OnInputEnd();
  }
  Advance();
}

void ServerSession::OnOutputDrained() { Advance(); }

// Of the oldest range that is not yet sent.
void ServerSession::OnFileShort(uint64_t /*missing*/) {
  const uint64_t sent = written_bytes_ - transport().output_bytes();
  const auto range = std::find_if(file_ranges_.begin(), file_ranges_.end(),
                                  [sent](const FileRange& each) { return each.end > sent; });
  Request* const request = range != file_ranges_.end() ? Find(range->request) : nullptr;
  // Where END stands behind it, only the end of the connection tells that it is wrong.
  if (closed() || request == nullptr) {
    Drop();
    return transport().Abort(CloseReason::kError);
  }
  request->OnFileShort();
  Advance();
}

void ServerSession::OnDeadline() {
  if (closed()) return;
  deadline_ = kNever;
  const Timeouts& timeouts = context_->options().timeouts;
  if (state_ == State::kProving && now() - opened_at_ >= timeouts.authentication) {
    return Refuse(0, {ErrorCode::kAuthentication, "no proof in time"});
  }
  for (const auto& request : requests_) {
    if (StallDeadline(*request) <= now()) {
      request->Fail({ErrorCode::kCancelled, "no data for too long"});
    }
  }
  Advance();
  if (closed() || !requests_.empty() || timeouts.idle <= Duration::zero()) return;
  if (now() - active_at_ >= timeouts.idle) Close();
}

void ServerSession::OnDrain() {
  if (closed()) return;
  draining_ = true;
  if (state_ == State::kProving) {
    return Refuse(0, {ErrorCode::kEnding, "the server is ending"});
  }
  state_ = State::kEnding;
  Advance();
}

bool ServerSession::idle() const {
  return !closed() && requests_.empty() && !decoder_.in_frame() && !reading_stopped_;
}

void ServerSession::OnClosed(CloseReason /*reason*/) {
  Drop();
  // Nobody waits any more for a thread that blocks; where there is a loop, OnOpen() has done it.
  if (disk_ != nullptr && disk_->in_place() && context_->SweepDue()) context_->Sweep();
}

// ---- The work ----

void ServerSession::OnDiskFinished() {
  // Not in a callback of the transport's: nobody else would catch it.
  CatchAll([this] { Advance(); },
           [this](const char*) { transport().Abort(CloseReason::kSessionError); });
}

void ServerSession::Advance() {
  std::span<const std::byte> none;
  Advance(none);
}

void ServerSession::Advance(std::span<const std::byte>& input) {
  while (!closed()) {
    RunTurns();
    if (closed() || !frames_left_ || InputHeld()) break;
    ReadFrames(input);
  }
  if (closed()) return;
  EndWhereOver();
  if (closed()) return;
  SyncReading(!input.empty());
  UpdateDeadline();
}

void ServerSession::RunTurns() {
  do {
    disk_->RunFinished();
    RemoveEnded();
  } while (!closed() && SendOne());
}

// One frame of the request whose turn it is.
bool ServerSession::SendOne() {
  if (transport().output_blocked() || !out_.Open(now())) return false;
  for (size_t i = 0; i < requests_.size(); ++i) {
    next_turn_ = next_turn_ < requests_.size() ? next_turn_ : 0;
    const std::shared_ptr<Request>& request = requests_[next_turn_++];
    if (!request->ready()) continue;
    request->SendNext();
    return true;
  }
  return false;
}

void ServerSession::RemoveEnded() {
  const size_t removed =
      std::erase_if(requests_, [](const auto& request) { return request->over(); });
  if (removed > 0) active_at_ = now();
}

void ServerSession::EndWhereOver() {
  if (state_ != State::kEnding || !requests_.empty()) return;
  if (quit_) {
    Send(FrameType::kEnd, 0, quit_id_, {});
  } else if (draining_ && !input_ended_) {
    SendError(0, {ErrorCode::kEnding, "the server is ending"});
  }
  Close();
}

bool ServerSession::InputHeld() {
  if (!in_.Open(now())) return true;
  size_t gathered = 0;
  for (const auto& request : requests_) {
    const PutTransfer* const put = request->put();
    if (put == nullptr) continue;
    if (put->holds_input()) return true;
    gathered += put->gathered_bytes();
  }
  return gathered >= kMostGatheredBytes;
}

void ServerSession::SyncReading(bool input_left) {
  const bool held = InputHeld();
  // What is left stops the transport by itself.
  if (input_left) {
    reading_stopped_ = true;
  } else if (held && !reading_stopped_) {
    reading_stopped_ = true;
    transport().PauseReading();
  } else if (!held && reading_stopped_) {
    reading_stopped_ = false;
    resumed_at_ = now();
    transport().ResumeReading();
  }
}

// Until when the client must have gone on with `request`; kNever while it is not its turn.
TimePoint ServerSession::StallDeadline(Request& request) const {
  const Duration patience = context_->options().timeouts.stall;
  const PutTransfer* const put = request.put();
  if (put == nullptr || !put->waits() || reading_stopped_ || patience <= Duration::zero()) {
    return kNever;
  }
  return AddSaturated(std::max(put->waits_since(), resumed_at_), patience);
}

void ServerSession::UpdateDeadline() {
  const Timeouts& timeouts = context_->options().timeouts;
  const auto after = [](TimePoint start, Duration timeout) {
    return timeout > Duration::zero() ? AddSaturated(start, timeout) : kNever;
  };
  TimePoint next = kNever;
  if (state_ == State::kProving) next = after(opened_at_, timeouts.authentication);
  if (requests_.empty()) next = std::min(next, after(active_at_, timeouts.idle));
  bool output_waits = false;
  for (const auto& request : requests_) {
    output_waits = output_waits || request->ready();
    next = std::min(next, StallDeadline(*request));
  }
  if (output_waits && !out_.Open(now())) next = std::min(next, out_.OpensAt());
  if (reading_stopped_ && !in_.Open(now())) next = std::min(next, in_.OpensAt());
  if (next == deadline_) return;
  deadline_ = next;
  transport().SetDeadline(next);
}

// ---- Output ----

void ServerSession::Write(std::string_view bytes) {
  written_bytes_ += bytes.size();
  transport().Write(bytes);
}

void ServerSession::Send(FrameType type, uint16_t flags, uint32_t request,
                         std::string_view payload) {
  FrameHeader header{.type = type,
                     .flags = flags,
                     .request = request,
                     .length = static_cast<uint32_t>(payload.size())};
  if ((flags & kNoPayloadCrc) == 0) header.payload_crc = Crc32c(payload);
  const auto bytes = EncodeHeader(header);
  Write({bytes.data(), bytes.size()});
  Write(payload);
  if (type == FrameType::kData) out_.Take(now(), payload.size());
}

void ServerSession::SendError(uint32_t request, const ErrorMessage& message) {
  Counters::Add(context_->counters().errors, 1);
  Send(FrameType::kError, 0, request, Encode(message));
}

void ServerSession::SendFile(uint32_t request, std::shared_ptr<const UniqueFd> file,
                             uint64_t offset, uint32_t length) {
  const auto bytes = EncodeHeader(
      {.type = FrameType::kData, .flags = kNoPayloadCrc, .request = request, .length = length});
  Write({bytes.data(), bytes.size()});
  const uint64_t sent = written_bytes_ - transport().output_bytes();
  std::erase_if(file_ranges_, [sent](const FileRange& range) { return range.end <= sent; });
  written_bytes_ += length;
  file_ranges_.push_back({.end = written_bytes_, .request = request});
  transport().WriteFile(std::move(file), offset, length);
  out_.Take(now(), length);
}

size_t ServerSession::max_data_bytes() const {
  const uint64_t rate = context_->options().limits.bytes_per_second;
  if (rate == 0) return kMaxDataPayload;
  return static_cast<size_t>(
      std::clamp<uint64_t>(rate / kPiecesPerSecond, kLeastPieceBytes, kMaxDataPayload));
}

// ---- The end ----

void ServerSession::Refuse(uint32_t request, ErrorMessage why) {
  SendError(request, why);
  Close();
}

void ServerSession::Close() {
  Drop();
  transport().Close();
}

// Requests that are in progress end without a word; what they have begun on the disk goes on.
void ServerSession::Drop() {
  state_ = State::kClosed;
  for (const auto& request : std::exchange(requests_, {})) request->Abandon();
  if (disk_ != nullptr) disk_->Detach();
}

}  // namespace quintet::files
