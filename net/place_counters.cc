#include "net/place_counters.h"

#include <sys/mman.h>

#include <algorithm>
#include <new>

namespace quintet {
namespace {

void AddTo(ShardStats& sum, const ShardStats& one) {
  sum.accepted += one.accepted;
  sum.active += one.active;
  sum.bytes_in += one.bytes_in;
  sum.bytes_out += one.bytes_out;
  sum.refused += one.refused;
  sum.proxy_errors += one.proxy_errors;
  sum.accept_pauses += one.accept_pauses;
  sum.empty_accepts += one.empty_accepts;
  sum.stalls += one.stalls;
  sum.longest_turn = std::max(sum.longest_turn, one.longest_turn);
  for (size_t i = 0; i < sum.busy_turns.size(); ++i) sum.busy_turns[i] += one.busy_turns[i];
}

}  // namespace

std::shared_ptr<WorkerCounters[]> PlaceCounters::Add() {
  void* const memory = ::mmap(nullptr, sizeof(WorkerCounters), PROT_READ | PROT_WRITE,
                              MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) return nullptr;
  living_.emplace_back(new (memory) WorkerCounters, [](WorkerCounters* counters) {
    ::munmap(counters, sizeof(WorkerCounters));
  });
  return living_.back();
}

void PlaceCounters::Retire(const WorkerCounters* counters) {
  const auto same = [counters](const auto& each) { return each.get() == counters; };
  const auto ended = std::find_if(living_.begin(), living_.end(), same);
  ShardStats last = ReadStats(*counters);
  last.active = 0;
  AddTo(ended_, last);
  living_.erase(ended);
}

ShardStats PlaceCounters::Sum() const {
  ShardStats sum = ended_;
  for (const auto& counters : living_) AddTo(sum, ReadStats(counters[0]));
  return sum;
}

}  // namespace quintet
