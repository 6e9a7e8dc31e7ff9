#include "net/files/client_session.h"

#include <algorithm>
#include <cassert>
#include <utility>

#include "net/files/client_request.h"

namespace quintet::files {
namespace {

// The longest DATA frame that is sent: what a frame holds is checked as one, and begun again as
// one; a header for each of them is nothing.
constexpr size_t kDataBytes = 256 << 10;
static_assert(kDataBytes <= kMaxDataPayload);

std::string_view FaultText(FrameFault fault) {
  switch (fault) {
    case FrameFault::kVersion:
      return "the server speaks another version of the protocol, or another protocol";
    case FrameFault::kLength:
      return "the server sent a frame that is too long";
    default:
      return "the server sent a frame with a wrong CRC, or speaks another protocol";
  }
}

ErrorCode FaultCode(FrameFault fault) {
  switch (fault) {
    case FrameFault::kVersion:
      return ErrorCode::kVersion;
    case FrameFault::kLength:
      return ErrorCode::kTooLong;
    default:
      return ErrorCode::kCrc;
  }
}

}  // namespace

ClientSession::ClientSession(ClientOptions options) : options_(std::move(options)) {}

ClientSession::~ClientSession() = default;

// ---- Requests ----

ClientSession::RequestId ClientSession::List(std::string path, bool directories, Entries entries,
                                             Done done) {
  return Add(std::make_unique<ListRequest>(std::move(path), directories ? kDirectories : 0,
                                           std::move(entries), std::move(done)));
}

ClientSession::RequestId ClientSession::Stat(std::string path, Info done) {
  return Add(std::make_unique<StatRequest>(std::move(path), std::move(done)));
}

ClientSession::RequestId ClientSession::Delete(std::string path, Done done) {
  return Add(std::make_unique<PlainRequest>(FrameType::kDelete, std::move(path), std::move(done)));
}

ClientSession::RequestId ClientSession::Rename(const std::string& from, const std::string& to,
                                               Done done) {
  return Add(std::make_unique<PlainRequest>(
      FrameType::kRename, Encode(RenameMessage{.from = from, .to = to}), std::move(done)));
}

ClientSession::RequestId ClientSession::Get(const GetMessage& what, bool verify, GetSink& sink) {
  return Add(std::make_unique<GetRequest>(what, verify, sink));
}

ClientSession::RequestId ClientSession::Put(const PutMessage& what, PutFlags flags,
                                            PutSource& source) {
  const int bits = (flags.resume ? kResume : 0) | (flags.make_directories ? kMakeDirectories : 0);
  return Add(std::make_unique<PutRequest>(what, static_cast<uint16_t>(bits), source));
}

void ClientSession::Quit() {
  assert(!quitting_);
  Add(std::make_unique<PlainRequest>(FrameType::kQuit, std::string(),
                                     [this](const std::optional<ClientError>& error) {
                                       if (error.has_value()) return;
                                       quit_ = true;
                                       transport().Close();
                                     }));
  quitting_ = true;
}

ClientSession::RequestId ClientSession::Add(std::unique_ptr<ClientRequest> request) {
  assert(!quitting_);
  const RequestId id = ++last_id_;
  const FrameType type = request->type();
  queued_.push_back({.id = id, .number = 0, .type = type, .request = std::move(request)});
  if (stage_ == Stage::kReady) {
    SendQueued();
    UpdateDeadline();
  }
  return id;
}

void ClientSession::SendQueued() {
  while (!queued_.empty() && open_.size() < std::max(welcome_.max_requests, uint32_t{1})) {
    // Behind everything: the server answers it last, but takes no PUT's data that follows it.
    if (queued_.front().type == FrameType::kQuit && !open_.empty()) return;
    open_.push_back(std::move(queued_.front()));
    queued_.pop_front();
    Send(open_.back());
  }
}

void ClientSession::Send(Open& open) {
  open.number = ++last_number_;
  transport().Write(open.request->Encode(open.number));
}

ClientSession::Open* ClientSession::FindId(RequestId id) {
  const auto found =
      std::find_if(open_.begin(), open_.end(), [&](const Open& open) { return open.id == id; });
  return found == open_.end() || found->request == nullptr ? nullptr : &*found;
}

ClientSession::Open* ClientSession::FindNumber(uint32_t number) {
  const auto found = std::find_if(open_.begin(), open_.end(),
                                  [&](const Open& open) { return open.number == number; });
  return found == open_.end() ? nullptr : &*found;
}

GetRequest* ClientSession::FindGet(RequestId id) {
  Open* const open = FindId(id);
  return open == nullptr || open->type != FrameType::kGet
             ? nullptr
             : static_cast<GetRequest*>(open->request.get());
}

PutRequest* ClientSession::FindPut(RequestId id) {
  Open* const open = FindId(id);
  return open == nullptr || open->type != FrameType::kPut
             ? nullptr
             : static_cast<PutRequest*>(open->request.get());
}

size_t ClientSession::open_requests() const {
  return queued_.size() +
         static_cast<size_t>(std::count_if(
             open_.begin(), open_.end(), [](const Open& open) { return open.request != nullptr; }));
}

void ClientSession::Cancel(RequestId id) {
  const auto waiting =
      std::find_if(queued_.begin(), queued_.end(), [&](const Open& open) { return open.id == id; });
  if (waiting != queued_.end()) {
    queued_.erase(waiting);
    return;
  }
  Open* const open = FindId(id);
  if (open == nullptr) return;
  if (open->request.get() == called_) cancelled_ = std::move(open->request);
  open->request.reset();
  if (stage_ != Stage::kReady) return;
  transport().Write(EncodeFrame(FrameType::kCancel, 0, open->number, {}));
  if (!any_paused()) transport().ResumeReading();
  UpdateDeadline();
}

// ---- Transfers ----

bool ClientSession::any_paused() const {
  return std::any_of(open_.begin(), open_.end(), [](const Open& open) {
    return open.type == FrameType::kGet && open.request != nullptr &&
           static_cast<const GetRequest*>(open.request.get())->paused();
  });
}

void ClientSession::PauseGet(RequestId id) {
  GetRequest* const get = FindGet(id);
  if (get == nullptr || get->paused()) return;
  get->set_paused(true);
  transport().PauseReading();
  UpdateDeadline();
}

void ClientSession::ResumeGet(RequestId id) {
  GetRequest* const get = FindGet(id);
  if (get == nullptr || !get->paused()) return;
  get->set_paused(false);
  if (!any_paused()) transport().ResumeReading();
  UpdateDeadline();
}

void ClientSession::ContinuePut(RequestId id, uint32_t crc) {
  PutRequest* const put = FindPut(id);
  if (put == nullptr || put->state() != PutRequest::State::kComparing) return;
  if (put->Compare(crc)) {
    put->OfferRoom();
  } else {
    transport().Write(EncodeFrame(FrameType::kCancel, 0, FindId(id)->number, {}));
  }
  UpdateDeadline();
}

bool ClientSession::SendPut(RequestId id, std::string_view bytes) {
  Open* const open = FindId(id);
  PutRequest* const put = FindPut(id);
  if (put == nullptr || put->state() != PutRequest::State::kSending) return false;
  while (!bytes.empty()) {
    const std::string_view piece = bytes.substr(0, kDataBytes);
    bytes.remove_prefix(piece.size());
    const FrameHeader header = {.type = FrameType::kData,
                                .flags = 0,
                                .request = open->number,
                                .length = static_cast<uint32_t>(piece.size()),
                                .payload_crc = put->Count(piece)};
    const auto encoded = EncodeHeader(header);
    transport().Write({encoded.data(), encoded.size()});
    transport().Write(piece);
  }
  UpdateDeadline();
  if (!transport().output_blocked()) return true;
  put->set_told_to_wait();
  return false;
}

void ClientSession::FinishPut(RequestId id) {
  Open* const open = FindId(id);
  PutRequest* const put = FindPut(id);
  if (put == nullptr || put->state() != PutRequest::State::kSending) return;
  transport().Write(EncodeFrame(FrameType::kFinish, 0, open->number, put->FinishSending()));
  UpdateDeadline();
}

void ClientSession::OnOutputDrained() {
  // By id, since the sources may end requests and make new ones.
  std::vector<RequestId> puts;
  for (const Open& open : open_) {
    if (open.type == FrameType::kPut && open.request != nullptr) puts.push_back(open.id);
  }
  for (const RequestId id : puts) {
    PutRequest* const put = FindPut(id);
    if (put != nullptr && put->state() == PutRequest::State::kSending) put->OfferRoom();
  }
  UpdateDeadline();
}

// ---- The connection ----

void ClientSession::OnOpen() {
  stage_ = Stage::kWelcome;
  UpdateDeadline();
}

void ClientSession::UpdateDeadline() {
  if (stage_ == Stage::kConnecting || stage_ == Stage::kEnded) return;
  const bool waiting = !ready() || transport().output_blocked() ||
                       std::any_of(open_.begin(), open_.end(), [](const Open& open) {
                         return open.request == nullptr || open.request->waiting();
                       });
  output_left_ = transport().output_bytes();
  // While a sink is full, its owner's disk is what everybody waits for.
  const bool limited = waiting && !any_paused() && options_.timeout > Duration::zero();
  transport().SetDeadline(limited ? AddSaturated(transport().now(), options_.timeout) : kNever);
}

size_t ClientSession::OnData(std::span<const std::byte> data) {
  std::span<const std::byte> left = data;
  while (!transport().ending() && !transport().reading_paused()) {
    const FrameDecoder::Event event = decoder_.Next(left);
    if (event == FrameDecoder::Event::kMore) break;
    if (event == FrameDecoder::Event::kFault) {
      Fail(FaultCode(decoder_.fault()), std::string(FaultText(decoder_.fault())));
      break;
    }
    const bool of_connection = decoder_.header().request == 0 || stage_ == Stage::kProof;
    if (!(of_connection ? OnConnectionFrame() : OnRequestEvent(event))) break;
  }
  if (transport().ending()) return data.size();
  UpdateDeadline();
  return data.size() - left.size();
}

bool ClientSession::OnConnectionFrame() {
  const FrameHeader& header = decoder_.header();
  if (!decoder_.intact()) return Fail(ErrorCode::kCrc, "the server sent a frame with a wrong CRC");
  if (header.type == FrameType::kError) {
    const std::optional<ErrorMessage> message = ParseError(decoder_.payload());
    if (message.has_value()) return Fail(message->code, message->text);
  }
  if (stage_ == Stage::kWelcome && header.type == FrameType::kWelcome) return OnWelcome();
  if (stage_ == Stage::kProof && header.type == FrameType::kEnd) {
    const std::optional<Proof> proof = ParseProof(decoder_.payload());
    if (!proof.has_value() ||
        !ProofsEqual(*proof, ServerProof(*options_.secret, welcome_.nonce, nonce_))) {
      return Fail(ErrorCode::kAuthentication, "the server does not know the secret");
    }
    BecomeReady();
    return true;
  }
  return Fail(ErrorCode::kProtocol, "the server sent what does not belong there");
}

bool ClientSession::OnWelcome() {
  const std::optional<WelcomeMessage> welcome = ParseWelcome(decoder_.payload());
  if (!welcome.has_value()) return Fail(ErrorCode::kProtocol, "the server's welcome is unreadable");
  welcome_ = *welcome;
  if (welcome_.authentication == (options_.secret == nullptr)) {
    return Fail(ErrorCode::kAuthentication,
                welcome_.authentication
                    ? "the server asks for a secret"
                    : "the server does not ask for the secret, so it is not the one that is meant");
  }
  if (!welcome_.authentication) {
    BecomeReady();
    return true;
  }
  nonce_ = MakeNonce();
  const AuthMessage message = {.nonce = nonce_,
                               .proof = ClientProof(*options_.secret, welcome_.nonce, nonce_)};
  transport().Write(EncodeFrame(FrameType::kAuth, 0, ++last_number_, Encode(message)));
  stage_ = Stage::kProof;
  return true;
}

void ClientSession::BecomeReady() {
  stage_ = Stage::kReady;
  if (on_ready_) on_ready_(welcome_);
  SendQueued();
}

bool ClientSession::OnRequestEvent(FrameDecoder::Event event) {
  const FrameHeader& header = decoder_.header();
  if (stage_ != Stage::kReady)
    return Fail(ErrorCode::kProtocol, "the server answers what was not asked");
  Open* const open = FindNumber(header.request);
  // Of a request that this side has given up, or the server's mistake: nobody waits for it.
  if (open == nullptr) return true;
  if (event == FrameDecoder::Event::kFrame && header.type == FrameType::kError) {
    return OnRequestError(*open);
  }
  if (open->request == nullptr) {
    if (EndsRequest(open->type, header.type)) EndRequest(header.request, std::nullopt);
    return true;
  }

  ClientRequest& request = *open->request;
  called_ = &request;
  Verdict verdict = Verdict::kCrc;
  if (event == FrameDecoder::Event::kDataPiece) {
    verdict = request.OnPiece(decoder_.payload());
  } else if (event == FrameDecoder::Event::kDataEnd) {
    verdict = request.OnDataEnd(decoder_.intact());
  } else if (decoder_.intact()) {
    verdict = request.OnFrame(header.type, decoder_.payload());
  }
  called_ = nullptr;
  const bool was_cancelled = cancelled_ != nullptr;
  cancelled_.reset();

  if (verdict == Verdict::kWrong) {
    return Fail(ErrorCode::kProtocol, "the server's answer does not fit the request");
  }
  if (was_cancelled) {
    if (verdict == Verdict::kOver) EndRequest(header.request, std::nullopt);
    return true;
  }
  if (verdict == Verdict::kOver) EndRequest(header.request, std::nullopt);
  if (verdict == Verdict::kCrc) {
    std::unique_ptr<ClientRequest> failed = std::move(FindNumber(header.request)->request);
    if (EndsRequest(failed->type(), header.type)) {
      EndRequest(header.request, std::nullopt);
    } else {
      transport().Write(EncodeFrame(FrameType::kCancel, 0, header.request, {}));
    }
    failed->Finish(ClientError{.code = ErrorCode::kCrc, .text = "damaged on its way"});
  }
  return true;
}

bool ClientSession::OnRequestError(Open& open) {
  std::optional<ErrorMessage> message = ParseError(decoder_.payload());
  if (!decoder_.intact() || !message.has_value()) {
    return Fail(ErrorCode::kProtocol, "the server's error is unreadable");
  }
  if (open.type == FrameType::kPut && open.request != nullptr) {
    PutRequest& put = static_cast<PutRequest&>(*open.request);
    if (put.state() == PutRequest::State::kRestarting) {
      put.Restart();
      Send(open);
      return true;
    }
  }
  EndRequest(open.number, ClientError{.code = message->code, .text = std::move(message->text)});
  return true;
}

void ClientSession::EndRequest(uint32_t number, const std::optional<ClientError>& error) {
  const auto found = std::find_if(open_.begin(), open_.end(),
                                  [&](const Open& open) { return open.number == number; });
  assert(found != open_.end());
  const std::unique_ptr<ClientRequest> request = std::move(found->request);
  open_.erase(found);
  SendQueued();
  if (request != nullptr) request->Finish(error);
}

bool ClientSession::Fail(ErrorCode code, std::string text) {
  failure_ = {.code = code, .reason = CloseReason::kLocal, .text = std::move(text)};
  transport().Abort(CloseReason::kLocal);
  return false;
}

void ClientSession::OnEof() {
  end_of_file_ = true;
  transport().Close();
}

void ClientSession::OnDeadline() {
  // A slow server that still takes what is sent: OnOutputDrained() may be far.
  const size_t output = transport().output_bytes();
  if (output > 0 && output < output_left_) return UpdateDeadline();
  transport().Abort(CloseReason::kDeadline);
}

void ClientSession::OnClosed(CloseReason reason) {
  stage_ = Stage::kEnded;
  std::optional<ClientError> error = std::move(failure_);
  if (!error.has_value() && !quit_) {
    error = ConnectionError(end_of_file_ ? CloseReason::kPeerClosed : reason);
  }
  // What is asked for in one of these calls waits for nobody, and is told the same.
  const ClientError lost = error.value_or(ConnectionError(CloseReason::kLocal));
  while (!open_.empty() || !queued_.empty()) {
    std::unique_ptr<ClientRequest> request;
    if (!open_.empty()) {
      request = std::move(open_.back().request);
      open_.pop_back();
    } else {
      request = std::move(queued_.front().request);
      queued_.pop_front();
    }
    if (request != nullptr) request->Finish(lost);
  }
  if (on_end_) on_end_(error);
}

}  // namespace quintet::files
