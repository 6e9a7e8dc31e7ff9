// Where the bytes of a client's transfers go, and come from.
#ifndef QUINTET_NET_FILES_CLIENT_TRANSFER_H_
#define QUINTET_NET_FILES_CLIENT_TRANSFER_H_

#include <cstdint>
#include <optional>
#include <string_view>

#include "net/files/client_error.h"
#include "net/files/messages.h"

namespace quintet::files {

// Takes what ClientSession::Get() brings. On the connection's thread; each call may use the
// session, also to cancel this request, behind which nothing is called any more.
class GetSink {
 public:
  // The file, before its bytes. Its size is that of all of it.
  virtual void OnInfo(const Entry& entry) = 0;
  // The next bytes, valid during the call. A sink that is full calls ClientSession::PauseGet().
  virtual void OnPiece(std::string_view bytes) = 0;
  // All pieces so far are what the server sent. What has come since the last call may be wrong
  // where the request ends with an error: it is to be thrown away. Those are at most
  // kMaxDataPayload bytes.
  virtual void OnIntact() {}
  // The last call. Nothing: all bytes that were asked for have come.
  virtual void OnGetDone(const std::optional<ClientError>& error) = 0;

 protected:
  ~GetSink() = default;
};

// Gives what ClientSession::Put() sends. On the connection's thread; each call may use the session.
class PutSource {
 public:
  // The server has `offset` bytes of an upload with this key, more than none. The source answers,
  // now or later, with ClientSession::ContinuePut() and the CRC of as many bytes of its own.
  virtual void OnResume(uint64_t offset) = 0;
  // There is room for bytes from `offset` on: now or later they go to ClientSession::SendPut(), and
  // more of them, until it returns false. This is called again when there is room once more.
  virtual void OnRoom(uint64_t offset) = 0;
  // The last call. Without an error: `entry` is the file that the server has now.
  virtual void OnPutDone(const std::optional<ClientError>& error, const Entry& entry) = 0;

 protected:
  ~PutSource() = default;
};

}  // namespace quintet::files

#endif  // QUINTET_NET_FILES_CLIENT_TRANSFER_H_
