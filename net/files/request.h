// One request of a client, from its frame to its last answer.
#ifndef QUINTET_NET_FILES_REQUEST_H_
#define QUINTET_NET_FILES_REQUEST_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>
#include <utility>

#include "net/files/disk.h"
#include "net/files/frame.h"
#include "net/files/messages.h"
#include "net/files/server_context.h"
#include "net/unique_fd.h"
#include "reactor/clock.h"

namespace quintet::files {

class PutTransfer;

// What a request asks of its session.
class RequestHost {
 public:
  virtual const std::shared_ptr<ServerContext>& context() = 0;
  virtual const std::shared_ptr<Disk>& disk() = 0;
  virtual TimePoint now() const = 0;

  // A frame, at once.
  virtual void Send(FrameType type, uint16_t flags, uint32_t request, std::string_view payload) = 0;
  virtual void SendError(uint32_t request, const ErrorMessage& message) = 0;
  // A DATA frame whose payload is a part of a file, which must be in memory already.
  virtual void SendFile(uint32_t request, std::shared_ptr<const UniqueFd> file, uint64_t offset,
                        uint32_t length) = 0;
  // How long a DATA frame may be at most, so that a limited connection is not filled for long.
  virtual size_t max_data_bytes() const = 0;

 protected:
  ~RequestHost() = default;
};

// Owned by its session and by the disk operations that it has begun, which may outlive the session.
// On the thread of the session.
class Request : public std::enable_shared_from_this<Request> {
 public:
  Request(RequestHost& host, uint32_t id)
      : host_(&host), id_(id), context_(host.context()), disk_(host.disk()) {}
  virtual ~Request() = default;
  Request(const Request&) = delete;
  Request& operator=(const Request&) = delete;

  uint32_t id() const { return id_; }
  // Its last frame was sent, or the session is gone.
  bool over() const { return host_ == nullptr; }

  virtual void Start() = 0;
  // Has a frame that waits for its turn among the requests of the connection, and for room in the
  // output. SendNext() sends it.
  virtual bool ready() const { return false; }
  virtual void SendNext() {}
  // Ends it with an error, perhaps not at once.
  virtual void Fail(const ErrorMessage& why) { EndWithError(why); }
  // The file of a piece that was sent by SendFile() turned out shorter.
  virtual void OnFileShort() {}
  // The session goes. Nothing is sent any more.
  void Abandon() {
    host_ = nullptr;
    OnAbandoned();
  }
  // Null for any other.
  virtual PutTransfer* put() { return nullptr; }

 protected:
  virtual void OnAbandoned() {}

  // Not when it is over.
  RequestHost& host() { return *host_; }
  ServerContext& context() { return *context_; }
  const std::shared_ptr<ServerContext>& shared_context() { return context_; }
  const std::shared_ptr<Disk>& disk() { return disk_; }

  // The last frame.
  void End(FrameType type, std::string_view payload) {
    std::exchange(host_, nullptr)->Send(type, 0, id_, payload);
  }
  void EndWithError(const ErrorMessage& why) {
    if (!over()) std::exchange(host_, nullptr)->SendError(id_, why);
  }

  // Starts an operation; `then`, of the class that calls, gets the result, also when the request is
  // over by then. What the operation points to may be the request's.
  template <typename T>
  void StartDisk(FileRequest request, void (T::*then)(int64_t)) {
    disk_->Start(std::move(request), [self = shared_from_this(), then](int64_t result) {
      (static_cast<T&>(*self).*then)(result);
    });
  }

 private:
  RequestHost* host_;
  const uint32_t id_;
  const std::shared_ptr<ServerContext> context_;
  const std::shared_ptr<Disk> disk_;
};

}  // namespace quintet::files

#endif  // QUINTET_NET_FILES_REQUEST_H_
