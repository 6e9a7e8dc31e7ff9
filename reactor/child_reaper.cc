#include "reactor/child_reaper.h"

#include <errno.h>
#include <signal.h>
#include <sys/wait.h>

#include <algorithm>
#include <utility>

#include "absl/cleanup/cleanup.h"
#include "reactor/event_loop.h"

namespace quintet {
namespace {

void Reap(pid_t pid, int flags) {
  while (::waitpid(pid, nullptr, flags) < 0 && errno == EINTR) {
  }
}

}  // namespace

ChildReaper::~ChildReaper() {
  for (ChildWatch* const watch : watches_) {
    if (watch != nullptr) watch->reaper_ = nullptr;
  }
  for (const ChildWatchPtr& watch : adopted_) {
    // A program that was set to another user by its file may not be killed: not waited for.
    const bool killed = ::kill(watch->pid(), SIGKILL) == 0;
    Reap(watch->pid(), killed ? 0 : WNOHANG);
  }
}

void ChildReaper::Add(ChildWatch& watch) {
  watches_.push_back(&watch);
  if (!signal_watched_) {
    signal_watched_ = loop_.WatchSignal(SIGCHLD, [this](int) { LookAtAll(); }).ok();
  }
  if (!timer_armed_) {
    timer_armed_ = true;
    timer_ = loop_.RunEvery(kPeriod, [this] { LookAtAll(); });
  }
  if (look_due_) return;
  look_due_ = true;
  loop_.RunAfter(Duration::zero(), [this] {
    look_due_ = false;
    LookAtAll();
  });
}

void ChildReaper::Remove(ChildWatch& watch) {
  const auto found = std::find(watches_.begin(), watches_.end(), &watch);
  if (found == watches_.end()) return;
  if (looking_) {
    *found = nullptr;
    return;
  }
  watches_.erase(found);
  StopWhenEmpty();
}

void ChildReaper::StopWhenEmpty() {
  if (!watches_.empty() || !timer_armed_) return;
  timer_armed_ = false;
  loop_.Cancel(timer_);
}

void ChildReaper::LookAtAll() {
  looking_ = true;
  // Also when a callback throws; the others are looked at next time.
  const absl::Cleanup done = [this] {
    looking_ = false;
    watches_.erase(std::remove(watches_.begin(), watches_.end(), nullptr), watches_.end());
    StopWhenEmpty();
  };
  // By index: callbacks add and remove. What they add has its turn later.
  const size_t count = watches_.size();
  for (size_t i = 0; i < count; ++i) {
    if (watches_[i] != nullptr) watches_[i]->Look();
  }
}

void ChildReaper::Adopt(ChildWatchPtr watch) {
  const pid_t pid = watch->pid();
  if (watch->ended()) {
    if (watch->reaping_ == ChildWatch::Reaping::kByOwner) Reap(pid, WNOHANG);
    return;
  }
  ::kill(pid, SIGKILL);
  watch->reaping_ = ChildWatch::Reaping::kAtEnd;
  watch->callback_ = [this, raw = watch.get()](int) {
    adopted_.erase(std::find_if(adopted_.begin(), adopted_.end(),
                                [raw](const ChildWatchPtr& each) { return each.get() == raw; }));
  };
  adopted_.push_back(std::move(watch));
}

}  // namespace quintet
