#include "apps/program/setting.h"

#include <algorithm>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"

namespace quintet::program {
namespace {

bool AllDigits(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), absl::ascii_isdigit);
}

}  // namespace

std::string Setting::variable() const {
  return "QUINTET_" + absl::AsciiStrToUpper(absl::StrReplaceAll(flag, {{"-", "_"}}));
}

bool Setting::BelongsTo(ServerModel model) const {
  return models.empty() || std::find(models.begin(), models.end(), model) != models.end();
}

std::string Setting::description() const {
  if (models.empty()) return help;
  return absl::StrCat(help, models.size() == 1 ? " Only model " : " Only models ",
                      ModelNames(models), ".");
}

Setting ForModels(std::vector<ServerModel> models, Setting setting) {
  setting.models = std::move(models);
  return setting;
}

std::string ModelNames(std::span<const ServerModel> models) {
  return absl::StrJoin(models, ", ", [](std::string* out, ServerModel model) {
    out->append(ServerModelName(model));
  });
}

std::string TomlValue(const Setting& setting, const Config& config) {
  std::vector<std::string> values = setting.get(config);
  switch (setting.form) {
    case TomlForm::kStringList:
      for (std::string& value : values) value = TomlString(value);
      return "[" + absl::StrJoin(values, ", ") + "]";
    case TomlForm::kInteger:
    case TomlForm::kBoolean:
      return values.front();
    case TomlForm::kStringOrInteger:
      return AllDigits(values.front()) ? values.front() : TomlString(values.front());
    case TomlForm::kString:
      return TomlString(values.front());
  }
  return {};
}

std::string PlainValue(const Setting& setting, const Config& config) {
  return absl::StrJoin(setting.get(config), ",");
}

}  // namespace quintet::program
