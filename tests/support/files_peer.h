// A client of the files protocol (docs/files-protocol.md) that does what a test says, also what no
// good client does.
#ifndef QUINTET_TESTS_SUPPORT_FILES_PEER_H_
#define QUINTET_TESTS_SUPPORT_FILES_PEER_H_

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "net/address.h"
#include "net/files/frame.h"
#include "net/files/messages.h"
#include "tests/support/descriptors.h"

namespace quintet::testing {

// Blocking, with a timeout; of the library it uses frames and messages alone. One thread.
class FilesPeer {
 public:
  static constexpr std::chrono::seconds kTimeout{120};

  struct Frame {
    files::FrameType type;
    uint16_t flags = 0;
    uint32_t request = 0;
    std::string payload = {};
  };
  // What came for one request, up to its end.
  struct Answer {
    bool ended = false;  // false: the connection broke, or nothing came in time
    std::optional<files::ErrorCode> error = {};
    std::string text = {};  // of the error
    std::optional<files::Entry> info = {};
    std::vector<files::Entry> entries = {};
    std::string data = {};
    std::optional<files::ReadyMessage> ready = {};

    bool ok() const { return ended && !error.has_value(); }
  };

  // Connects and reads WELCOME; the test has failed where that does not come.
  explicit FilesPeer(const Address& address);

  int fd() const { return fd_.get(); }
  const files::WelcomeMessage& welcome() const { return welcome_; }

  // Sends a request; returns its number.
  uint32_t Send(files::FrameType type, uint16_t flags, std::string_view payload);
  // A further frame of a request.
  void SendMore(uint32_t request, files::FrameType type, std::string_view payload);
  // The next frame of any request; nothing where the connection broke.
  std::optional<Frame> Receive();

  // Until the request ends; it is the only one that is open. For a PUT also READY ends the wait.
  Answer Finish(uint32_t request);
  // Send() and Finish().
  Answer Ask(files::FrameType type, uint16_t flags, std::string_view payload);
  Answer Get(const std::string& path);
  Answer Put(const std::string& path, std::string_view content);
  Answer List(const std::string& directory);
  Answer Rename(const std::string& from, const std::string& to);

 private:
  Fd fd_;
  files::FrameDecoder decoder_;
  std::string buffer_;
  std::span<const std::byte> input_;  // of buffer_, what is not yet decoded
  uint32_t last_request_ = 0;
  std::set<uint32_t> gets_;
  files::WelcomeMessage welcome_;
};

}  // namespace quintet::testing

#endif  // QUINTET_TESTS_SUPPORT_FILES_PEER_H_
