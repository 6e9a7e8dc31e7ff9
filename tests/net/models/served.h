// A server of any model and backend while a test talks to it, and what its sessions note.
#ifndef QUINTET_TESTS_NET_MODELS_SERVED_H_
#define QUINTET_TESTS_NET_MODELS_SERVED_H_

#include <gtest/gtest.h>
#include <sys/types.h>

#include <array>
#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "net/models/model_server.h"
#include "net/server.h"
#include "net/session.h"
#include "reactor/backend_kind.h"
#include "tests/promises/promise_fixture.h"
#include "tests/support/descriptors.h"
#include "tests/support/in_child.h"

namespace quintet::testing {

// Who serves: a model, and what it is served by.
struct ServedKind {
  ServerModel model;
  BackendKind backend = BackendKind::kAuto;         // of kReactor
  PreforkAccept accept = PreforkAccept::kBlocking;  // of kPrefork
};
std::vector<ServedKind> AllServedKinds();
std::string ServedKindName(const ::testing::TestParamInfo<ServedKind>& info);
inline bool HasChildren(ServerModel model) {
  return model == ServerModel::kFork || model == ServerModel::kPrefork;
}

// Polls until `holds`; false when it never did within the patience of a test.
[[nodiscard]] bool Eventually(const std::function<bool()>& holds);

// What sessions note, also those in other processes.
struct Notes {
  std::array<std::atomic<uint64_t>, 32> closed = {};  // by CloseReason
  std::array<std::atomic<uint64_t>, 4> marks = {};    // as a test likes

  uint64_t Closed(CloseReason reason) const { return closed[static_cast<size_t>(reason)]; }
  uint64_t ClosedInAll() const;
};

// One byte in, that byte plus one out, and the end: the service of the classic texts.
ScriptedSession::Script IncrementScript();
// Whether a byte comes back to `client`, which may have no connection.
bool Echoes(const Fd& client);

// In memory that this process shares with those that it forks.
std::shared_ptr<Notes> MakeNotes();

// On a free port of 127.0.0.1. Models with children run in a process of their own, so that those do
// not inherit the test's ends of the connections; the others run on a thread.
class Served {
 public:
  Served(const ServedKind& kind, SessionFactory& sessions, ServerOptions options = {},
         ModelOptions model = {});
  // Stops, if that has not been done, and waits for the end.
  ~Served();
  Served(const Served&) = delete;
  Served& operator=(const Served&) = delete;

  const Address& address() const;
  Fd Connect() const;  // no descriptor where that failed
  void Stop();
  // Waits until Run() has returned; whether it was OK.
  [[nodiscard]] bool Join();

  // Of a Server as far as it has such counters.
  ModelStats Stats() const;
  // Whose children the children are.
  pid_t pid() const;

  // `count` clients of IncrementScript(), a few at a time, all of whom must be served.
  void Increment(int count) const;

 private:
  const ServedKind kind_;
  std::unique_ptr<Server> server_;
  std::unique_ptr<ModelServer> model_;
  std::unique_ptr<ForkedProcess> process_;
  std::thread thread_;
  std::atomic<bool> ok_ = false;
  bool joined_ = false;
};

}  // namespace quintet::testing

#endif  // QUINTET_TESTS_NET_MODELS_SERVED_H_
