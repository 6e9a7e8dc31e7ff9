// What frames of the client do to a session.
#include <algorithm>
#include <optional>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "net/files/authentication.h"
#include "net/files/call_request.h"
#include "net/files/get_transfer.h"
#include "net/files/listing.h"
#include "net/files/path.h"
#include "net/files/put_transfer.h"
#include "net/files/server_session.h"

namespace quintet::files {

void ServerSession::ReadFrames(std::span<const std::byte>& input) {
  while (!closed() && !InputHeld()) {
    // A limited connection is read in pieces, so that its bucket is looked at between them.
    std::span<const std::byte> piece = input.first(std::min(input.size(), max_data_bytes()));
    const size_t offered = piece.size();
    const FrameDecoder::Event event = decoder_.Next(piece);
    const size_t taken = offered - piece.size();
    input = input.subspan(taken);
    in_.Take(now(), taken);
    switch (event) {
      case FrameDecoder::Event::kMore:
        if (!input.empty()) break;
        frames_left_ = false;
        return;
      case FrameDecoder::Event::kFrame:
        OnFrame();
        break;
      case FrameDecoder::Event::kDataPiece:
      case FrameDecoder::Event::kDataEnd:
        OnDataFrame();
        break;
      case FrameDecoder::Event::kFault:
        return OnFault();
    }
    // What was done in place has finished, and holds the input no more.
    if (!closed()) disk_->RunFinished();
  }
}

void ServerSession::OnFault() {
  switch (decoder_.fault()) {
    case FrameFault::kVersion:
      return Refuse(0, {ErrorCode::kVersion, absl::StrCat("only version ", kProtocolVersion)});
    case FrameFault::kLength:
      return Refuse(decoder_.header().request, {ErrorCode::kTooLong, "a frame above the limit"});
    case FrameFault::kHeaderCrc:
    case FrameFault::kNone:
      return Refuse(0, {ErrorCode::kCrc, "of a header"});
  }
}

Request* ServerSession::Find(uint32_t id) const {
  const auto found = std::find_if(requests_.begin(), requests_.end(), [id](const auto& request) {
    return request->id() == id && !request->over();
  });
  return found != requests_.end() ? found->get() : nullptr;
}

// A piece of data, or the end of a frame of it.
void ServerSession::OnDataFrame() {
  const FrameHeader& header = decoder_.header();
  const std::string_view piece = decoder_.payload();
  const ErrorMessage misplaced = {ErrorCode::kProtocol, "data of no put"};
  if (state_ == State::kProving) {
    return Refuse(header.request, {ErrorCode::kAuthentication, "AUTH comes first"});
  }
  if (header.request > last_id_ || header.request == 0) return Refuse(header.request, misplaced);
  Request* const request = Find(header.request);
  if (request == nullptr) return;  // it has ended: what was on its way
  PutTransfer* const put = request->put();
  if (put == nullptr) return Refuse(header.request, misplaced);
  if ((header.flags & ~DefinedFlags(FrameType::kData, Sender::kClient)) != 0) {
    return put->Fail({ErrorCode::kBadRequest, "an unknown flag"});
  }
  if (piece.empty()) return put->OnDataEnd(decoder_.intact());
  if (!put->OnData(piece)) Refuse(header.request, {ErrorCode::kProtocol, "data out of its place"});
}

void ServerSession::OnFrame() {
  const FrameHeader header = decoder_.header();
  const std::string_view payload = decoder_.payload();
  if (state_ == State::kProving && header.type != FrameType::kAuth) {
    return Refuse(header.request, {ErrorCode::kAuthentication, "AUTH comes first"});
  }
  if (KnownType(header.type) && !SentBy(header.type, Sender::kClient)) {
    return Refuse(header.request, {ErrorCode::kProtocol, "a frame of servers"});
  }
  if (header.type == FrameType::kCancel || header.type == FrameType::kFinish) {
    return OnRequestFrame(header, payload);
  }
  // A request of its own.
  Counters::Add(context_->counters().requests, 1);
  if (header.request <= last_id_) {
    return SendError(header.request,
                     {ErrorCode::kBadRequest, "a number that is not above the last"});
  }
  last_id_ = header.request;
  if (!decoder_.intact()) return SendError(header.request, {ErrorCode::kCrc, "of a payload"});
  if ((header.flags & ~DefinedFlags(header.type, Sender::kClient)) != 0) {
    return SendError(header.request, {ErrorCode::kBadRequest, "an unknown flag"});
  }
  if (header.type == FrameType::kAuth) return OnAuth(header, payload);
  if (quit_) return Refuse(header.request, {ErrorCode::kProtocol, "a request behind QUIT"});
  if (header.type == FrameType::kQuit) {
    quit_ = true;
    quit_id_ = header.request;
    state_ = State::kEnding;
    return;
  }
  if (draining_) return SendError(header.request, {ErrorCode::kEnding, "the server is ending"});
  RemoveEnded();
  if (requests_.size() >= context_->options().limits.requests) {
    return SendError(header.request, {ErrorCode::kBusy, "too many requests at once"});
  }
  std::shared_ptr<Request> request;
  if (const auto error = CreateRequest(header, payload, request); error.has_value()) {
    return SendError(header.request, *error);
  }
  requests_.push_back(request);
  request->Start();
}

// CANCEL or FINISH.
void ServerSession::OnRequestFrame(const FrameHeader& header, std::string_view payload) {
  if (header.request > last_id_ || header.request == 0) {
    return Refuse(header.request, {ErrorCode::kProtocol, "of no request"});
  }
  Request* const request = Find(header.request);
  if (request == nullptr) return;
  if (!decoder_.intact()) return request->Fail({ErrorCode::kCrc, "of a payload"});
  if (header.flags != 0) return request->Fail({ErrorCode::kBadRequest, "an unknown flag"});
  if (header.type == FrameType::kCancel) {
    return request->Fail({ErrorCode::kCancelled, "cancelled"});
  }
  const std::optional<FinishMessage> message = ParseFinish(payload);
  PutTransfer* const put = request->put();
  if (!message.has_value()) return request->Fail({ErrorCode::kBadRequest, "FINISH"});
  if (put == nullptr || !put->OnFinish(*message)) {
    Refuse(header.request, {ErrorCode::kProtocol, "FINISH out of its place"});
  }
}

void ServerSession::OnAuth(const FrameHeader& header, std::string_view payload) {
  if (state_ != State::kProving) {
    return Refuse(header.request, {ErrorCode::kProtocol, "AUTH was not asked for"});
  }
  const std::optional<AuthMessage> message = ParseAuth(payload);
  if (!message.has_value()) return Refuse(header.request, {ErrorCode::kBadRequest, "AUTH"});
  const Secret& secret = *context_->options().secret;
  if (!ProofsEqual(message->proof, ClientProof(secret, nonce_, message->nonce))) {
    return Refuse(header.request, {ErrorCode::kAuthentication, "a wrong proof"});
  }
  state_ = State::kServing;
  const Proof proof = ServerProof(secret, nonce_, message->nonce);
  Send(FrameType::kEnd, 0, header.request,
       {reinterpret_cast<const char*>(proof.data()), proof.size()});
}

std::optional<ErrorMessage> ServerSession::CreateRequest(const FrameHeader& header,
                                                         std::string_view payload,
                                                         std::shared_ptr<Request>& request) {
  using Found = CallRequest::Found;
  RequestHost& host = *this;
  const ErrorMessage unreadable = {ErrorCode::kBadRequest, "the payload cannot be read"};
  const ErrorMessage bad_name = {ErrorCode::kBadName, "not a path that is served"};
  const ErrorMessage read_only = {ErrorCode::kReadOnly, "nothing can be changed here"};
  const bool writable = !context_->options().read_only;
  const uint32_t id = header.request;
  switch (header.type) {
    case FrameType::kList:
      if (!payload.empty() && !CheckPath(payload)) return bad_name;
      request = std::make_shared<Listing>(host, id, std::string(payload),
                                          (header.flags & kDirectories) != 0);
      return std::nullopt;
    case FrameType::kStat:
      if (!CheckPath(payload)) return bad_name;
      request = std::make_shared<CallRequest>(
          host, id,
          [path = std::string(payload)](const FileStore& store, Found& found) {
            return store.Stat(path, found.entry);
          },
          FrameType::kInfo);
      return std::nullopt;
    case FrameType::kGet: {
      std::optional<GetMessage> message = ParseGet(payload);
      if (!message.has_value()) return unreadable;
      if (!CheckPath(message->path)) return bad_name;
      request = std::make_shared<GetTransfer>(host, id, *std::move(message),
                                              (header.flags & kVerify) != 0);
      return std::nullopt;
    }
    case FrameType::kPut: {
      std::optional<PutMessage> message = ParsePut(payload);
      if (!message.has_value()) return unreadable;
      if (!CheckPath(message->path)) return bad_name;
      if (!writable) return read_only;
      request = std::make_shared<PutTransfer>(host, id, *std::move(message),
                                              (header.flags & kResume) != 0,
                                              (header.flags & kMakeDirectories) != 0);
      return std::nullopt;
    }
    case FrameType::kDelete:
      if (!CheckPath(payload)) return bad_name;
      if (!writable) return read_only;
      request = std::make_shared<CallRequest>(
          host, id,
          [path = std::string(payload)](const FileStore& store, Found& found) {
            return store.Delete(path, &found.freed_bytes);
          },
          FrameType::kEnd);
      return std::nullopt;
    case FrameType::kRename: {
      const std::optional<RenameMessage> message = ParseRename(payload);
      if (!message.has_value()) return unreadable;
      if (!CheckPath(message->from) || !CheckPath(message->to)) return bad_name;
      if (!writable) return read_only;
      request = std::make_shared<CallRequest>(
          host, id,
          [message = *message](const FileStore& store, Found& found) {
            return store.Rename(message.from, message.to, &found.freed_bytes);
          },
          FrameType::kEnd);
      return std::nullopt;
    }
    default:
      return ErrorMessage{ErrorCode::kBadRequest, "an unknown request"};
  }
}

}  // namespace quintet::files
