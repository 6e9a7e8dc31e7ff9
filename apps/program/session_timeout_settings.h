// The settings of SessionTimeouts.
#ifndef QUINTET_APPS_PROGRAM_SESSION_TIMEOUT_SETTINGS_H_
#define QUINTET_APPS_PROGRAM_SESSION_TIMEOUT_SETTINGS_H_

#include <vector>

#include "apps/program/setting.h"
#include "apps/program/settings.h"

namespace quintet::program {

// `field` returns a reference to the SessionTimeouts in a configuration, as for Row().
template <typename Field>
std::vector<Setting> SessionTimeoutSettings(Field field) {
  return {Row(
              {"timeouts", "idle", "idle-timeout",
               "Between two arrivals from a client, and before the first, then end of file; 0s: "
               "none."},
              TimeoutValue(), [field](auto& config) -> auto& { return field(config).idle; }),
          Row(
              {"timeouts", "total", "total-timeout",
               "From the accept to the end of a connection, then a reset; 0s: none."},
              TimeoutValue(), [field](auto& config) -> auto& { return field(config).total; })};
}

}  // namespace quintet::program

#endif  // QUINTET_APPS_PROGRAM_SESSION_TIMEOUT_SETTINGS_H_
