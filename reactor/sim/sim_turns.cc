// The turns of SimBackend: which source is next, what it is given, and what goes wrong with it.
#include <errno.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <utility>

#include "reactor/asan.h"
#include "reactor/errno_class.h"
#include "reactor/sim/sim_backend.h"
#include "reactor/sim/sim_check.h"

namespace quintet {

// ---- Whose turn it is ----

bool SimBackend::Runnable(int fd, const Slot& slot) const {
  if (slot.closing) return slot.close_done;
  if (slot.connect == Phase::kDone || slot.send == Phase::kDone) return true;
  if (!slot.moved.empty() || slot.moved_end || !slot.moved_accepts.empty()) return true;
  if (slot.accept_finishing) return true;
  return (slot.accepting || slot.receiving) && network_.Readable(fd);
}

Duration SimBackend::Lateness() {
  const SimFaults& faults = network_.options().faults;
  if (!network_.random().Chance(faults.late)) return Duration::zero();
  return Duration(network_.random().Below(static_cast<uint64_t>(faults.late_max.count()) + 1));
}

void SimBackend::Consider(int fd, Slot& slot) {
  if (slot.queued || slot.turn_scheduled || !Runnable(fd, slot)) return;
  const Duration late = Lateness();
  if (late == Duration::zero()) {
    Enqueue(fd, slot);
    return;
  }
  slot.turn_scheduled = true;
  network_.After(late, [this, fd, serial = slot.serial] {
    Slot* const current = Current(fd, serial);
    if (current == nullptr) return;
    current->turn_scheduled = false;
    if (!current->queued && Runnable(fd, *current)) Enqueue(fd, *current);
  });
}

void SimBackend::Enqueue(int fd, Slot& slot) {
  slot.queued = true;
  queue_.emplace_back(fd, slot.serial);
  ++fresh_;
}

// Those that became ready together may come in any order; what stood in the queue before them stays
// in front, so that nobody is overtaken for ever.
void SimBackend::Shuffle() {
  const size_t fresh = std::min(std::exchange(fresh_, 0), queue_.size());
  if (!network_.options().faults.shuffle) return;
  for (size_t i = 1; i < fresh; ++i) {
    const size_t j = network_.random().Below(i + 1);
    std::swap(queue_[queue_.size() - 1 - i], queue_[queue_.size() - 1 - j]);
  }
}

void SimBackend::OnSocketEvent(int fd) {
  const auto it = slots_.find(fd);
  if (it == slots_.end()) return;
  Slot& slot = it->second;
  if (slot.connect == Phase::kPending) CheckConnect(fd, slot);
  if (slot.send == Phase::kPending) TrySend(fd, slot);
  Consider(fd, slot);
}

// As late as the contract allows: buffers and paths that were not kept in place are found out here.
void SimBackend::PerformFilesDue() {
  while (!files_waiting_.empty() && files_waiting_.begin()->first <= network_.Now()) {
    File file = std::move(files_waiting_.begin()->second);
    files_waiting_.erase(files_waiting_.begin());
    file.result = PerformFileRequest(file.request);
    files_over_.push_back(std::move(file));
    queue_.emplace_back(kFileTurn, 0);
    ++fresh_;
  }
}

void SimBackend::DeliverFile(Completion* completion) {
  File file = std::move(files_over_.front());
  files_over_.pop_front();
  ++stats_.completions;
  // The numbers of real descriptors have no place in a trace.
  const bool opened = file.request.op == FileRequest::Op::kOpen && file.result >= 0;
  network_.Note("file", kFileTurn, opened ? 0 : file.result);
  *completion = file_turn_.Set(std::move(file.done), file.result);
}

bool SimBackend::TakeTurn(int fd, Slot& slot, Completion* completion) {
  Source* const source = slot.source;
  if (slot.closing) {
    for (const int accepted : slot.moved_accepts) network_.Close(accepted, /*reset=*/true);
    slots_.erase(fd);
    source->set_id({});
    *completion = {source, {}, 0, Op::kClosed};
    return true;
  }
  if (slot.connect == Phase::kDone) {
    SimCheck(std::memcmp(slot.address, slot.address_seen.data(), slot.address_seen.size()) == 0,
             "an address was changed while connecting");
    slot.connect = Phase::kNone;
    int result = network_.Connected(fd);
    if (const int error = TakeFailure(Op::kConnect); error != 0) result = -error;
    *completion = {source, {}, std::min(result, 0), Op::kConnect};
    return true;
  }
  // The two directions take turns.
  if (slot.send == Phase::kDone && !std::exchange(slot.sent_last, true)) {
    CheckInFlight(slot);
    slot.send = Phase::kNone;
    *completion = {source, {}, slot.send_result, Op::kSend};
    return true;
  }
  slot.sent_last = false;
  return network_.IsListening(fd) ? Accept(fd, slot, completion) : Receive(fd, slot, completion);
}

// ---- Accepting and connecting ----

bool SimBackend::Accept(int fd, Slot& slot, Completion* completion) {
  Source* const source = slot.source;
  if (!slot.moved_accepts.empty()) {
    *completion = {source, {}, slot.moved_accepts.front(), Op::kAccept};
    slot.moved_accepts.pop_front();
    return true;
  }
  if (std::exchange(slot.accept_finishing, false)) {
    *completion = {source, {}, -ECANCELED, Op::kAccept};
    return true;
  }
  if (!slot.accepting) return false;
  SimRandom& random = network_.random();
  const SimFaults& faults = network_.options().faults;
  static constexpr int kExhaustions[] = {EMFILE, ENFILE, ENOBUFS, ENOMEM};
  int error = TakeFailure(Op::kAccept);
  if (random.Chance(faults.accept_exhausted)) error = kExhaustions[random.Below(4)];
  if (random.Chance(faults.accept_aborted)) error = ECONNABORTED;
  if (IsTransientAcceptError(error)) {
    // Hidden from the source; the connection is lost.
    ++stats_.accept_retries;
    if (const int lost = network_.Accept(fd); lost >= 0) network_.Close(lost, /*reset=*/true);
    return false;
  }
  if (descriptor_limit_ > 0 && slots_.size() >= descriptor_limit_) error = EMFILE;
  const int result = error != 0 ? -error : network_.Accept(fd);
  if (result == -EAGAIN) {
    CountEmptyAccept();
    return false;
  }
  if (result < 0) slot.accepting = false;
  *completion = {source, {}, result, Op::kAccept};
  return true;
}

void SimBackend::CheckConnect(int fd, Slot& slot) {
  if (network_.Connected(fd) != 0) slot.connect = Phase::kDone;
}

// ---- Receiving ----

bool SimBackend::Receive(int fd, Slot& slot, Completion* completion) {
  if (slot.moved.empty() && !slot.moved_end && !slot.receiving) return false;
  SimRandom& random = network_.random();
  const SimFaults& faults = network_.options().faults;
  size_t limit = scratch_.size();
  if (random.Chance(faults.short_recv)) limit = random.Chance(500) ? 1 : random.Between(1, 64);
  AsanUnpoison(scratch_.data(), scratch_.size());
  char* const data = reinterpret_cast<char*>(scratch_.data());
  int result;
  if (!slot.moved.empty()) {
    const size_t bytes = std::min(limit, slot.moved.size());
    std::memcpy(data, slot.moved.data(), bytes);
    slot.moved.erase(0, bytes);
    result = static_cast<int>(bytes);
  } else if (slot.moved_end) {
    slot.moved_end = false;
    result = slot.moved_end_result;
  } else if (const int error = TakeFailure(Op::kRecv); error != 0) {
    result = -error;
  } else {
    result = network_.Recv(fd, data, limit);
  }
  const size_t bytes = given_ = result > 0 ? static_cast<size_t>(result) : 0;
  AsanPoison(scratch_.data() + bytes, scratch_.size() - bytes);
  if (result == -EAGAIN) return false;
  if (result <= 0) {
    slot.receiving = false;
    slot.recv_ended = true;
  }
  *completion = {slot.source, {scratch_.data(), bytes}, result, Op::kRecv};
  return true;
}

// ---- Sending ----

uint64_t SimBackend::Checksum(std::string_view bytes) {
  uint64_t sum = 0xcbf29ce484222325;
  for (const char c : bytes) sum = (sum ^ static_cast<unsigned char>(c)) * 0x100000001b3;
  return sum;
}

std::string SimBackend::Gather(std::span<const iovec> buffers) {
  std::string bytes;
  for (const iovec& buffer : buffers) {
    bytes.append(static_cast<const char*>(buffer.iov_base), buffer.iov_len);
  }
  return bytes;
}

// As much as there is in the file, or in one send; nothing, by chance, as if it could not be read.
std::string SimBackend::ReadRange(const FileRange& range) {
  if (network_.random().Chance(network_.options().faults.file_unreadable)) return {};
  std::string bytes(std::min<uint64_t>(range.length, kMaxSendFileBytes), '\0');
  const ssize_t read =
      ::pread(range.fd, bytes.data(), bytes.size(), static_cast<off_t>(range.offset));
  bytes.resize(read > 0 ? static_cast<size_t>(read) : 0);
  return bytes;
}

// What is behind a send in flight belongs to the kernel: looked at again while it is.
void SimBackend::CheckInFlight(const Slot& slot) const {
  if (slot.send == Phase::kNone) return;
  if (slot.range != nullptr) {
    SimCheck(*slot.range == slot.range_seen, "the range of a send in flight was changed");
    return;
  }
  for (size_t i = 0; i < slot.buffers_seen.size(); ++i) {
    const iovec& now = slot.buffers[i];
    const iovec& seen = slot.buffers_seen[i];
    SimCheck(now.iov_base == seen.iov_base && now.iov_len == seen.iov_len,
             "the buffers of a send in flight were changed");
  }
  SimCheck(Checksum(Gather(slot.buffers_seen)) == slot.checksum,
           "the bytes of a send in flight were changed");
}

void SimBackend::TrySend(int fd, Slot& slot, bool lazy) {
  if (slot.send != Phase::kPending || slot.close_done || hold_sends_) return;
  SimRandom& random = network_.random();
  const SimFaults& faults = network_.options().faults;
  CheckInFlight(slot);
  const bool from_file = slot.range != nullptr;
  std::string bytes = from_file ? ReadRange(slot.range_seen) : Gather(slot.buffers_seen);
  const size_t all = bytes.size();
  int result;
  if (const int error = TakeFailure(Op::kSend); error != 0) {
    result = -error;
  } else if (random.Chance(faults.send_error)) {
    result = random.Chance(500) ? -ETIMEDOUT : -EPIPE;
  } else if (bytes.empty()) {
    result = -ENODATA;
  } else {
    if (random.Chance(faults.reset)) network_.Break(fd);
    if (random.Chance(faults.short_send)) bytes.resize(random.Between(1, bytes.size()));
    result = network_.Send(fd, bytes);
  }
  if (result == -EAGAIN) return;
  slot.send_result = result;
  const bool sent_all = result > 0 && static_cast<size_t>(result) == all;
  slot.send = lazy && sent_all ? Phase::kUntold : Phase::kDone;
  Consider(fd, slot);
}

void SimBackend::FinishClose(int fd, Slot& slot) {
  CheckInFlight(slot);
  slot.close_done = true;
  if (slot.close_mode == CloseMode::kKeep) {
    network_.set_listener(fd, nullptr);
  } else {
    network_.Close(fd, slot.close_mode == CloseMode::kReset);
  }
  // At once or not, but never in this turn of the events: kClosed comes from Next().
  Consider(fd, slot);
}

}  // namespace quintet
