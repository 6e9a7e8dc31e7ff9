#include "tests/reactor/interleaving_explorer.h"

#include <algorithm>

namespace quintet::interleaving {

int InterleavingExplorer::NewVariable(uint64_t value) {
  initial_.push_back(value);
  return static_cast<int>(initial_.size()) - 1;
}

InterleavingExplorer::Result InterleavingExplorer::Run() {
  State state{initial_, std::vector<ThreadState>(threads_.size())};
  // Up to the first access of each.
  for (size_t i = 0; i < threads_.size(); ++i) {
    stepped_ = true;
    state_ = &state;
    thread_ = static_cast<int>(i);
    replayed_ = 0;
    try {
      threads_[i]();
      state.threads[i].done = true;
    } catch (const Left&) {
    }
  }
  visited_.insert(Key(state));
  Explore(state);
  result_.states = visited_.size();
  return result_;
}

void InterleavingExplorer::Explore(const State& state) {
  bool all_done = true;
  bool stuck = true;
  for (size_t i = 0; i < state.threads.size() && result_.failure.empty(); ++i) {
    const ThreadState& thread = state.threads[i];
    for (size_t k = 0; k < thread.buffer.size(); ++k) {
      if (!CanOvertake(thread.buffer, k)) continue;
      stuck = false;
      State next = state;
      Flush(next, static_cast<int>(i), k);
      Visit(std::move(next), std::to_string(i) + "f" + std::to_string(thread.buffer[k].variable));
    }
    if (thread.done) continue;
    all_done = false;
    if (thread.awaited >= 0 && state.memory[thread.awaited] == 0) continue;
    stuck = false;
    Visit(Step(state, static_cast<int>(i)), std::to_string(i));
  }
  if (stuck && !all_done) {
    result_.failure = "asleep for ever";
    for (const std::string& step : path_) result_.failure += " " + step;
  }
}

void InterleavingExplorer::Visit(State next, const std::string& step) {
  if (!result_.failure.empty()) return;
  path_.push_back(step);
  if (!failure_.empty()) {
    result_.failure = failure_;
    for (const std::string& taken : path_) result_.failure += " " + taken;
  } else if (visited_.insert(Key(next)).second) {
    Explore(next);
  }
  path_.pop_back();
}

InterleavingExplorer::State InterleavingExplorer::Step(const State& from, int thread) {
  State next = from;
  state_ = &next;
  thread_ = thread;
  replayed_ = 0;
  stepped_ = false;
  next.threads[thread].awaited = -1;
  try {
    threads_[thread]();
    next.threads[thread].done = true;
  } catch (const Left&) {
  }
  return next;
}

// True when the access was made before and `*seen` is what it saw; false when it is to be made now.
bool InterleavingExplorer::BeginAccess(uint64_t* seen, int awaited) {
  ThreadState& thread = state_->threads[thread_];
  if (replayed_ < thread.seen.size()) {
    *seen = thread.seen[replayed_++];
    return true;
  }
  if (stepped_) {
    thread.awaited = awaited;
    throw Left();
  }
  stepped_ = true;
  return false;
}

void InterleavingExplorer::EndAccess(uint64_t seen) {
  state_->threads[thread_].seen.push_back(seen);
  ++replayed_;
}

uint64_t InterleavingExplorer::Load(int variable) {
  uint64_t seen;
  if (BeginAccess(&seen)) return seen;
  seen = Newest(variable);
  EndAccess(seen);
  return seen;
}

void InterleavingExplorer::Store(int variable, uint64_t value, bool release) {
  uint64_t seen;
  if (BeginAccess(&seen)) return;
  if (release && !weakening_.no_release) FlushAll();
  if (model_ == MemoryModel::kSequential) {
    state_->memory[variable] = value;
  } else {
    state_->threads[thread_].buffer.push_back({variable, value});
  }
  EndAccess(0);
}

uint64_t InterleavingExplorer::Exchange(int variable, uint64_t expected, bool any, uint64_t desired,
                                        bool release) {
  const std::vector<int>& split = weakening_.split_threads;
  if (std::find(split.begin(), split.end(), thread_) != split.end()) {
    const uint64_t before = Load(variable);
    if (any || before == expected) Store(variable, desired, release);
    return before;
  }
  uint64_t seen;
  if (BeginAccess(&seen)) return seen;
  if (model_ == MemoryModel::kTotalStore || (release && !weakening_.no_release)) {
    FlushAll();
  } else {
    FlushVariable(variable);
  }
  seen = state_->memory[variable];
  if (any || seen == expected) state_->memory[variable] = desired;
  EndAccess(seen);
  return seen;
}

void InterleavingExplorer::Add(int variable, uint64_t amount) {
  uint64_t seen;
  if (BeginAccess(&seen)) return;
  state_->memory[variable] += amount;
  EndAccess(0);
}

void InterleavingExplorer::AwaitAndReset(int variable) {
  uint64_t seen;
  if (BeginAccess(&seen, variable)) return;
  state_->memory[variable] = 0;
  EndAccess(0);
}

void InterleavingExplorer::Checkpoint(const std::vector<uint64_t>& locals) {
  ThreadState& thread = state_->threads[thread_];
  thread.locals = locals;
  thread.seen_before_locals = replayed_;
}

bool InterleavingExplorer::CanOvertake(const std::vector<Buffered>& buffer, size_t index) const {
  if (model_ == MemoryModel::kTotalStore) return index == 0;
  return std::none_of(buffer.begin(), buffer.begin() + static_cast<ptrdiff_t>(index),
                      [&](const Buffered& b) { return b.variable == buffer[index].variable; });
}

void InterleavingExplorer::Flush(State& state, int thread, size_t index) const {
  std::vector<Buffered>& buffer = state.threads[thread].buffer;
  state.memory[buffer[index].variable] = buffer[index].value;
  buffer.erase(buffer.begin() + static_cast<ptrdiff_t>(index));
}

void InterleavingExplorer::FlushVariable(int variable) {
  const std::vector<Buffered>& buffer = state_->threads[thread_].buffer;
  for (size_t i = 0; i < buffer.size();) {
    if (buffer[i].variable == variable) {
      Flush(*state_, thread_, i);
    } else {
      ++i;
    }
  }
}

void InterleavingExplorer::FlushAll() {
  while (!state_->threads[thread_].buffer.empty()) Flush(*state_, thread_, 0);
}

uint64_t InterleavingExplorer::Newest(int variable) const {
  const std::vector<Buffered>& buffer = state_->threads[thread_].buffer;
  const auto own = std::find_if(buffer.rbegin(), buffer.rend(),
                                [&](const Buffered& b) { return b.variable == variable; });
  return own != buffer.rend() ? own->value : state_->memory[variable];
}

std::string InterleavingExplorer::Key(const State& state) {
  std::string key;
  const auto append = [&key](uint64_t value) {
    key.append(reinterpret_cast<const char*>(&value), sizeof(value));
  };
  for (const uint64_t value : state.memory) append(value);
  for (const ThreadState& thread : state.threads) {
    append(thread.done);
    if (!thread.done) {
      append(thread.locals.size());
      for (const uint64_t value : thread.locals) append(value);
      append(thread.seen.size() - thread.seen_before_locals);
      for (size_t i = thread.seen_before_locals; i < thread.seen.size(); ++i)
        append(thread.seen[i]);
    }
    append(thread.buffer.size());
    for (const Buffered& buffered : thread.buffer) {
      append(static_cast<uint64_t>(buffered.variable));
      append(buffered.value);
    }
  }
  return key;
}

}  // namespace quintet::interleaving
