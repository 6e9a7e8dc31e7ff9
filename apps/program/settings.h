// The tables of settings: everything that can be configured, one row each. Flags, environment,
// file,
// --print-config, --help and docs/configuration.md are derived from them.
#ifndef QUINTET_APPS_PROGRAM_SETTINGS_H_
#define QUINTET_APPS_PROGRAM_SETTINGS_H_

#include <span>
#include <string_view>
#include <vector>

#include "apps/program/setting.h"
#include "apps/program/value.h"
#include "reactor/clock.h"

namespace quintet::program {

// The settings that every program has, and `own`, which are one program's: before the others in a
// table that both have, and in tables of their own before [process]. Settings of one table stand
// together.
std::vector<Setting> SettingsWith(std::vector<Setting> own);

// What every setting of a time takes.
ValueType<Duration> TimeoutValue();

// The setting with this flag, which must be among `settings`.
const Setting& SettingOfFlag(std::span<const Setting> settings, std::string_view flag);

}  // namespace quintet::program

#endif  // QUINTET_APPS_PROGRAM_SETTINGS_H_
