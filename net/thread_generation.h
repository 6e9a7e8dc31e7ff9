// Workers as threads: a Server that runs beside the supervisor's loop.
#ifndef QUINTET_NET_THREAD_GENERATION_H_
#define QUINTET_NET_THREAD_GENERATION_H_

#include <future>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "net/generation.h"
#include "net/loop_executor.h"

namespace quintet {

class ThreadGeneration final : public Generation {
 public:
  ThreadGeneration(EventLoop& loop, GenerationSetup setup, Events events);
  ~ThreadGeneration() override;

  absl::Status Start() override;
  absl::Status Prepare() override;
  void Serve() override { Release(/*serve=*/true); }
  void Look() override { server_->Look(); }
  void Drain(const DrainPlan& plan) override;
  std::string backend() const override { return backend_; }
  std::vector<WorkerStats> Stats() const override;

 private:
  void OnEnded(absl::Status status);
  void Release(bool serve);
  void Join();

  EventLoop& loop_;
  GenerationSetup setup_;
  const Events events_;
  // How the threads reach the supervisor's loop; closed before this object goes.
  const std::shared_ptr<LoopExecutor> executor_;
  std::unique_ptr<Server> server_;
  std::thread thread_;
  std::promise<bool> go_;  // whether the thread is to run the server
  bool released_ = false;
  std::string backend_;
  bool draining_ = false;
  // Expired for tasks that find this object gone.
  const std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace quintet

#endif  // QUINTET_NET_THREAD_GENERATION_H_
