// A session that does what a test says and writes down what it is told.
#ifndef QUINTET_TESTS_NET_SCRIPTED_SESSION_H_
#define QUINTET_TESTS_NET_SCRIPTED_SESSION_H_

#include <algorithm>
#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "net/session.h"

namespace quintet::testing {

// Outlives its session: what the session does, and what became of it.
struct Script {
  std::function<void(Transport&)> on_open;
  std::function<size_t(Transport&, std::string_view)> on_data;  // consumes all where empty
  std::function<void(Transport&)> on_eof;                       // closes where empty
  std::function<void(Transport&)> on_drained;
  std::function<void(Transport&, uint64_t missing)> on_file_short;  // the default where empty
  std::function<void(Transport&)> on_deadline;                      // the default where empty
  std::function<void(Transport&)> on_drain;                         // closes where empty
  std::function<void(Transport&, CloseReason)> on_closed;
  bool idle = false;

  std::vector<std::string>
      calls;             // "open", "data", "eof", "drained", "short", "deadline", "drain", "closed"
  std::string received;  // what on_data consumed
  CloseReason reason = CloseReason::kNone;
  bool destroyed = false;

  size_t Count(std::string_view call) const {
    return static_cast<size_t>(std::count(calls.begin(), calls.end(), call));
  }
  bool closed() const { return Count("closed") > 0; }
};

class ScriptedSession final : public Session {
 public:
  explicit ScriptedSession(Script& script) : script_(script) {}
  ~ScriptedSession() override { script_.destroyed = true; }

  void OnOpen() override { Note("open", script_.on_open); }
  size_t OnData(std::span<const std::byte> data) override {
    script_.calls.emplace_back("data");
    const std::string_view bytes(reinterpret_cast<const char*>(data.data()), data.size());
    const size_t consumed = script_.on_data ? script_.on_data(transport(), bytes) : bytes.size();
    script_.received += bytes.substr(0, consumed);
    return consumed;
  }
  void OnEof() override {
    if (!Note("eof", script_.on_eof)) Session::OnEof();
  }
  void OnOutputDrained() override { Note("drained", script_.on_drained); }
  void OnFileShort(uint64_t missing) override {
    script_.calls.emplace_back("short");
    if (!script_.on_file_short) return Session::OnFileShort(missing);
    script_.on_file_short(transport(), missing);
  }
  void OnDeadline() override {
    if (!Note("deadline", script_.on_deadline)) Session::OnDeadline();
  }
  void OnDrain() override {
    if (!Note("drain", script_.on_drain)) Session::OnDrain();
  }
  bool idle() const override { return script_.idle; }
  void OnClosed(CloseReason reason) override {
    script_.reason = reason;
    script_.calls.emplace_back("closed");
    if (script_.on_closed) script_.on_closed(transport(), reason);
  }

 private:
  bool Note(const char* call, const std::function<void(Transport&)>& then) {
    script_.calls.emplace_back(call);
    if (then) then(transport());
    return static_cast<bool>(then);
  }

  Script& script_;
};

inline std::unique_ptr<Session> NewSession(Script& script) {
  return std::make_unique<ScriptedSession>(script);
}

}  // namespace quintet::testing

#endif  // QUINTET_TESTS_NET_SCRIPTED_SESSION_H_
