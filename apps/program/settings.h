// The table of settings: everything that can be configured, one row each. Flags, environment, file,
// --print-config, --help and docs/configuration.md are derived from it.
#ifndef QUINTET_APPS_PROGRAM_SETTINGS_H_
#define QUINTET_APPS_PROGRAM_SETTINGS_H_

#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "apps/program/config.h"
#include "apps/program/value.h"

namespace quintet::hello {

struct Setting {
  std::string table;  // of the TOML file
  std::string key;    // in that table
  std::string flag;   // without the dashes
  std::string help;   // one sentence
  std::string placeholder;
  std::string allowed;
  TomlForm form;
  // Puts values that were written as text into a configuration; lists take one or more, everything
  // else one. The error says what is wrong, not where.
  std::function<absl::Status(std::span<const std::string> values, Config& config)> set;
  // The inverse of set().
  std::function<std::vector<std::string>(const Config& config)> get;

  bool is_list() const { return form == TomlForm::kStringList; }
  std::string path() const { return table + "." + key; }
  // "QUINTET_" and the flag in capitals, with underscores.
  std::string variable() const;
};

// All of them. Settings of one table stand together.
const std::vector<Setting>& Settings();

// The setting with this flag, which must exist.
const Setting& SettingOfFlag(std::string_view flag);

// The value of `setting` as TOML.
std::string TomlValue(const Setting& setting, const Config& config);

// The value of `setting` as it would be given to its flag; lists with commas.
std::string PlainValue(const Setting& setting, const Config& config);

}  // namespace quintet::hello

#endif  // QUINTET_APPS_PROGRAM_SETTINGS_H_
