#include "reactor/sim/sim_backend.h"

#include <errno.h>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"
#include "reactor/asan.h"
#include "reactor/sim/sim_check.h"

namespace quintet {
namespace {

// What one turn of the loop costs, so that a loop which only polls does not stop time.
constexpr Duration kTurnCost = std::chrono::microseconds(1);

}  // namespace

SimBackend::SimBackend(SimNetwork& network) : network_(network), scratch_(kRecvBytes) {
  AsanPoison(scratch_.data(), scratch_.size());
}

SimBackend::~SimBackend() {
  EndFiles();
  SimCheck(slots_.empty(), "a backend was destroyed with sources attached");
  AsanUnpoison(scratch_.data(), scratch_.size());
}

absl::Status SimBackend::BindToThread() {
  owner_ = std::this_thread::get_id();
  return absl::OkStatus();
}

void SimBackend::CheckThread() const {
  SimCheck(owner_ == std::thread::id() || owner_ == std::this_thread::get_id(),
           "called on another thread than the loop's");
}

// Whoever kept the span of the last receive finds nonsense there, or AddressSanitizer.
void SimBackend::Poison() {
  if (given_ == 0) return;
  std::memset(scratch_.data(), 0xdb, std::exchange(given_, 0));
  AsanPoison(scratch_.data(), scratch_.size());
}

void SimBackend::FailNext(Op op, int error, int count) {
  failures_[static_cast<size_t>(op)] = {error, count};
}

void SimBackend::set_hold_sends(bool hold) {
  hold_sends_ = hold;
  for (auto& [fd, slot] : slots_) TrySend(fd, slot);
}

int SimBackend::TakeFailure(Op op) {
  Failure& failure = failures_[static_cast<size_t>(op)];
  if (failure.count == 0) return 0;
  --failure.count;
  return failure.error;
}

SimBackend::Slot& SimBackend::Find(const Source& source) {
  CheckThread();
  const auto it = slots_.find(source.fd());
  SimCheck(it != slots_.end() && it->second.source == &source, "the source is not attached");
  return it->second;
}

// Null when what `serial` names is gone.
SimBackend::Slot* SimBackend::Current(int fd, uint32_t serial) {
  const auto it = slots_.find(fd);
  return it != slots_.end() && it->second.serial == serial ? &it->second : nullptr;
}

absl::Status SimBackend::Add(Source& source) {
  CheckThread();
  const int fd = source.fd();
  if (!network_.IsOpen(fd)) {
    return absl::InvalidArgumentError(absl::StrCat("sim: ", fd, " is not an open descriptor"));
  }
  if (slots_.contains(fd)) {
    return absl::AlreadyExistsError(
        absl::StrCat("sim: descriptor ", fd, " is in use by another source"));
  }
  Slot& slot = slots_[fd];
  slot.source = &source;
  slot.serial = next_serial_++;
  source.set_id({static_cast<uint32_t>(fd), slot.serial});
  network_.set_listener(fd, this);
  return absl::OkStatus();
}

// ---- What the user asks for ----

void SimBackend::StartAccept(Source& source) {
  Slot& slot = Find(source);
  SimCheck(!slot.closing, "StartAccept after Close");
  SimCheck(!slot.accept_finishing, "StartAccept after FinishAccept");
  SimCheck(network_.IsListening(source.fd()), "StartAccept on a socket that does not listen");
  slot.accepting = true;
  Consider(source.fd(), slot);
}

void SimBackend::StopAccept(Source& source) {
  Slot& slot = Find(source);
  if (slot.closing) return;
  if (slot.accepting && network_.random().Chance(network_.options().faults.recv_after_stop)) {
    const int fd = network_.Accept(source.fd());
    if (fd >= 0) slot.moved_accepts.push_back(fd);
  }
  slot.accepting = false;
  Consider(source.fd(), slot);
}

void SimBackend::FinishAccept(Source& source, Backlog backlog) {
  StopAccept(source);
  Slot& slot = Find(source);
  if (slot.closing) return;
  for (int left = kMaxTakenAtEnd; backlog == Backlog::kTake && left > 0; --left) {
    const int fd = network_.Accept(source.fd());
    if (fd < 0) break;
    slot.moved_accepts.push_back(fd);
  }
  slot.accept_finishing = true;
  Consider(source.fd(), slot);
}

void SimBackend::StartRecv(Source& source) {
  Slot& slot = Find(source);
  SimCheck(!slot.closing, "StartRecv after Close");
  SimCheck(!slot.receiving, "StartRecv while receiving");
  SimCheck(!slot.recv_ended, "StartRecv after the end of file or an error");
  slot.receiving = true;
  Consider(source.fd(), slot);
}

void SimBackend::StopRecv(Source& source) {
  Slot& slot = Find(source);
  if (slot.closing) return;
  // A kernel that was told to stop may have moved something already, also the end.
  while (slot.receiving && !slot.moved_end && network_.Readable(source.fd()) &&
         network_.random().Chance(network_.options().faults.recv_after_stop)) {
    char buffer[256];
    const int result =
        network_.Recv(source.fd(), buffer, network_.random().Between(1, sizeof(buffer)));
    if (result > 0) {
      slot.moved.append(buffer, static_cast<size_t>(result));
    } else {
      slot.moved_end = true;
      slot.moved_end_result = result;
    }
  }
  slot.receiving = false;
  Consider(source.fd(), slot);
}

void SimBackend::StartSend(Source& source, std::span<const iovec> buffers) {
  BeginSend(source, buffers, /*lazy=*/false);
}

void SimBackend::BeginSend(Source& source, std::span<const iovec> buffers, bool lazy) {
  Slot& slot = Find(source);
  SimCheck(!slot.closing, "StartSend after Close");
  SimCheck(slot.send == Phase::kNone, "two sends in flight");
  SimCheck(!slot.send_shut_down, "StartSend after ShutdownSend");
  SimCheck(!buffers.empty() && buffers.size() <= kMaxSendBuffers,
           "StartSend with too many buffers");
  slot.range = nullptr;
  slot.buffers = buffers.data();
  slot.buffers_seen.assign(buffers.begin(), buffers.end());
  const std::string bytes = Gather(slot.buffers_seen);
  SimCheck(!bytes.empty(), "StartSend of nothing");
  slot.checksum = Checksum(bytes);
  Launch(source, slot, lazy);
}

void SimBackend::StartSendFile(Source& source, const FileRange& range) {
  Slot& slot = Find(source);
  SimCheck(!slot.closing, "StartSendFile after Close");
  SimCheck(slot.send == Phase::kNone, "two sends in flight");
  SimCheck(!slot.send_shut_down, "StartSendFile after ShutdownSend");
  SimCheck(range.length > 0, "StartSendFile of nothing");
  slot.range = &range;
  slot.range_seen = range;
  Launch(source, slot, /*lazy=*/false);
}

void SimBackend::Launch(Source& source, Slot& slot, bool lazy) {
  slot.send = Phase::kPending;
  if (const Duration late = Lateness(); late > Duration::zero()) {
    network_.After(late, [this, fd = source.fd(), serial = slot.serial] {
      Slot* const current = Current(fd, serial);
      if (current != nullptr) TrySend(fd, *current);
    });
    return;
  }
  TrySend(source.fd(), slot, lazy);
}

void SimBackend::ExpectSend(Source& source) {
  Slot& slot = Find(source);
  if (slot.send == Phase::kUntold) TellSend(source.fd(), slot);
}

void SimBackend::TellSend(int fd, Slot& slot) {
  slot.send = Phase::kDone;
  Consider(fd, slot);
}

void SimBackend::StartLazySend(Source& source, std::span<const iovec> buffers) {
  BeginSend(source, buffers, network_.random().Chance(network_.options().faults.lazy_send));
}

size_t SimBackend::SendNow(Source& source, std::span<const iovec> buffers) {
  Slot& slot = Find(source);
  SimCheck(!slot.closing, "SendNow after Close");
  SimCheck(slot.send == Phase::kNone, "SendNow with a send in flight");
  SimCheck(!slot.send_shut_down, "SendNow after ShutdownSend");
  SimCheck(!buffers.empty() && buffers.size() <= kMaxSendBuffers, "SendNow with too many buffers");
  std::string bytes = Gather(buffers);
  SimCheck(!bytes.empty(), "SendNow of nothing");
  return TakeNow(source.fd(), std::move(bytes));
}

size_t SimBackend::SendFileNow(Source& source, const FileRange& range) {
  Slot& slot = Find(source);
  SimCheck(!slot.closing, "SendFileNow after Close");
  SimCheck(slot.send == Phase::kNone, "SendFileNow with a send in flight");
  SimCheck(!slot.send_shut_down, "SendFileNow after ShutdownSend");
  SimCheck(range.length > 0, "SendFileNow of nothing");
  return TakeNow(source.fd(), ReadRange(range));
}

size_t SimBackend::TakeNow(int fd, std::string bytes) {
  SimRandom& random = network_.random();
  const SimFaults& faults = network_.options().faults;
  // An error that was ordered comes with a kSend.
  const bool fails = failures_[static_cast<size_t>(Op::kSend)].count > 0;
  if (fails || hold_sends_ || bytes.empty() || !random.Chance(faults.send_now)) return 0;
  if (random.Chance(faults.short_send)) bytes.resize(random.Between(1, bytes.size()));
  const int sent = network_.Send(fd, bytes);
  if (sent <= 0) return 0;
  ++stats_.sends_now;
  return static_cast<size_t>(sent);
}

void SimBackend::ShutdownSend(Source& source) {
  Slot& slot = Find(source);
  SimCheck(!slot.closing, "ShutdownSend after Close");
  SimCheck(slot.send == Phase::kNone, "ShutdownSend with a send in flight");
  slot.send_shut_down = true;
  network_.ShutdownSend(source.fd());
}

void SimBackend::StartConnect(Source& source, const sockaddr* address, socklen_t length) {
  Slot& slot = Find(source);
  SimCheck(!slot.closing, "StartConnect after Close");
  SimCheck(slot.connect == Phase::kNone, "two connects in flight");
  slot.connect = Phase::kPending;
  slot.address = address;
  slot.address_seen.assign(reinterpret_cast<const char*>(address), length);
  network_.Connect(source.fd(), address, length);
}

absl::Status SimBackend::Watch(Source& source, Readiness /*interest*/, Trigger /*trigger*/) {
  static_cast<void>(Find(source));
  return absl::UnimplementedError("sim: there are no foreign descriptors to watch");
}

bool SimBackend::StartFile(FileRequest& request, FileDone& done) {
  CheckThread();
  files_waiting_.emplace(AddSaturated(network_.Now(), Lateness()),
                         File{std::move(request), std::move(done)});
  return true;
}

void SimBackend::EndFiles() {
  for (const File& file : files_over_) DiscardFileResult(file.request, file.result);
  // Aside first: what a callback owns may come back here.
  const auto waiting = std::exchange(files_waiting_, {});
  const auto over = std::exchange(files_over_, {});
}

void SimBackend::Close(Source& source, CloseMode mode) {
  Slot& slot = Find(source);
  if (slot.closing) return;
  slot.closing = true;
  slot.close_mode = mode;
  slot.accepting = slot.receiving = false;
  // Cancelled, drained and closed: that takes its time, and a send may get through meanwhile.
  const int fd = source.fd();
  network_.After(Lateness(), [this, fd, serial = slot.serial] {
    Slot* const current = Current(fd, serial);
    if (current != nullptr) FinishClose(fd, *current);
  });
}

void SimBackend::CloseAll() {
  for (auto& [fd, slot] : slots_) Close(*slot.source, CloseMode::kClose);
}

// ---- Waiting ----

void SimBackend::Wait(TimePoint deadline) {
  CheckThread();
  ++stats_.waits;
  SimClock& clock = network_.clock();
  clock.AdvanceTo(AddSaturated(clock.Now(), kTurnCost));
  Poison();
  WaitForEvents(deadline);
  // Whatever ended the wait, lazy sends are told with it.
  for (auto& [fd, slot] : slots_) {
    if (slot.send == Phase::kUntold) TellSend(fd, slot);
  }
}

void SimBackend::WaitForEvents(TimePoint deadline) {
  SimClock& clock = network_.clock();
  SimRandom& random = network_.random();
  const SimFaults& faults = network_.options().faults;
  for (;;) {
    network_.events().RunDue(clock.Now());
    PerformFilesDue();
    Shuffle();
    if (woken_.exchange(false, std::memory_order_acquire)) {
      ++stats_.wakes;
      return;
    }
    if (!queue_.empty() || deadline <= clock.Now()) return;
    if (random.Chance(faults.spurious_wake)) return;
    TimePoint next = std::min(network_.events().next(), deadline);
    if (!files_waiting_.empty()) next = std::min(next, files_waiting_.begin()->first);
    SimCheck(next != kNever, "a wait without end: nothing will ever happen");
    clock.AdvanceTo(next);
    if (next == deadline && random.Chance(faults.late_wake)) {
      clock.AdvanceTo(AddSaturated(
          next, Duration(random.Below(static_cast<uint64_t>(faults.late_max.count()) + 1))));
    }
  }
}

bool SimBackend::Next(Completion* completion) {
  CheckThread();
  Poison();
  Shuffle();
  while (!queue_.empty()) {
    const auto [fd, serial] = queue_.front();
    queue_.pop_front();
    if (fd == kFileTurn) {
      if (files_over_.empty()) continue;  // dropped by EndFiles()
      DeliverFile(completion);
      return true;
    }
    Slot* slot = Current(fd, serial);
    if (slot == nullptr) {
      ++stats_.stale_events;
      continue;
    }
    slot->queued = false;
    const bool delivered = Runnable(fd, *slot) && TakeTurn(fd, *slot, completion);
    slot = Current(fd, serial);
    if (slot != nullptr) Consider(fd, *slot);
    if (!delivered) continue;
    ++stats_.completions;
    static constexpr const char* kNames[] = {"accept", "connect", "recv",
                                             "send",   "ready",   "closed"};  // no kFile
    network_.Note(kNames[static_cast<size_t>(completion->op)], fd, completion->result);
    return true;
  }
  return false;
}

void SimBackend::Validate() const {
  size_t queued = 0;
  for (const auto& [fd, slot] : slots_) {
    SimCheck(slot.source != nullptr && slot.source->fd() == fd, "a slot lost its source");
    if (slot.queued) ++queued;
    SimCheck(!Runnable(fd, slot) || slot.queued || slot.turn_scheduled,
             "a runnable slot waits for ever");
  }
  size_t alive = 0;
  for (const auto& [fd, serial] : queue_) {
    const auto it = slots_.find(fd);
    if (it != slots_.end() && it->second.serial == serial) ++alive;
  }
  SimCheck(queued == alive, "the ready queue and its marks disagree");
}

}  // namespace quintet
