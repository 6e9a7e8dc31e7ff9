#include "apps/program/setting.h"

#include <algorithm>

#include "absl/strings/ascii.h"
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
