#include "apps/program/config_file.h"

#include <errno.h>
#include <toml++/toml.h>

#include <algorithm>
#include <fstream>
#include <map>
#include <optional>
#include <sstream>
#include <variant>

#include "absl/strings/ascii.h"
#include "absl/strings/str_format.h"
#include "apps/program/nearest.h"
#include "reactor/errno_text.h"

namespace quintet::program {
namespace {

// Far above any configuration: a device file given by mistake is not read for ever.
constexpr size_t kMaxFileBytes = 1 << 20;

// What a value of the file looks like in an error.
std::string Quoted(const toml::node& node) {
  if (const auto text = node.value_exact<std::string>()) return TomlString(*text);
  if (const auto integer = node.value_exact<int64_t>()) return std::to_string(*integer);
  if (const auto boolean = node.value_exact<bool>()) return *boolean ? "true" : "false";
  std::ostringstream type;
  type << node.type();
  return "a value of type " + type.str();
}

// A key or the name of a table as it stands in a file: in quotes where it is not a bare one, so
// that an error stays one line whatever the key holds.
std::string Written(std::string_view name) {
  const bool bare = !name.empty() && std::all_of(name.begin(), name.end(), [](char c) {
    return absl::ascii_isalnum(static_cast<unsigned char>(c)) || c == '_' || c == '-';
  });
  return bare ? std::string(name) : TomlString(name);
}

// What toml++ says, which may quote the file up to the end of a line and beyond.
std::string OneLine(std::string_view text) {
  std::string line;
  for (const char c : text) {
    if (absl::ascii_iscntrl(static_cast<unsigned char>(c))) {
      absl::StrAppendFormat(&line, "\\u%04X", static_cast<unsigned>(static_cast<unsigned char>(c)));
    } else {
      line += c;
    }
  }
  return line;
}

// The values as text, or nullopt where the file has a value of another type than `form`.
std::optional<std::vector<std::string>> TextOf(const toml::node& node, TomlForm form) {
  const auto text = node.value_exact<std::string>();
  const auto integer = node.value_exact<int64_t>();
  const auto boolean = node.value_exact<bool>();
  switch (form) {
    case TomlForm::kString:
      if (text) return {{*text}};
      return std::nullopt;
    case TomlForm::kStringOrInteger:
      if (text) return {{*text}};
      [[fallthrough]];
    case TomlForm::kInteger:
      if (integer) return {{std::to_string(*integer)}};
      return std::nullopt;
    case TomlForm::kBoolean:
      if (boolean) return {{*boolean ? "true" : "false"}};
      return std::nullopt;
    case TomlForm::kStringList: {
      if (!node.is_array()) return std::nullopt;
      std::vector<std::string> list;
      for (const toml::node& element : *node.as_array()) {
        const auto item = element.value_exact<std::string>();
        if (!item) return std::nullopt;
        list.push_back(*item);
      }
      return list;
    }
  }
  return std::nullopt;
}

// Walks the tables of a file. Findings are kept by their line, for toml++ sorts keys by name.
class Reader {
 public:
  Reader(std::span<const Setting> settings, std::string name)
      : settings_(settings), name_(std::move(name)) {}

  absl::StatusOr<std::vector<Assignment>> Read(const toml::table& root) {
    for (const auto& [key, node] : root) ReadTop(key, node);
    std::vector<Assignment> result;
    for (auto& [line, finding] : findings_) {
      if (const auto* error = std::get_if<std::string>(&finding)) {
        return absl::InvalidArgumentError(absl::StrFormat("%s:%u: %s", name_, line, *error));
      }
      result.push_back(std::move(std::get<Assignment>(finding)));
    }
    return result;
  }

 private:
  const Setting* FindSetting(std::string_view table, std::string_view key) const {
    for (const Setting& setting : settings_) {
      if (setting.table == table && setting.key == key) return &setting;
    }
    return nullptr;
  }

  bool IsTable(std::string_view name) const {
    return std::any_of(settings_.begin(), settings_.end(),
                       [name](const Setting& setting) { return setting.table == name; });
  }

  // "reactor.backend", the setting that an unknown key was probably meant to be.
  std::string NearestSetting(std::string_view table, std::string_view key) const {
    // The right key in the wrong table is the likelier slip.
    for (const Setting& setting : settings_) {
      if (setting.key == key) return setting.path();
    }
    std::vector<std::string> known;
    for (const Setting& setting : settings_) {
      if (setting.table == table) known.push_back(setting.path());
    }
    if (known.empty()) {
      for (const Setting& setting : settings_) known.push_back(setting.path());
    }
    return Nearest(absl::StrFormat("%s.%s", table, key), known);
  }

  std::string NearestTable(std::string_view name) const {
    std::vector<std::string> known;
    for (const Setting& setting : settings_) known.push_back(setting.table);
    return Nearest(name, known);
  }

  void ReadTop(const toml::key& key, const toml::node& node) {
    const std::string_view name = key.str();
    if (const toml::table* table = node.as_table(); table != nullptr && IsTable(name)) {
      for (const auto& [inner, value] : *table) ReadKey(key, inner, value);
    } else if (IsTable(name)) {
      Error(key, absl::StrFormat("%s: is %s; allowed: a table, [%s]", name, Quoted(node), name));
    } else if (node.is_table()) {
      Error(key, absl::StrFormat("unknown table [%s]; the nearest is [%s]", Written(name),
                                 NearestTable(name)));
    } else {
      Error(key, absl::StrFormat("unknown key %s; the nearest is %s", Written(name),
                                 NearestSetting("", name)));
    }
  }

  void ReadKey(const toml::key& table, const toml::key& key, const toml::node& node) {
    const Setting* setting = FindSetting(table.str(), key.str());
    if (setting == nullptr) {
      Error(key, absl::StrFormat("unknown key %s.%s; the nearest is %s", table.str(),
                                 Written(key.str()), NearestSetting(table.str(), key.str())));
      return;
    }
    std::optional<std::vector<std::string>> values = TextOf(node, setting->form);
    if (!values) {
      Error(key, absl::StrFormat("%s: %s is not allowed; allowed: %s%s", setting->path(),
                                 Quoted(node), setting->is_list() ? "a list of strings, each " : "",
                                 setting->allowed));
      return;
    }
    const uint32_t line = LineOf(key);
    const std::string origin = absl::StrFormat("%s:%u", name_, line);
    findings_.emplace(line, Assignment{setting, *std::move(values), origin,
                                       absl::StrFormat("%s: %s", origin, setting->path())});
  }

  static uint32_t LineOf(const toml::key& key) { return key.source().begin.line; }

  void Error(const toml::key& key, std::string message) {
    findings_.emplace(LineOf(key), std::move(message));
  }

  const std::span<const Setting> settings_;
  const std::string name_;
  std::multimap<uint32_t, std::variant<Assignment, std::string>> findings_;
};

}  // namespace

absl::StatusOr<std::vector<Assignment>> ParseConfig(std::span<const Setting> settings,
                                                    std::string_view text,
                                                    const std::string& name) {
  try {
    return Reader(settings, name).Read(toml::parse(text, name));
  } catch (const toml::parse_error& error) {
    return absl::InvalidArgumentError(absl::StrFormat("%s:%u: %s", name, error.source().begin.line,
                                                      OneLine(error.description())));
  }
}

absl::StatusOr<std::vector<Assignment>> ReadConfigFile(std::span<const Setting> settings,
                                                       const std::string& path) {
  errno = 0;
  std::ifstream file(path, std::ios::binary);
  std::string text(kMaxFileBytes + 1, '\0');
  file.read(text.data(), static_cast<std::streamsize>(text.size()));
  // Reading to the end sets failbit; a directory opens and fails to be read, with badbit.
  if (!file.is_open() || file.bad()) {
    return absl::InvalidArgumentError(
        absl::StrFormat("configuration file %s: %s", path, ErrnoText(errno)));
  }
  text.resize(static_cast<size_t>(file.gcount()));
  if (text.size() > kMaxFileBytes) {
    return absl::InvalidArgumentError(
        absl::StrFormat("configuration file %s: has more than %u bytes", path, kMaxFileBytes));
  }
  return ParseConfig(settings, text, path);
}

}  // namespace quintet::program
