// A session behind a PROXY header.
#ifndef QUINTET_NET_PROXY_SESSION_H_
#define QUINTET_NET_PROXY_SESSION_H_

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "net/proxy_protocol.h"
#include "net/session.h"
#include "reactor/clock.h"

namespace quintet {

struct ProxyOptions {
  // From the opening of the connection to the end of the header. A segment that was lost comes
  // again after three seconds, so that less would close connections for nothing (the PROXY protocol
  // document, section 2). Zero: none.
  Duration header_timeout = std::chrono::seconds(5);
  // Told of each connection that is closed for its header: what was wrong, and the transport to ask
  // for the other end's address. On the connection's thread, inside a callback of its session. May
  // be empty.
  std::function<void(std::string_view why, const Transport& transport)> on_refused;
};

// Reads the header that a proxy sends first, then stands aside: from there on each callback goes to
// the session behind it, which is opened now, on the same transport, with the peer's address that
// the header named. Writes nothing by itself.
//
// A header that is wrong, cut off or late aborts the connection (kProxyHeader): the session behind
// it is destroyed without a call. A connection that ends before its first byte is closed without a
// word: balancers look in that way whether somebody listens. A drain before the header is told to
// the session once it is open: the request that the connection was made for is on its way.
class ProxySession final : public Session {
 public:
  // `options` must outlive the session.
  ProxySession(std::unique_ptr<Session> inner, const ProxyOptions& options);

  void OnOpen() override;
  size_t OnData(std::span<const std::byte> data) override;
  void OnEof() override;
  void OnOutputDrained() override;
  void OnFileShort(uint64_t missing) override;
  void OnDeadline() override;
  void OnDrain() override;
  bool idle() const override;
  void OnClosed(CloseReason reason) override;

 private:
  size_t OnHeaderBytes(std::span<const std::byte> data);
  void OpenInner(const ProxyHeader& header);
  void Refuse(std::string_view why);

  const std::unique_ptr<Session> inner_;
  const ProxyOptions& options_;
  std::string partial_;  // of a header that does not come at once
  bool open_ = false;    // the inner session is
  bool drained_ = false;
};

}  // namespace quintet

#endif  // QUINTET_NET_PROXY_SESSION_H_
