// A backend without a kernel: virtual time, made-up descriptors, faults from a seed.
//
// For tests of servers and sessions. Under a well-behaved SimNetwork it does what the real backends
// do on a good day; with SimFaults it does whatever the contract of reactor/backend.h allows. A
// user of the contract who breaks it ends the process with a message that says how.
#ifndef QUINTET_REACTOR_SIM_SIM_BACKEND_H_
#define QUINTET_REACTOR_SIM_SIM_BACKEND_H_

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "reactor/backend.h"
#include "reactor/file_request.h"
#include "reactor/file_turn.h"
#include "reactor/sim/sim_network.h"

namespace quintet {

// Make the loop with EventLoop::CreateWith(std::make_unique<SimBackend>(network), network.clock()).
//
// Wait() moves the clock to the next event or the deadline. When there is neither, nothing can ever
// happen any more, and the process ends with a message: a real loop would hang there. Wake() from
// another thread is seen by the next Wait(), which never blocks in real time.
class SimBackend final : public Backend, private SimNetwork::Listener {
 public:
  // `network` must outlive it.
  explicit SimBackend(SimNetwork& network);
  ~SimBackend() override;

  BackendKind kind() const override { return BackendKind::kSim; }
  absl::Status BindToThread() override;
  absl::Status Add(Source& source) override;
  void StartAccept(Source& source) override;
  void StopAccept(Source& source) override;
  void FinishAccept(Source& source, Backlog backlog) override;
  void StartRecv(Source& source) override;
  void StopRecv(Source& source) override;
  void StartSend(Source& source, std::span<const iovec> buffers) override;
  void StartLazySend(Source& source, std::span<const iovec> buffers) override;
  void ExpectSend(Source& source) override;
  // Files are those of the kernel.
  void StartSendFile(Source& source, const FileRange& range) override;
  size_t SendFileNow(Source& source, const FileRange& range) override;
  size_t SendNow(Source& source, std::span<const iovec> buffers) override;
  void ShutdownSend(Source& source) override;
  void StartConnect(Source& source, const sockaddr* address, socklen_t length) override;
  // Unimplemented: there are no foreign descriptors here.
  absl::Status Watch(Source& source, Readiness interest, Trigger trigger) override;
  // Performs all requests, kCall too, on the loop's thread, when their virtual time has come: at
  // the next Wait(), or, by chance (SimFaults::late), up to `late_max` later.
  bool StartFile(FileRequest& request, FileDone& done) override;
  void EndFiles() override;
  void Close(Source& source, CloseMode mode) override;
  void Wait(TimePoint deadline) override;
  bool Next(Completion* completion) override;
  void Wake() override { woken_.store(true, std::memory_order_release); }
  size_t attached_sources() const override { return slots_.size(); }
  void CloseAll() override;
  void Validate() const override;

  // The next `count` completions of `op` (kAccept, kRecv, kSend or kConnect), of whatever source,
  // fail with -error. An error that ends a direction ends it.
  void FailNext(Op op, int error, int count = 1);
  // From here on sends stay in flight until the source is closed, or until this is taken back.
  void set_hold_sends(bool hold);
  // Attached sources at which accept ends with EMFILE. 0: no limit.
  void set_descriptor_limit(size_t limit) { descriptor_limit_ = limit; }

 private:
  static constexpr size_t kRecvBytes = 16 << 10;

  struct Failure {
    int error = 0;
    int count = 0;
  };
  enum class Phase : uint8_t { kNone, kPending, kUntold, kDone };
  struct Slot {
    Source* source = nullptr;
    uint32_t serial = 0;
    // What the user armed.
    bool accepting = false;
    bool accept_finishing = false;
    bool receiving = false;
    bool recv_ended = false;
    bool send_shut_down = false;
    // Turns.
    bool queued = false;
    bool turn_scheduled = false;
    bool sent_last = false;
    // What was moved before a Stop, in order.
    std::string moved;
    std::deque<int> moved_accepts;
    bool moved_end = false;
    int moved_end_result = 0;
    // Sending.
    Phase send = Phase::kNone;
    int send_result = 0;
    const iovec* buffers = nullptr;
    std::vector<iovec> buffers_seen;
    uint64_t checksum = 0;
    const FileRange* range = nullptr;  // instead of `buffers`
    FileRange range_seen;
    // Connecting.
    Phase connect = Phase::kNone;
    const sockaddr* address = nullptr;
    std::string address_seen;
    // Closing.
    bool closing = false;
    bool close_done = false;
    CloseMode close_mode = CloseMode::kClose;
  };

  struct File {
    FileRequest request;
    FileDone done;
    int64_t result = 0;
  };
  // Stands in queue_ for the first of files_over_.
  static constexpr int kFileTurn = -1;

  void OnSocketEvent(int fd) override;

  void TellSend(int fd, Slot& slot);
  void BeginSend(Source& source, std::span<const iovec> buffers, bool lazy);
  void Launch(Source& source, Slot& slot, bool lazy);
  size_t TakeNow(int fd, std::string bytes);
  void WaitForEvents(TimePoint deadline);

  Slot& Find(const Source& source);
  Slot* Current(int fd, uint32_t serial);
  bool Runnable(int fd, const Slot& slot) const;
  // Gives the slot a turn soon, or, by chance, later.
  void Consider(int fd, Slot& slot);
  void Enqueue(int fd, Slot& slot);
  void Shuffle();
  Duration Lateness();
  void PerformFilesDue();
  void DeliverFile(Completion* completion);

  bool TakeTurn(int fd, Slot& slot, Completion* completion);
  bool Accept(int fd, Slot& slot, Completion* completion);
  bool Receive(int fd, Slot& slot, Completion* completion);
  void TrySend(int fd, Slot& slot, bool lazy = false);
  void CheckConnect(int fd, Slot& slot);
  void FinishClose(int fd, Slot& slot);
  void CheckInFlight(const Slot& slot) const;
  int TakeFailure(Op op);
  void Poison();
  void CheckThread() const;

  static std::string Gather(std::span<const iovec> buffers);
  std::string ReadRange(const FileRange& range);
  static uint64_t Checksum(std::string_view bytes);

  SimNetwork& network_;
  std::map<int, Slot> slots_;                   // by descriptor; ordered, for the sake of the trace
  std::deque<std::pair<int, uint32_t>> queue_;  // descriptor and serial
  size_t fresh_ = 0;  // entries at the end of queue_ whose order is still open
  std::multimap<TimePoint, File> files_waiting_;
  std::deque<File> files_over_;
  FileTurn file_turn_;
  uint32_t next_serial_ = 1;
  std::array<Failure, 6> failures_;
  bool hold_sends_ = false;
  size_t descriptor_limit_ = 0;
  std::atomic<bool> woken_ = false;
  std::thread::id owner_;
  // Filled by Receive(), void from the next Next() on.
  std::vector<std::byte> scratch_;
  size_t given_ = 0;  // bytes of it that the last completion shows
};

}  // namespace quintet

#endif  // QUINTET_REACTOR_SIM_SIM_BACKEND_H_
