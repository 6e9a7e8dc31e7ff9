// Workers as processes.
#ifndef QUINTET_NET_PROCESS_GENERATION_H_
#define QUINTET_NET_PROCESS_GENERATION_H_

#include <list>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "net/acceptor.h"
#include "net/drain_deadline.h"
#include "net/generation.h"
#include "net/place_counters.h"
#include "net/process_taker.h"
#include "net/restart_policy.h"
#include "net/worker_process.h"

namespace quintet {

// Every worker has every listening socket; which it accepts from, it is told. So the sockets of one
// that died are another's until its successor is ready, and nothing that waits in them is lost.
//
// In the delay of a drain (DrainPlan::delay) that goes on, but nobody is started any more: where no
// worker is left the generation has ended, and its port is free.
class ProcessGeneration final : public Generation {
 public:
  // How long after the end of a drain a worker may take before it is killed.
  static constexpr Duration kKillGrace = std::chrono::seconds(5);

  ProcessGeneration(EventLoop& loop, GenerationSetup setup, Events events);
  ~ProcessGeneration() override;

  absl::Status Start() override;
  absl::Status Prepare() override;
  void Serve() override;
  void Look() override;
  void Drain(const DrainPlan& plan) override;
  std::string backend() const override { return backend_; }
  std::vector<WorkerStats> Stats() const override;

 private:
  // One place in the generation, and who holds it.
  struct Place {
    size_t index = 0;
    PlaceCounters counters;                  // of all who have held it
    std::unique_ptr<WorkerProcess> process;  // null: waits to be started, or given up
    std::shared_ptr<WorkerCounters[]> process_counters;
    std::unique_ptr<ProcessTaker> taker;  // with kHandoff, while ready
    std::vector<size_t> accepts_from;     // as it was told
    std::string failure;                  // kFailed
    std::optional<TimePoint> ready_at;
    RestartPolicy policy;
    TimerHandle timer;  // of its start, or until its restart
    bool tried = false;
    bool given_up = false;
    bool asked_to_leave = false;  // before the generation served

    bool serves() const { return process != nullptr && ready_at.has_value(); }
  };
  // Who has been replaced and drains.
  struct Leaver {
    Place* place = nullptr;
    std::unique_ptr<WorkerProcess> process;
    std::shared_ptr<WorkerCounters[]> counters;
    TimerHandle kill_timer;
  };

  absl::Status StartWorker(Place& place);
  void OnMessage(Place& place, WorkerMessage& message);
  void OnReady(Place& place, std::string backend);
  void OnWorkerEnded(Place& place, int status);
  void OnTried(Place& place);
  void OnLeaverEnded(const WorkerProcess* process, int status);
  void OnStartTimeout(Place& place);
  void StartOrRestart(Place& place);
  void Restart(Place& place, std::optional<Duration> served);
  void Replace(Place& place);
  // Spreads the sockets over those who serve.
  void Assign();
  void EndDelay();
  void SendDrains();
  void SendDrain(WorkerProcess& process);
  void ArmKill();
  void Kill(WorkerProcess& process);
  void LogDeathInDrain(const Place& place, const WorkerProcess& process, int status);
  void EndIfDrained();
  bool hands_off() const;
  void Log(LogLevel level, const std::string& text) const;

  EventLoop& loop_;
  GenerationSetup setup_;
  const Events events_;
  std::vector<std::unique_ptr<Place>> places_;
  std::list<Leaver> leavers_;
  std::unique_ptr<Acceptor> acceptor_;
  std::string backend_;
  std::optional<DrainPlan> drain_;  // its delay is zero once that is over
  DrainDeadline deadline_;
  std::optional<TimePoint> delay_end_;
  TimerHandle delay_timer_;
  TimerHandle kill_timer_;
  bool serving_ = false;
  bool accepting_ = true;  // until a drain is past its delay
  bool told_ready_ = false;
  bool acceptor_finished_ = false;
  // Expired for deferred tasks that find this object gone.
  const std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace quintet

#endif  // QUINTET_NET_PROCESS_GENERATION_H_
