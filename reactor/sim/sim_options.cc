#include "reactor/sim/sim_options.h"

namespace quintet {

SimFaults SimFaults::Hostile() {
  SimFaults faults;
  faults.send_now = 500;
  faults.lazy_send = 500;
  faults.short_send = 300;
  faults.short_recv = 300;
  faults.late = 300;
  faults.late_max = std::chrono::milliseconds(5);
  faults.recv_after_stop = 500;
  faults.spurious_wake = 50;
  faults.late_wake = 50;
  faults.reset = 3;
  faults.send_error = 2;
  faults.file_unreadable = 20;
  faults.accept_exhausted = 50;
  faults.accept_aborted = 30;
  faults.connect_refused = 30;
  faults.shuffle = true;
  return faults;
}

}  // namespace quintet
