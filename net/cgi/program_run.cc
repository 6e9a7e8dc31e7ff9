#include "net/cgi/program_run.h"

#include <signal.h>
#include <sys/wait.h>

#include <algorithm>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "net/cgi/gateway.h"
#include "net/http/status.h"
#include "net/worker_process.h"

namespace quintet::cgi {

// Owned by a callback of the exchange, with which it goes.
class ProgramRun::Guard {
 public:
  explicit Guard(std::weak_ptr<ProgramRun> run) : run_(std::move(run)) {}
  ~Guard() {
    if (const auto run = run_.lock()) run->OnExchangeGone();
  }
  Guard(const Guard&) = delete;
  Guard& operator=(const Guard&) = delete;

  void OnDrained() {
    if (const auto run = run_.lock()) run->OnExchangeDrained();
  }

 private:
  const std::weak_ptr<ProgramRun> run_;
};

absl::Status ProgramRun::Start(ProgramSlot slot, http::Exchange& exchange,
                               const std::string& script_name, const ProgramFile& program,
                               std::vector<std::string> environment) {
  const std::shared_ptr<ProgramRun> run(new ProgramRun(std::move(slot), exchange, script_name));
  const absl::Status spawned =
      run->Spawn(program, std::move(environment), exchange.request().has_body());
  if (spawned.ok()) run->Attach(exchange);
  return spawned;
}

absl::Status ProgramRun::Spawn(const ProgramFile& program, std::vector<std::string> environment,
                               bool has_body) {
  using Stream = ProcessOptions::Stream;
  ProcessOptions options;
  options.program = "./" + program.base_name;
  options.arguments = {program.base_name};
  options.environment = std::move(environment);
  options.working_directory_fd = program.folder.get();
  options.input = has_body ? Stream::kPipe : Stream::kNull;
  options.output = options.error = Stream::kPipe;
  auto process =
      Process::Spawn(loop_, options,
                     {.on_output = [this](std::string_view bytes) { OnOutput(bytes); },
                      .on_error_output = [this](std::string_view bytes) { OnErrorOutput(bytes); },
                      .on_input_drained = [this] { OnInputDrained(); },
                      .on_ended = [this](const ProcessEnd& end) { OnEnded(end); }});
  if (!process.ok()) return process.status();
  process_ = *std::move(process);
  pid_ = process_->pid();
  error_log_ = std::make_unique<ErrorLog>(
      loop_.log(),
      absl::StrCat("cgi: ", absl::Utf8SafeCEscape(script_name_), "[", pid_, "]: standard error: "));
  timeout_ =
      loop_.RunAfter(state_->options.timeout, [self = shared_from_this()] { self->OnTimeout(); });
  return absl::OkStatus();
}

void ProgramRun::Attach(http::Exchange& exchange) {
  exchange_ = exchange.Defer();
  const std::weak_ptr<ProgramRun> weak = weak_from_this();
  if (process_->input() != nullptr) {
    exchange.OnBody([weak](http::Exchange& source, std::string_view piece, bool last) {
      if (const auto run = weak.lock()) run->OnBody(source, piece, last);
    });
  }
  exchange.OnDrained(
      [guard = std::make_unique<Guard>(weak)](http::Exchange&) { guard->OnDrained(); });
  exchange.OnEof([weak](http::Exchange&) {
    if (const auto run = weak.lock()) run->OnHalfClosed();
  });
}

void ProgramRun::OnBody(http::Exchange& exchange, std::string_view piece, bool last) {
  if (process_ == nullptr || killed_) return;
  PipeWriter& input = *process_->input();
  input.Write(piece);
  if (last) return input.Close();
  if (input.pending_bytes() <= kMaxWaitingInput) return;
  input_paused_ = true;
  exchange.PauseBody();
}

void ProgramRun::OnInputDrained() {
  if (!std::exchange(input_paused_, false)) return;
  const auto self = shared_from_this();
  exchange_.RunHere([](http::Exchange& exchange) { exchange.ResumeBody(); });
}

void ProgramRun::OnExchangeDrained() {
  if (process_ != nullptr) process_->output()->Resume();
}

void ProgramRun::OnHalfClosed() {
  if (phase_ == Phase::kDone) return;
  AwaitClient(state_->options.half_closed_timeout);
}

void ProgramRun::AwaitClient(Duration patience) {
  half_closed_ = loop_.RunAfter(patience, [weak = weak_from_this()] {
    if (const auto run = weak.lock()) run->OnHalfClosedTimeout();
  });
}

// A client that takes the reply is there, and one that does not is the transport's affair, which
// has a deadline for it.
void ProgramRun::OnHalfClosedTimeout() {
  if (phase_ == Phase::kDone) return;
  bool pending = false;
  exchange_.RunHere(
      [&pending](http::Exchange& exchange) { pending = exchange.response().pending_bytes() > 0; });
  const bool was_pending = std::exchange(seen_pending_, pending);
  const bool more = std::exchange(seen_body_bytes_, body_bytes_) != body_bytes_;
  if (pending || was_pending || more) {
    return AwaitClient(std::max(state_->options.half_closed_timeout, kShortestLook));
  }
  LogLimited("killed: its client has closed the connection");
  LetGo([](http::Exchange& exchange) { exchange.response().Fail(); });
  KillAndEnd();
}

void ProgramRun::OnExchangeGone() {
  if (phase_ == Phase::kDone) return;
  phase_ = Phase::kDone;
  exchange_ = {};
  LogLimited("killed: its client has gone");
  KillAndEnd();
}

void ProgramRun::OnOutput(std::string_view bytes) {
  const auto self = shared_from_this();
  if (bytes.empty()) return OnOutputEnd();
  if (phase_ == Phase::kDone) return;
  if (phase_ == Phase::kRedirect) return DropOutput(bytes.size());
  if (phase_ == Phase::kBody) {
    if (const std::string why = WhyTooLong(bytes.size()); !why.empty()) return Fail(502, why);
    exchange_.RunHere([&](http::Exchange& exchange) { WriteBody(exchange, bytes); });
    return;
  }
  switch (parser_.Feed(bytes)) {
    case ReplyParser::Result::kMore:
      return;
    case ReplyParser::Result::kInvalid:
      return Fail(502, "its reply is not valid: " + parser_.error());
    case ReplyParser::Result::kDone:
      return BeginReply(bytes);
  }
}

std::string ProgramRun::WhyTooLong(size_t bytes) {
  const uint64_t most = state_->options.max_output_bytes;
  const std::optional<uint64_t> announced = parser_.header().content_length;
  if (bytes > most - body_bytes_ || announced.value_or(0) > most) {
    return absl::StrCat("more than ", most, " bytes of output");
  }
  if (announced.has_value() && bytes > *announced - body_bytes_) {
    return "more output than its Content-Length";
  }
  return {};
}

void ProgramRun::BeginReply(std::string_view body) {
  const ReplyHeader& header = parser_.header();
  if (!header.local_location.empty()) {
    phase_ = Phase::kRedirect;
    return DropOutput(body.size());
  }
  if (const std::string why = WhyTooLong(body.size()); !why.empty()) return Fail(502, why);
  phase_ = Phase::kBody;
  exchange_.RunHere([&](http::Exchange& exchange) {
    http::ResponseWriter& response = exchange.response();
    response.SetStatus(header.status);
    // Those that are the server's own business are not taken (section 6.3.4).
    for (const auto& [name, value] : header.fields) response.AddField(name, value);
    if (header.content_length.has_value()) response.SetContentLength(*header.content_length);
    WriteBody(exchange, body);
  });
}

void ProgramRun::WriteBody(http::Exchange& exchange, std::string_view piece) {
  body_bytes_ += piece.size();
  exchange.response().Write(piece);
  if (exchange.response().blocked()) process_->output()->Pause();
}

void ProgramRun::DropOutput(size_t bytes) {
  if (const std::string why = WhyTooLong(bytes); !why.empty()) return Fail(502, why);
  body_bytes_ += bytes;
}

void ProgramRun::RedirectLocally() {
  // Before: what is asked for instead may be a program, too, and there may be room for one only.
  if (ended_.has_value()) End();
  bool redirected = false;
  LetGo([&](http::Exchange& exchange) {
    redirected = exchange.RedirectLocally(parser_.header().local_location);
    if (!redirected) exchange.Reply(502, http::StatusReason(502));
  });
  if (!redirected) Log(LogLevel::kWarning, "502: a local redirect that is not valid or has no end");
  EndIfOver();
}

void ProgramRun::OnOutputEnd() {
  output_ended_ = true;
  if (phase_ == Phase::kDone || ended_.has_value()) return FinishReply();
  end_patience_ = loop_.RunAfter(kEndPatience, [weak = weak_from_this()] {
    if (const auto run = weak.lock()) run->FinishReply();
  });
}

void ProgramRun::FinishReply() {
  if (phase_ == Phase::kDone) return EndIfOver();
  if (phase_ == Phase::kHeader) {
    return Fail(502, "it ended before its header did, with " + HowItEnded());
  }
  if (ended_.has_value() && WIFSIGNALED(ended_->status)) return Fail(502, HowItEnded());
  if (phase_ == Phase::kRedirect) {
    if (ended_.has_value() && ended_->status != 0) Log(LogLevel::kWarning, HowItEnded());
    return RedirectLocally();
  }
  const ReplyHeader& header = parser_.header();
  const bool has_body = !is_head_ && http::StatusHasContent(header.status);
  if (has_body && body_bytes_ < header.content_length.value_or(0)) {
    return Fail(502, "less output than its Content-Length");
  }
  if (ended_.has_value() && ended_->status != 0) Log(LogLevel::kWarning, HowItEnded());
  LetGo([](http::Exchange& exchange) { exchange.response().End(); });
  EndIfOver();
}

void ProgramRun::OnErrorOutput(std::string_view bytes) {
  const auto self = shared_from_this();
  error_ended_ = bytes.empty();
  error_log_->Add(bytes);
  if (error_ended_) EndIfOver();
}

void ProgramRun::OnEnded(const ProcessEnd& end) {
  const auto self = shared_from_this();
  ended_ = end;
  if (killed_) return End();
  output_ended_ ? FinishReply() : EndIfOver();
}

void ProgramRun::OnTimeout() {
  if (phase_ != Phase::kDone) return Fail(504, "it took longer than it may");
  if (!ended_.has_value()) Log(LogLevel::kInfo, "killed: it went on behind its reply");
  KillAndEnd();
}

void ProgramRun::Fail(int status, std::string_view why) {
  const bool begun = phase_ == Phase::kBody;
  // What it had to say about it stands in front.
  if (process_ != nullptr) process_->error_output()->ReadAvailable();
  Log(LogLevel::kWarning, begun ? absl::StrCat("the reply was cut: ", std::string(why))
                                : absl::StrCat(status, ": ", std::string(why)));
  LetGo([begun, status](http::Exchange& exchange) {
    begun ? exchange.response().Fail() : exchange.Reply(status, http::StatusReason(status));
  });
  KillAndEnd();
}

void ProgramRun::LetGo(absl::FunctionRef<void(http::Exchange&)> code) {
  // Before: when the response is complete, the exchange goes.
  phase_ = Phase::kDone;
  const http::ExchangeHandle exchange = std::exchange(exchange_, {});
  exchange.RunHere(code);
}

void ProgramRun::EndIfOver() {
  if (phase_ == Phase::kDone && ended_.has_value() && output_ended_ && error_ended_) End();
}

void ProgramRun::KillAndEnd() {
  if (process_ == nullptr) return;
  const auto self = shared_from_this();
  process_->Kill(SIGKILL);
  if (ended_.has_value()) return End();
  if (std::exchange(killed_, true)) return;
  // In place of the one that has no time to give any more. Who has been sent SIGKILL ends soon; one
  // that its file has set to another user need not.
  loop_.Cancel(timeout_);
  timeout_ = loop_.RunEvery(state_->options.timeout, [self] {});
}

void ProgramRun::End() {
  if (process_ == nullptr) return;
  const auto self = shared_from_this();
  // Its last words may call this again.
  std::unique_ptr<Process> process = std::move(process_);
  process->error_output()->ReadAvailable();
  error_log_.reset();
  for (const TimerHandle timer : {timeout_, end_patience_, half_closed_}) loop_.Cancel(timer);
  process.reset();
  slot_.reset();
}

std::string ProgramRun::HowItEnded() const {
  if (!ended_.has_value()) return "its output closed";
  const int status = ended_->status;
  return status == ChildWatch::kUnknownStatus ? "unknown status" : WorkerProcess::Describe(status);
}

void ProgramRun::Log(LogLevel level, std::string_view what) const {
  if (!loop_.log()) return;
  loop_.log()(level, absl::StrCat("cgi: ", absl::Utf8SafeCEscape(script_name_), "[", pid_,
                                  "]: ", std::string(what)));
}

void ProgramRun::LogLimited(std::string_view what) const {
  if (state_->MayLog(loop_.now(), Gateway::kMaxClientLines)) Log(LogLevel::kInfo, what);
}

}  // namespace quintet::cgi
