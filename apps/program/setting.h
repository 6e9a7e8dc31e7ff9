// One thing that can be configured, and how a program writes it down.
#ifndef QUINTET_APPS_PROGRAM_SETTING_H_
#define QUINTET_APPS_PROGRAM_SETTING_H_

#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "apps/program/config.h"
#include "apps/program/value.h"

namespace quintet::program {

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
  // The models under which it means something; empty: all. Elsewhere it must keep its default.
  std::vector<ServerModel> models = {};

  bool is_list() const { return form == TomlForm::kStringList; }
  std::string path() const { return table + "." + key; }
  // "QUINTET_" and the flag in capitals, with underscores.
  std::string variable() const;
  bool BelongsTo(ServerModel model) const;
  // help, and the models where it is not for all.
  std::string description() const;
};

// "fork, thread"
std::string ModelNames(std::span<const ServerModel> models);

// The value of `setting` as TOML.
std::string TomlValue(const Setting& setting, const Config& config);

// The value of `setting` as it would be given to its flag; lists with commas.
std::string PlainValue(const Setting& setting, const Config& config);

// How a row of a table of settings begins.
struct SettingNames {
  const char* table;
  const char* key;
  const char* flag;
  const char* help;
};

// All of a setting but set() and get().
template <typename T>
Setting DescribeSetting(const SettingNames& names, const ValueType<T>& type) {
  return {.table = names.table,
          .key = names.key,
          .flag = names.flag,
          .help = names.help,
          .placeholder = type.placeholder,
          .allowed = type.allowed,
          .form = type.form,
          .set = nullptr,
          .get = nullptr,
          .models = {}};
}

// A setting of one value. `field` returns a reference to its place in a configuration, for one to
// be read and for one to be written: [](auto& config) -> auto& { return config.start_timeout; }
template <typename T, typename Field>
Setting Row(const SettingNames& names, ValueType<T> type, Field field) {
  Setting setting = DescribeSetting(names, type);
  setting.set = [parse = type.parse, field](std::span<const std::string> values, Config& config) {
    if (values.size() != 1) return absl::InvalidArgumentError("is given more than once");
    absl::StatusOr<T> value = parse(values.front());
    if (!value.ok()) return value.status();
    field(config) = *std::move(value);
    return absl::OkStatus();
  };
  setting.get = [print = type.print, field](const Config& config) {
    return std::vector<std::string>{print(field(config))};
  };
  return setting;
}

// `setting`, for these models only.
Setting ForModels(std::vector<ServerModel> models, Setting setting);

// A setting of a list of values.
template <typename T, typename Field>
Setting ListRow(const SettingNames& names, ValueType<T> type, Field field) {
  Setting setting = DescribeSetting(names, type);
  setting.form = TomlForm::kStringList;
  setting.set = [parse = type.parse, field](std::span<const std::string> values, Config& config) {
    if (values.empty()) return absl::InvalidArgumentError("the list is empty");
    std::vector<T> list;
    for (const std::string& text : values) {
      absl::StatusOr<T> value = parse(text);
      if (!value.ok()) return value.status();
      list.push_back(*std::move(value));
    }
    field(config) = std::move(list);
    return absl::OkStatus();
  };
  setting.get = [print = type.print, field](const Config& config) {
    std::vector<std::string> values;
    for (const T& value : field(config)) values.push_back(print(value));
    return values;
  };
  return setting;
}

}  // namespace quintet::program

#endif  // QUINTET_APPS_PROGRAM_SETTING_H_
