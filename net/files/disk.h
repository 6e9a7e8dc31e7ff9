// Where the file operations of one session run.
#ifndef QUINTET_NET_FILES_DISK_H_
#define QUINTET_NET_FILES_DISK_H_

#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "reactor/event_loop.h"
#include "reactor/file_request.h"

namespace quintet::files {

// On a loop through EventLoop::StartFile(), so that nothing blocks it; elsewhere, as under the
// blocking models, in place. A session cannot tell: no completion ever comes within Start(), but
// from RunFinished(), which its owner calls before it returns from a callback. So a chain of
// operations, each started by the completion of the one before, is a loop and no recursion.
//
// Used on one thread. Held by all that wait for it, and so may outlive its owner: from Detach() on
// completions run by themselves.
class Disk : public std::enable_shared_from_this<Disk> {
 public:
  using Done = FileDone;

  // Null: in place. Whoever completes on the loop calls `wake`, whose owner then runs what has
  // finished.
  static std::shared_ptr<Disk> Create(EventLoop* loop, absl::AnyInvocable<void()> wake);
  virtual ~Disk() = default;

  // Operations end within the call of Start(), and hold up nobody else.
  virtual bool in_place() const { return false; }

  // `done` is destroyed without a call where the loop goes first. It owns what the request points
  // to.
  void Start(FileRequest request, Done done);
  // Runs the completions that there are, and those that follow at once.
  void RunFinished();
  // The owner goes. Runs what has finished.
  void Detach();

 protected:
  explicit Disk(absl::AnyInvocable<void()> wake) : wake_(std::move(wake)) {}

  // An implementation's part: Finish() is called once for each, within the call or later.
  virtual void DoStart(FileRequest request, Done done) = 0;
  void Finish(Done done, int64_t result);

 private:
  struct Finished {
    Done done;
    int64_t result;
  };

  absl::AnyInvocable<void()> wake_;
  std::vector<Finished> finished_;
  int starting_ = 0;  // calls of Start() in progress
  bool running_ = false;
  bool detached_ = false;
};

}  // namespace quintet::files

#endif  // QUINTET_NET_FILES_DISK_H_
