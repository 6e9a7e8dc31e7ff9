#include "apps/program/command_line.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>
#include <memory>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "apps/program/nearest.h"
#include "reactor/version.h"

namespace quintet::program {
namespace {

struct ActionFlag {
  const char* name;
  Action action;
  const char* help;
};

constexpr std::array<ActionFlag, 6> kActionFlags = {{
    {"help", Action::kHelp, "Print this text."},
    {"help-markdown", Action::kHelpMarkdown, ""},
    {"version", Action::kVersion, "Print the version."},
    {"list-backends", Action::kListBackends,
     "Print which backends work on this machine, and why the others do not."},
    {"print-config", Action::kPrintConfig,
     "Print the effective settings as a configuration file, each with where it came from."},
    {"check-config", Action::kCheckConfig, "Check the configuration and end."},
}};

// The help text without CLI11's remarks on how often an option may be given.
class HelpFormatter final : public CLI::Formatter {
 public:
  std::string make_option_opts(const CLI::Option* option) const override {
    return option->get_type_size() == 0 ? "" : " " + option->get_type_name();
  }
};

// The command line as CLI11 sees it, and where it puts what it finds.
class Parser {
 public:
  explicit Parser(const Program& program)
      : program_(program),
        app_(absl::StrFormat("The %s server of Quintet %s: %s\nA flag wins over its environment "
                             "variable, which wins over the file.",
                             program.name, Version(), program.about)) {
    app_.name(program.subcommand.empty() ? program.name
                                         : absl::StrCat(program.name, " ", program.subcommand));
    app_.set_help_flag();  // it would end the parsing before errors are found
    app_.formatter(std::make_shared<HelpFormatter>());
    app_.allow_extras();  // so that unknown flags get an answer of ours
    values_.resize(settings().size());
    for (size_t i = 0; i < settings().size(); ++i) AddSetting(settings()[i], values_[i]);
    Describe(app_.add_option("--config", config_files_), "FILE",
             "Read settings from a TOML file.\nQUINTET_CONFIG")
        ->group("program");
    for (size_t i = 0; i < kActionFlags.size(); ++i) AddAction(kActionFlags[i], asked_[i]);
  }

  absl::StatusOr<CommandLine> Parse(std::span<const std::string> arguments) {
    for (const std::string& argument : arguments) {
      // CLI11 would take the next argument for the value.
      if (argument.starts_with("--") && argument.ends_with("=")) {
        return absl::InvalidArgumentError("flag " + argument.substr(0, argument.size() - 1) +
                                          ": the value after = is missing");
      }
    }
    try {
      // In the order of a stack, as CLI11 wants it.
      app_.parse(std::vector<std::string>(arguments.rbegin(), arguments.rend()));
    } catch (const CLI::ArgumentMismatch& error) {
      // "--flag: 1 required TEXT missing"
      const std::string message = error.what();
      return absl::InvalidArgumentError("flag " + message.substr(0, message.find(':')) +
                                        ": its value is missing");
    } catch (const CLI::Error& error) {
      return absl::InvalidArgumentError(error.what());
    }
    if (absl::Status status = CheckExtras(app_.remaining()); !status.ok()) return status;
    return Result();
  }

  std::string Help() const { return app_.help(); }

 private:
  const std::vector<Setting>& settings() const { return program_.settings; }

  static CLI::Option* Describe(CLI::Option* option, const std::string& placeholder,
                               const std::string& text) {
    // One value each time it is given: the following arguments are not its own.
    return option->type_name(placeholder)
        ->type_size(1)
        ->expected(1, CLI::detail::expected_max_vector_size)
        ->allow_extra_args(false)
        ->description(text);
  }

  void AddSetting(const Setting& setting, std::vector<std::string>& values) {
    const std::string initial = PlainValue(setting, program_.defaults);
    const std::string text =
        absl::StrFormat("%s\n%s; %s%s", setting.description(), setting.allowed,
                        initial.empty() ? "" : "default " + initial + "; ", setting.variable());
    CLI::Option* option =
        setting.form == TomlForm::kBoolean
            ? app_.add_flag("--" + setting.flag, values)->description(text)
            : Describe(app_.add_option("--" + setting.flag, values), setting.placeholder, text);
    option->group(setting.table);
  }

  void AddAction(const ActionFlag& flag, std::vector<std::string>& asked) {
    const std::string name = std::string("--") + flag.name;
    CLI::Option* option = app_.add_flag(flag.action == Action::kHelp ? "-h," + name : name, asked);
    // An empty group hides it.
    option->description(flag.help)->group(flag.action == Action::kHelpMarkdown ? "" : "program");
  }

  absl::Status CheckExtras(const std::vector<std::string>& extras) const {
    if (extras.empty()) return absl::OkStatus();
    const auto is_flag = [](const std::string& text) {
      return text.starts_with("-") && text != "--";
    };
    const auto flag = std::find_if(extras.begin(), extras.end(), is_flag);
    if (flag == extras.end()) {
      return absl::InvalidArgumentError("unexpected argument " + TomlString(extras.front()));
    }
    const std::string name = flag->substr(0, flag->find('='));
    std::vector<std::string> known = {"--config"};
    for (const Setting& setting : settings()) known.push_back("--" + setting.flag);
    for (const ActionFlag& action : kActionFlags) known.push_back(std::string("--") + action.name);
    return absl::InvalidArgumentError(
        absl::StrFormat("unknown flag %s; the nearest is %s", name, Nearest(name, known)));
  }

  absl::StatusOr<CommandLine> Result() {
    CommandLine result;
    for (size_t i = 0; i < kActionFlags.size(); ++i) {
      if (asked_[i].empty()) continue;
      if (asked_[i] != std::vector<std::string>(asked_[i].size(), "true")) {
        return absl::InvalidArgumentError(
            absl::StrFormat("flag --%s: takes no value", kActionFlags[i].name));
      }
      result.action = std::min(result.action, kActionFlags[i].action);
    }
    if (config_files_.size() > 1) {
      return absl::InvalidArgumentError("flag --config: is given more than once");
    }
    if (!config_files_.empty()) {
      result.config_file = config_files_.front();
      if (result.config_file.empty()) {
        return absl::InvalidArgumentError("flag --config: the name of the file is empty");
      }
    }
    for (size_t i = 0; i < settings().size(); ++i) {
      if (values_[i].empty()) continue;
      const std::string origin = "flag --" + settings()[i].flag;
      result.assignments.push_back({&settings()[i], std::move(values_[i]), origin, origin});
    }
    return result;
  }

  const Program& program_;
  CLI::App app_;
  std::vector<std::vector<std::string>> values_;  // as settings()
  std::vector<std::string> config_files_;
  std::array<std::vector<std::string>, kActionFlags.size()> asked_;
};

}  // namespace

absl::StatusOr<CommandLine> ParseCommandLine(const Program& program,
                                             std::span<const std::string> arguments) {
  return Parser(program).Parse(arguments);
}

std::string HelpText(const Program& program) { return Parser(program).Help(); }

}  // namespace quintet::program
