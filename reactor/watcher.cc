#include "reactor/watcher.h"

#include <utility>

#include "reactor/event_loop.h"

namespace quintet {

Watcher::Watcher(EventLoop& loop, int fd, Callback callback)
    : Source(fd), loop_(loop), callback_(std::move(callback)) {}

absl::Status Watcher::Modify(Readiness interest, Trigger trigger) {
  return loop_.backend().Watch(*this, interest, trigger);
}

void Watcher::OnCompletion(const Completion& completion) {
  if (completion.op == Op::kReady) {
    callback_(static_cast<Readiness>(completion.result));
  } else if (destroyed_) {
    loop_.Defer([this] { delete this; });
  }
}

void Watcher::Destroy() {
  // Not attached: the loop has gone away first, or never took the descriptor.
  if (!attached()) {
    delete this;
    return;
  }
  destroyed_ = true;
  loop_.backend().Close(*this, CloseMode::kKeep);
}

}  // namespace quintet
