#include "apps/program/report.h"

#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/substitute.h"
#include "reactor/version.h"

namespace quintet::program {
namespace {

constexpr std::string_view kMarkdownHead =
    R"(# Configuration of the $0 server

A setting has one value, taken from the first of: its flag, its environment variable, the
configuration file (`--config FILE` or `QUINTET_CONFIG`), its default. `$0 --print-config` prints
the values in effect and where each came from, as a file that `--config` reads;
`$0 --check-config` only checks them. A mistake ends the program with exit code 2 and one line
that names the place, the setting and what is allowed.

The file is [TOML](https://toml.io/en/v1.0.0). Unknown tables and keys are errors. Durations are
strings: a number with `ns`, `us`, `ms`, `s`, `m` or `h`, also combined (`"1h30m"`). Sizes are in
bytes: an integer, or a string with `B`, `KiB`, `MiB`, `GiB` or `TiB`. An environment variable that
is empty counts as not set; lists are separated by commas there. A flag that takes a truth value may
stand alone (`--pin`) or have its value after an equals sign (`--pin=false`).

    [listen]
    addresses = ["$1", "unix:/run/$0.sock"]

    [workers]
    count = "auto"
)";

// Text inside a cell of a Markdown table.
std::string Cell(const std::string& text) { return absl::StrReplaceAll(text, {{"|", "\\|"}}); }

}  // namespace

std::string ConfigText(const Program& program, const LoadedConfig& loaded) {
  std::string text = absl::StrFormat("# Settings of %s %s.\n", program.name, Version());
  std::string_view table;
  for (size_t i = 0; i < program.settings.size(); ++i) {
    const Setting& setting = program.settings[i];
    if (setting.table != table) absl::StrAppendFormat(&text, "\n[%s]\n", setting.table);
    table = setting.table;
    // A file name may hold control characters, which a comment may not.
    const std::string origin = TomlString(loaded.origins[i]);
    absl::StrAppendFormat(&text, "%s = %s  # %s\n", setting.key, TomlValue(setting, loaded.config),
                          origin.substr(1, origin.size() - 2));
  }
  return text;
}

std::string ConfigurationMarkdown(const Program& program) {
  std::string text = absl::Substitute(
      std::string(kMarkdownHead), program.name,
      absl::StrJoin(program.defaults.server.addresses, "\", \"",
                    [](std::string* out, const Address& each) { out->append(each.ToString()); }));
  if (!program.example.empty()) text += "\n" + program.example;
  std::string_view table;
  for (const Setting& setting : program.settings) {
    if (setting.table != table) {
      absl::StrAppendFormat(&text,
                            "\n## [%s]\n\n"
                            "| key | flag, variable | default | allowed | meaning |\n"
                            "|---|---|---|---|---|\n",
                            setting.table);
    }
    table = setting.table;
    absl::StrAppendFormat(&text, "| `%s` | `--%s` `%s` | `%s` | %s | %s |\n", setting.key,
                          setting.flag, setting.variable(), TomlValue(setting, program.defaults),
                          Cell(setting.allowed), Cell(setting.description()));
  }
  return text;
}

std::string BackendTable(std::span<const BackendAvailability> backends) {
  std::string text = "backend   works  reason\n";
  for (const BackendAvailability& backend : backends) {
    std::string line = absl::StrFormat("%-9s %-5s  %s", BackendName(backend.kind),
                                       backend.available ? "yes" : "no", backend.reason);
    line.erase(line.find_last_not_of(' ') + 1);
    text += line + "\n";
  }
  return text;
}

}  // namespace quintet::program
