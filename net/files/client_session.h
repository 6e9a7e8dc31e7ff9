// The client's side of the files protocol (docs/files-protocol.md), without I/O: a Session like any
// other, only that it is the one who asks. With a Connector it is a client:
//
//   auto loop = EventLoop::Create();
//   ConnectionGroup group(**loop, ConnectionOptions());
//   auto session = std::make_unique<files::ClientSession>(files::ClientOptions());
//   files::ClientSession& client = *session;
//   client.List(
//       "", /*directories=*/false,
//       [](std::vector<files::Entry> entries) {
//         for (const files::Entry& entry : entries) Show(files::SafeText(entry.name));
//       },
//       [&](const std::optional<files::ClientError>& error) {
//         if (error.has_value()) Show(error->ToString());
//         client.Quit();
//       });
//   client.set_on_end([&](const std::optional<files::ClientError>&) { (*loop)->Stop(); });
//   auto connection = Connector(group).Connect(address, std::move(session));
//   if (connection.ok()) (*loop)->Run();
#ifndef QUINTET_NET_FILES_CLIENT_SESSION_H_
#define QUINTET_NET_FILES_CLIENT_SESSION_H_

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "net/files/authentication.h"
#include "net/files/client_error.h"
#include "net/files/client_transfer.h"
#include "net/files/frame.h"
#include "net/files/messages.h"
#include "net/session.h"
#include "reactor/clock.h"

namespace quintet::files {

class ClientRequest;
class GetRequest;
class PutRequest;

struct ClientOptions {
  // Shared with the server, and must outlive the session; null: none. Where there is one, a server
  // that does not ask for it, or does not know it, is refused: it is a stranger.
  const Secret* secret = nullptr;
  // The longest that the server may do nothing while it is waited for, then the connection ends.
  // Zero: for ever.
  Duration timeout = std::chrono::seconds(60);
};

// Requests may be made from the start, also before there is a connection, and without waiting for
// earlier ones: what the server does not take yet waits here. Each is told its end once, with an
// error or without one, unless it was cancelled; where the connection ends, with its error. All is
// called on the connection's thread, from within the session's callbacks, never from within a
// request; it may make and cancel requests, but not destroy the connection's group.
//
// The connection's end is told last (set_on_end()). From then on there is no session.
class ClientSession final : public Session {
 public:
  using RequestId = uint64_t;  // above 0, rising
  using Done = absl::AnyInvocable<void(const std::optional<ClientError>& error)>;
  using Entries = absl::AnyInvocable<void(std::vector<Entry> entries)>;
  // `entry` says something where there is no error.
  using Info =
      absl::AnyInvocable<void(const std::optional<ClientError>& error, const Entry& entry)>;

  explicit ClientSession(ClientOptions options);
  ~ClientSession() override;

  // The server is there and has let us in.
  void set_on_ready(absl::AnyInvocable<void(const WelcomeMessage&)> on_ready) {
    on_ready_ = std::move(on_ready);
  }
  // The connection is gone; without an error after Quit().
  void set_on_end(Done on_end) { on_end_ = std::move(on_end); }

  // What is below the directory `path`, empty for the root, in no order. `entries` is called any
  // number of times. Names are the server's: judge them by CheckPath() before they become paths.
  RequestId List(std::string path, bool directories, Entries entries, Done done);
  RequestId Stat(std::string path, Info done);
  RequestId Delete(std::string path, Done done);
  RequestId Rename(const std::string& from, const std::string& to, Done done);

  // `sink` stays until OnGetDone() or Cancel(). With `verify` each byte is checked on its way,
  // where else the server may send straight from its disk.
  RequestId Get(const GetMessage& what, bool verify, GetSink& sink);
  // A sink that is full. Reading stops for the whole connection, so other answers wait, too.
  void PauseGet(RequestId id);
  void ResumeGet(RequestId id);

  struct PutFlags {
    bool resume = false;  // needs a key
    bool make_directories = false;
  };
  // `source` stays until OnPutDone() or Cancel().
  RequestId Put(const PutMessage& what, PutFlags flags, PutSource& source);
  // The source's answer to OnResume(). Where the server has other bytes the upload starts anew, by
  // OnRoom(0).
  void ContinuePut(RequestId id, uint32_t crc);
  // The next bytes, any number: true while there is room for more. Nothing happens, with false, for
  // a request that is over.
  bool SendPut(RequestId id, std::string_view bytes);
  // All was sent.
  void FinishPut(RequestId id);

  // Nobody is told anything of this request any more. Nothing happens where it is over.
  void Cancel(RequestId id);
  // When all requests have ended, ends the connection. Make none behind it.
  void Quit();

  // on_ready was called, and the server has not closed its side: requests have a chance.
  bool ready() const { return stage_ == Stage::kReady && !end_of_file_; }
  // Requests that have not ended, those that were not yet sent included.
  size_t open_requests() const;

  // Session.
  void OnOpen() override;
  size_t OnData(std::span<const std::byte> data) override;
  void OnEof() override;
  void OnOutputDrained() override;
  void OnDeadline() override;
  void OnClosed(CloseReason reason) override;
  bool idle() const override { return open_requests() == 0; }

 private:
  enum class Stage : uint8_t { kConnecting, kWelcome, kProof, kReady, kEnded };

  // A request with its number on the wire, 0 before it is sent. Without an object: cancelled, and
  // the server has not said yet that it is over.
  struct Open {
    RequestId id = 0;
    uint32_t number = 0;
    FrameType type = FrameType::kError;
    std::unique_ptr<ClientRequest> request;
  };

  RequestId Add(std::unique_ptr<ClientRequest> request);
  void SendQueued();
  void Send(Open& open);
  Open* FindId(RequestId id);
  Open* FindNumber(uint32_t number);
  GetRequest* FindGet(RequestId id);
  PutRequest* FindPut(RequestId id);

  // Each returns false where the stream cannot be read on.
  bool OnConnectionFrame();
  bool OnWelcome();
  bool OnRequestEvent(FrameDecoder::Event event);
  bool OnRequestError(Open& open);
  void BecomeReady();
  void EndRequest(uint32_t number, const std::optional<ClientError>& error);
  // Ends the connection, with this reason for all requests.
  bool Fail(ErrorCode code, std::string text);
  bool any_paused() const;
  void UpdateDeadline();

  const ClientOptions options_;
  absl::AnyInvocable<void(const WelcomeMessage&)> on_ready_;
  Done on_end_;
  FrameDecoder decoder_;
  Stage stage_ = Stage::kConnecting;
  bool quitting_ = false;
  bool quit_ = false;         // and the server has said so
  size_t output_left_ = 0;    // when the deadline was set
  bool end_of_file_ = false;  // of the server
  WelcomeMessage welcome_;
  Nonce nonce_ = {};  // our own
  std::optional<ClientError> failure_;
  RequestId last_id_ = 0;
  uint32_t last_number_ = 0;
  std::vector<Open> open_;  // sent, at most as many as WELCOME allows
  std::deque<Open> queued_;
  // The request that is being called, and its object if it was cancelled meanwhile.
  const ClientRequest* called_ = nullptr;
  std::unique_ptr<ClientRequest> cancelled_;
};

}  // namespace quintet::files

#endif  // QUINTET_NET_FILES_CLIENT_SESSION_H_
