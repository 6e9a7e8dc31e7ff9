// The client's end of the files protocol in tests: frames out, answers in.
#ifndef QUINTET_TESTS_NET_FILES_FILES_CLIENT_H_
#define QUINTET_TESTS_NET_FILES_FILES_CLIENT_H_

#include <cstdint>
#include <initializer_list>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "net/files/frame.h"
#include "net/files/messages.h"
#include "net/files/server_context.h"
#include "tests/support/descriptors.h"
#include "tests/support/memory_transport.h"

namespace quintet::testing {

// What a request was answered.
struct FilesAnswer {
  std::optional<files::ErrorCode> error;
  std::string text;  // of the error
  std::optional<files::Entry> info;
  std::optional<files::ReadyMessage> ready;
  std::vector<files::Entry> entries;
  std::string data;
  std::string end_payload;
  int data_frames = 0;
  int checked_frames = 0;  // of those, with a CRC
  bool ended = false;      // END

  bool over() const { return ended || error.has_value(); }
};

// Gathers answers from the server's bytes. Frames that are wrong, or of an unknown kind, fail the
// test.
class AnswerReader {
 public:
  void Feed(std::string_view bytes);
  // What has come for a request so far.
  const FilesAnswer& Of(uint32_t id) { return answers_[id]; }
  const std::optional<files::WelcomeMessage>& welcome() const { return welcome_; }
  // The requests whose frames came, one number for each DATA frame.
  const std::vector<uint32_t>& data_order() const { return data_order_; }
  bool in_frame() const { return decoder_.in_frame(); }

 private:
  void OnFrame();

  files::FrameDecoder decoder_;
  std::optional<files::WelcomeMessage> welcome_;
  std::vector<uint32_t> data_order_;
  std::map<uint32_t, FilesAnswer> answers_;
};

// Makes the frames of requests, one number after the other.
class RequestWriter {
 public:
  uint32_t last_id() const { return last_id_; }
  std::string List(std::string_view path, uint16_t flags = 0);
  std::string Stat(std::string_view path);
  std::string Get(std::string_view path, uint64_t offset = 0, uint64_t length = files::kUnknown,
                  uint64_t tag = 0, uint16_t flags = 0);
  std::string Put(std::string_view path, uint64_t size = files::kUnknown, uint64_t key = 0,
                  uint16_t flags = 0);
  std::string Delete(std::string_view path);
  std::string Rename(std::string_view from, std::string_view to);
  std::string Quit();
  std::string Request(files::FrameType type, uint16_t flags, std::string_view payload);

  // Of the last request, where none is named.
  std::string Data(std::string_view bytes, uint32_t id = 0) const;
  // For a file whose content is `whole`.
  std::string Finish(std::string_view whole, uint32_t id = 0) const;
  std::string Cancel(uint32_t id = 0) const;

 private:
  uint32_t last_id_ = 0;
};

// In the order in which they are written, other than with `+`, whose sides are evaluated in any.
std::string Join(std::initializer_list<std::string> frames);

// A session without sockets and its client.
class MemoryClient : public RequestWriter {
 public:
  explicit MemoryClient(std::shared_ptr<files::ServerContext> context,
                        MemoryTransport::Marks marks = {});

  // Sends, and reads what the server has to say at once.
  void Send(std::string_view frames);
  // Sends a request, and returns what was answered to it so far.
  const FilesAnswer& Ask(const std::string& frame);
  // All of a put.
  const FilesAnswer& AskPut(std::string_view path, std::string_view content, uint64_t key = 0,
                            uint16_t flags = 0);
  const FilesAnswer& Last() { return Of(last_id()); }
  const FilesAnswer& Of(uint32_t id);
  AnswerReader& answers();
  MemoryTransport& transport() { return transport_; }

 private:
  MemoryTransport transport_;
  AnswerReader reader_;
};

// A client that blocks on a socket, which stays the caller's.
class SocketClient : public RequestWriter {
 public:
  explicit SocketClient(const Fd& fd) : fd_(fd) {}

  // False where the connection failed.
  [[nodiscard]] bool Send(std::string_view frames) const;
  // Reads until the request has been answered: by END or ERROR, INFO of STAT and PUT.
  const FilesAnswer& Await(uint32_t id, bool by_info = false);
  const FilesAnswer& AwaitReady(uint32_t id);
  const FilesAnswer& Ask(const std::string& frame, bool by_info = false);
  const FilesAnswer& AskPut(std::string_view path, std::string_view content);
  AnswerReader& answers() { return reader_; }

 private:
  // False at the end.
  bool ReadSome();

  const Fd& fd_;
  AnswerReader reader_;
};

}  // namespace quintet::testing

#endif  // QUINTET_TESTS_NET_FILES_FILES_CLIENT_H_
