// One connection at a time, on the thread of Run(). The others wait in the backlog.
#include <poll.h>

#include <algorithm>
#include <memory>
#include <utility>
#include <vector>

#include "net/models/blocking_acceptor.h"
#include "net/models/model.h"
#include "net/models/poll_until.h"

namespace quintet {
namespace {

class IterativeModel final : public Model {
 public:
  explicit IterativeModel(ModelCore& core) : core_(core) {}
  absl::Status Run() override;

 private:
  ModelCore& core_;
};

absl::Status IterativeModel::Run() {
  EndSchedule& schedule = core_.schedule();
  BlockingAcceptor acceptor(core_.ListeningFds(), core_.counters().place(0).counters, core_.clock(),
                            core_.log());
  std::vector<pollfd> polled;
  for (schedule.Look(); !core_.draining(); schedule.Look()) {
    polled.assign(1, {.fd = schedule.fd(schedule.stage()), .events = POLLIN, .revents = 0});
    acceptor.AppendTo(polled);
    PollUntil(polled, std::min(schedule.next(), acceptor.rests_until()), core_.clock());
    // The connection looks at the schedule by itself.
    if (auto socket = acceptor.AcceptFrom(polled)) core_.Serve(*std::move(socket), 0, schedule);
  }
  while (auto socket = core_.NextWaiting()) {
    core_.Serve(*std::move(socket), 0, schedule);
    schedule.Look();
  }
  return absl::OkStatus();
}

}  // namespace

std::unique_ptr<Model> CreateIterativeModel(ModelCore& core) {
  return std::make_unique<IterativeModel>(core);
}

}  // namespace quintet
