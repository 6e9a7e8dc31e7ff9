// The settings of programs, by the example of hello: each source, their precedence, what is said
// about mistakes.
#include "apps/program/settings.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <fstream>
#include <set>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "apps/echo/echo_program.h"
#include "apps/echo/echo_session.h"
#include "apps/hello/hello_program.h"
#include "apps/increment/increment_program.h"
#include "apps/program/config_file.h"
#include "apps/program/load.h"
#include "apps/program/nearest.h"
#include "apps/program/report.h"
#include "tests/support/scratch_directory.h"

namespace quintet::program {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using ::testing::HasSubstr;
using ::testing::Not;

const Program& Hello() { return hello::HelloProgram(); }
std::vector<const Program*> Programs() {
  return {&Hello(), &echo::EchoProgram(), &increment::IncrementProgram()};
}
const std::vector<Setting>& Settings() { return Hello().settings; }
const Setting& SettingOfFlag(std::string_view flag) { return SettingOfFlag(Settings(), flag); }
absl::StatusOr<CommandLine> ParseCommandLine(const std::vector<std::string>& arguments) {
  return ParseCommandLine(Hello(), arguments);
}

// Runs every test with a file of its own.
class SettingsTest : public ::testing::Test {
 protected:
  void WriteFile(const std::string& text) const { testing::WriteFile(file_, text); }

  static absl::StatusOr<LoadedConfig> LoadFrom(const std::vector<std::string>& arguments,
                                               const Environment& environment = {}) {
    const absl::StatusOr<CommandLine> command_line = ParseCommandLine(arguments);
    if (!command_line.ok()) return command_line.status();
    return Load(Hello(), *command_line, environment);
  }

  absl::StatusOr<LoadedConfig> LoadFile(const std::string& text) const {
    WriteFile(text);
    return LoadFrom({"--config", file_});
  }

  static std::string ErrorOf(const absl::StatusOr<LoadedConfig>& loaded) {
    return loaded.ok() ? "no error" : std::string(loaded.status().message());
  }
  // The error of a file, with its name cut off.
  std::string FileError(const std::string& text) const {
    const std::string error = ErrorOf(LoadFile(text));
    EXPECT_TRUE(error.starts_with(file_ + ":")) << error;
    return error.substr(std::min(error.size(), file_.size()));
  }

  static std::string OriginOf(const LoadedConfig& loaded, std::string_view flag) {
    return loaded.origins[static_cast<size_t>(&SettingOfFlag(flag) - Settings().data())];
  }

  const testing::ScratchDirectory directory_;
  const std::string file_ = directory_ / "hello.toml";
};

// All values as text, in the order of the table.
std::vector<std::string> Values(const Config& config) {
  std::vector<std::string> values;
  for (const Setting& setting : Settings()) values.push_back(TomlValue(setting, config));
  return values;
}

// What must be said, too, so that a setting means something.
std::vector<std::string> ModelFor(const Setting& setting) {
  if (setting.BelongsTo(ServerModel::kReactor)) return {};
  return {"--model=" + std::string(ServerModelName(setting.models.front()))};
}

std::vector<std::string> operator+(std::vector<std::string> list, const std::string& last) {
  list.push_back(last);
  return list;
}

// For each setting a value that is not its default and, with ModelFor(), breaks no rule.
std::string OtherValue(const Setting& setting) {
  if (setting.flag == "listen") return "[::1]:81";
  if (setting.flag == "model") return "fork";
  if (setting.flag == "at-cap") return "refuse";
  if (setting.flag == "min-workers") return "2";
  if (setting.flag == "accept") return "poll";
  if (setting.flag == "backend") return "poll";
  if (setting.flag == "listen-policy") return "handoff";
  if (setting.flag == "listen-steer") return "cpu";
  if (setting.flag == "pin") return "false";
  if (setting.flag == "worker-kind") return "process";
  if (setting.flag == "daemon") return "true";
  if (setting.flag == "proxy-protocol") return "true";
  if (setting.flag == "shards") return "auto";
  if (setting.flag == "server-name") return "quintet \"7\" \\";
  if (setting.flag == "uring-recv-buffers") return "512";
  if (setting.flag == "uring-cq-entries") return "8192";
  if (setting.flag == "output-high-mark") return "20002";
  if (setting.flag == "output-cap") return "17MiB";
  if (setting.placeholder == "DURATION") return "1234ms";
  if (setting.placeholder == "SIZE") return "20001";
  return "255";
}

TEST_F(SettingsTest, NamesAreUniqueAndOfOneForm) {
  for (const Program* program : Programs()) {
    std::set<std::string> flags;
    std::set<std::string> paths;
    std::vector<std::string> tables;
    for (const Setting& setting : program->settings) {
      EXPECT_TRUE(flags.insert(setting.flag).second) << setting.flag;
      EXPECT_TRUE(paths.insert(setting.path()).second) << setting.path();
      if (tables.empty() || tables.back() != setting.table) tables.push_back(setting.table);
      EXPECT_THAT(setting.flag, ::testing::MatchesRegex("[a-z-]+"));
      EXPECT_THAT(setting.path(), ::testing::MatchesRegex("[a-z_]+\\.[a-z_]+"));
      EXPECT_THAT(setting.variable(), ::testing::MatchesRegex("QUINTET_[A-Z_]+"));
      EXPECT_TRUE(setting.help.ends_with(".")) << setting.help;
      EXPECT_THAT(setting.allowed, Not(HasSubstr("|")));
    }
    EXPECT_EQ(std::set<std::string>(tables.begin(), tables.end()).size(), tables.size());
    EXPECT_EQ(tables.back(), "process");
  }
  EXPECT_EQ(SettingOfFlag("keep-alive-timeout").variable(), "QUINTET_KEEP_ALIVE_TIMEOUT");
}

// What one program has of its own is no other's business, and the rest is everybody's.
TEST_F(SettingsTest, ProgramsDifferInTheirOwnSettingsOnly) {
  const auto own = [](const Program& program, const Program& other) {
    std::set<std::string> flags;
    for (const Setting& setting : program.settings) flags.insert(setting.flag);
    for (const Setting& setting : other.settings) flags.erase(setting.flag);
    return flags;
  };
  const Program& echo = echo::EchoProgram();
  const Program& increment = increment::IncrementProgram();
  EXPECT_THAT(own(echo, Hello()), ::testing::ElementsAre("idle-timeout", "reply", "total-timeout"));
  EXPECT_THAT(own(echo, increment), ::testing::ElementsAre("reply"));
  EXPECT_THAT(own(increment, echo), ::testing::IsEmpty());
  EXPECT_THAT(own(Hello(), echo), ::testing::Contains("max-body"));
  EXPECT_THAT(own(Hello(), echo), Not(::testing::Contains("listen")));

  const absl::StatusOr<CommandLine> flags = ParseCommandLine(
      echo, std::vector<std::string>{"--reply", "OK", "--idle-timeout=7s", "--total-timeout=8s"});
  ASSERT_TRUE(flags.ok()) << flags.status();
  const absl::StatusOr<LoadedConfig> loaded = Load(echo, *flags, {});
  ASSERT_TRUE(loaded.ok()) << loaded.status();
  const echo::EchoOptions& options = Own<echo::EchoOptions>(loaded->config);
  EXPECT_EQ(options.reply, "OK");
  EXPECT_EQ(options.timeouts.idle, seconds(7));
  EXPECT_EQ(options.timeouts.total, seconds(8));
  EXPECT_THAT(HelpText(echo), HasSubstr("A message is a line"));
  EXPECT_THAT(ConfigText(echo, *loaded), HasSubstr("\n[echo]\nreply = \"OK\"  # flag --reply\n"));
}

TEST_F(SettingsTest, TheNamesOfTheIssueAreThere) {
  for (const auto& [flag, path] :
       std::vector<std::pair<std::string, std::string>>{{"listen", "listen.addresses"},
                                                        {"backlog", "listen.backlog"},
                                                        {"backend", "reactor.backend"},
                                                        {"model", "server.model"},
                                                        {"shards", "workers.count"}}) {
    EXPECT_EQ(SettingOfFlag(flag).path(), path);
  }
}

TEST_F(SettingsTest, DefaultsAreTheLibrarys) {
  const absl::StatusOr<LoadedConfig> loaded = LoadFrom({});
  ASSERT_TRUE(loaded.ok()) << loaded.status();
  Config expected;
  expected.server.addresses = {*Address::Parse("127.0.0.1:8080")};
  expected.own = hello::HelloOptions();
  EXPECT_EQ(Values(loaded->config), Values(expected));
  EXPECT_THAT(loaded->origins, ::testing::Each("default"));
}

// Sets a field and nothing else: otherwise two rows share one.
TEST_F(SettingsTest, EachFlagSetsItsOwnField) {
  for (size_t i = 0; i < Settings().size(); ++i) {
    const Setting& setting = Settings()[i];
    const std::vector<std::string> defaults = Values(LoadFrom(ModelFor(setting))->config);
    const absl::StatusOr<LoadedConfig> loaded =
        LoadFrom(ModelFor(setting) + ("--" + setting.flag + "=" + OtherValue(setting)));
    ASSERT_TRUE(loaded.ok()) << loaded.status();
    EXPECT_EQ(PlainValue(setting, loaded->config), OtherValue(setting)) << setting.flag;
    EXPECT_EQ(loaded->origins[i], "flag --" + setting.flag);
    const std::vector<std::string> values = Values(loaded->config);
    for (size_t j = 0; j < values.size(); ++j) {
      EXPECT_EQ(values[j] != defaults[j], i == j) << setting.flag << ", " << Settings()[j].flag;
    }
  }
}

TEST_F(SettingsTest, EachVariableSetsItsField) {
  for (size_t i = 0; i < Settings().size(); ++i) {
    const Setting& setting = Settings()[i];
    const absl::StatusOr<LoadedConfig> loaded =
        LoadFrom(ModelFor(setting), {{setting.variable(), OtherValue(setting)}});
    ASSERT_TRUE(loaded.ok()) << loaded.status();
    EXPECT_EQ(PlainValue(setting, loaded->config), OtherValue(setting)) << setting.flag;
    EXPECT_EQ(loaded->origins[i], "environment " + setting.variable());
  }
}

TEST_F(SettingsTest, EachKeySetsItsField) {
  for (size_t i = 0; i < Settings().size(); ++i) {
    const Setting& setting = Settings()[i];
    std::string value = OtherValue(setting);
    if (setting.is_list()) {
      value = "[" + TomlString(value) + "]";
    } else if (setting.form == TomlForm::kString || value == "auto" || value.ends_with("iB")) {
      value = TomlString(value);
    }
    WriteFile("\n[" + setting.table + "]\n" + setting.key + " = " + value + "\n");
    const absl::StatusOr<LoadedConfig> loaded = LoadFrom(ModelFor(setting) + ("--config=" + file_));
    ASSERT_TRUE(loaded.ok()) << loaded.status();
    EXPECT_EQ(PlainValue(setting, loaded->config), OtherValue(setting)) << setting.flag;
    EXPECT_EQ(loaded->origins[i], file_ + ":3");
  }
}

TEST_F(SettingsTest, ValuesReachTheOptions) {
  const absl::StatusOr<LoadedConfig> loaded =
      LoadFrom({"--backend", "select", "--shards", "auto", "--pin=false", "--keep-alive-timeout",
                "1h30m", "--header-timeout=250ms", "--drain-timeout", "0s", "--max-body", "3MiB",
                "--max-header", "4096", "--backlog", "7", "--server-name", "x"});
  ASSERT_TRUE(loaded.ok()) << loaded.status();
  const Config& config = loaded->config;
  const http::Options& http = hello::OptionsOf(config).http;
  EXPECT_EQ(config.server.loop.backend.kind, BackendKind::kSelect);
  EXPECT_EQ(config.server.shards, 0);
  EXPECT_FALSE(config.server.pin);
  EXPECT_EQ(http.timeouts.keep_alive, seconds(5400));
  EXPECT_EQ(http.timeouts.header, milliseconds(250));
  EXPECT_EQ(config.server.drain_timeout, seconds(0));
  EXPECT_EQ(http.limits.body_bytes, 3u << 20);
  EXPECT_EQ(http.limits.header_bytes, 4096u);
  EXPECT_EQ(config.server.backlog, 7);
  EXPECT_EQ(http.server_name, "x");
}

TEST_F(SettingsTest, FlagBeatsEnvironmentBeatsFileBeatsDefault) {
  WriteFile(
      "[listen]\n"
      "addresses = [\"127.0.0.1:1\", \"127.0.0.1:2\"]\n"
      "backlog = 11\n"
      "[reactor]\n"
      "backend = \"poll\"\n"
      "[http]\n"
      "server_name = \"file\"\n");
  const Environment environment = {{"QUINTET_CONFIG", file_},
                                   {"QUINTET_BACKEND", "epoll_lt"},
                                   {"QUINTET_LISTEN", "[::1]:3,unix:@a"},
                                   {"QUINTET_SERVER_NAME", ""}};
  const absl::StatusOr<LoadedConfig> loaded =
      LoadFrom({"--listen", "127.0.0.1:4", "--listen=unix:/b"}, environment);
  ASSERT_TRUE(loaded.ok()) << loaded.status();
  // A list replaces the list of a lower source.
  EXPECT_EQ(PlainValue(SettingOfFlag("listen"), loaded->config), "127.0.0.1:4,unix:/b");
  EXPECT_EQ(OriginOf(*loaded, "listen"), "flag --listen");
  EXPECT_EQ(PlainValue(SettingOfFlag("backend"), loaded->config), "epoll_lt");
  EXPECT_EQ(OriginOf(*loaded, "backend"), "environment QUINTET_BACKEND");
  EXPECT_EQ(PlainValue(SettingOfFlag("backlog"), loaded->config), "11");
  EXPECT_EQ(OriginOf(*loaded, "backlog"), file_ + ":3");
  EXPECT_EQ(PlainValue(SettingOfFlag("shards"), loaded->config), "1");
  EXPECT_EQ(OriginOf(*loaded, "shards"), "default");
  // An empty variable counts as not set.
  EXPECT_EQ(PlainValue(SettingOfFlag("server-name"), loaded->config), "file");

  const absl::StatusOr<LoadedConfig> without_flag = LoadFrom({}, environment);
  ASSERT_TRUE(without_flag.ok()) << without_flag.status();
  EXPECT_EQ(PlainValue(SettingOfFlag("listen"), without_flag->config), "[::1]:3,unix:@a");
}

TEST_F(SettingsTest, TheFileOfTheFlagBeatsTheFileOfTheEnvironment) {
  WriteFile("[listen]\nbacklog = 3\n");
  const absl::StatusOr<LoadedConfig> loaded =
      LoadFrom({"--config", file_}, {{"QUINTET_CONFIG", "/no/such/file"}});
  ASSERT_TRUE(loaded.ok()) << loaded.status();
  EXPECT_EQ(loaded->config.server.backlog, 3);
}

TEST_F(SettingsTest, MistakesOnTheCommandLine) {
  const std::vector<std::pair<std::vector<std::string>, std::string>> cases = {
      {{"--backend", "epol"},
       "flag --backend: \"epol\" is not allowed; allowed: auto, select, poll, epoll_lt, epoll_et, "
       "io_uring"},
      {{"--backend", "sim"},
       "flag --backend: \"sim\" is not allowed; allowed: auto, select, poll, epoll_lt, epoll_et, "
       "io_uring"},
      {{"--backlog", "0"},
       "flag --backlog: \"0\" is not allowed; allowed: an integer from 1 to 65535"},
      {{"--backlog", "65536"},
       "flag --backlog: \"65536\" is not allowed; allowed: an integer from 1 to 65535"},
      {{"--backlog", "-5"},
       "flag --backlog: \"-5\" is not allowed; allowed: an integer from 1 to 65535"},
      {{"--backlog", "7x"},
       "flag --backlog: \"7x\" is not allowed; allowed: an integer from 1 to 65535"},
      {{"--backlog", "1", "--backlog", "2"},
       "flag --backlog: is given more than once; allowed: an integer from 1 to 65535"},
      {{"--backlog"}, "flag --backlog: its value is missing"},
      {{"--backlog=", "--pin"}, "flag --backlog: the value after = is missing"},
      {{"--shards", "0"},
       "flag --shards: \"0\" is not allowed; allowed: auto, or an integer from 1 to 1024"},
      {{"--pin=maybe"}, "flag --pin: \"maybe\" is not allowed; allowed: true, false"},
      {{"--body-timeout", "30"},
       "flag --body-timeout: \"30\" is not allowed; allowed: a duration such as \"500ms\" or "
       "\"5m\", at most 8760h"},
      {{"--body-timeout", "-1s"},
       "flag --body-timeout: \"-1s\" is not allowed; allowed: a duration such as \"500ms\" or "
       "\"5m\", at most 8760h"},
      {{"--body-timeout", "inf"},
       "flag --body-timeout: \"inf\" is not allowed; allowed: a duration such as \"500ms\" or "
       "\"5m\", at most 8760h"},
      {{"--body-timeout", "8761h"},
       "flag --body-timeout: \"8761h\" is not allowed; allowed: a duration such as \"500ms\" or "
       "\"5m\", at most 8760h"},
      {{"--linger-cap", "64KB"},
       "flag --linger-cap: \"64KB\" is not allowed; allowed: a size such as 65536 or \"64KiB\", "
       "from 0 to 1GiB"},
      {{"--linger-cap", "16777216TiB"},
       "flag --linger-cap: \"16777216TiB\" is not allowed; allowed: a size such as 65536 or "
       "\"64KiB\", from 0 to 1GiB"},
      {{"--linger-cap", "99999999999999999999"},
       "flag --linger-cap: \"99999999999999999999\" is not allowed; allowed: a size such as 65536 "
       "or \"64KiB\", from 0 to 1GiB"},
      {{"--uring-recv-buffers", "300"},
       "flag --uring-recv-buffers: \"300\" is not allowed; allowed: a power of two from 2 to "
       "32768"},
      {{"--server-name", "a\r\nSet-Cookie: b"},
       "flag --server-name: \"a\\u000D\\u000ASet-Cookie: b\" is not allowed; allowed: at most 256 "
       "bytes of printable ASCII"},
      {{"--listen", "localhost:80"},
       "flag --listen: address \"localhost:80\": \"localhost\" is not an IPv4 address (names are "
       "not resolved); allowed: IPV4:PORT, [IPV6]:PORT, unix:PATH, unix:@NAME"},
      {{"--bakend", "poll"}, "unknown flag --bakend; the nearest is --backend"},
      {{"--listne=127.0.0.1:1"}, "unknown flag --listne; the nearest is --listen"},
      {{"--confg", "x"}, "unknown flag --confg; the nearest is --config"},
      {{"--verison"}, "unknown flag --verison; the nearest is --version"},
      {{"extra"}, "unexpected argument \"extra\""},
      {{"--listen", "127.0.0.1:1", "127.0.0.1:2"}, "unexpected argument \"127.0.0.1:2\""},
      {{"--help=3"}, "flag --help: takes no value"},
      {{"--config", "a", "--config", "b"}, "flag --config: is given more than once"},
      {{"--config", ""}, "flag --config: the name of the file is empty"},
      {{"--config", "/no/such/file"},
       "configuration file /no/such/file: ENOENT (No such file or directory)"},
      {{"--config", "/tmp"}, "configuration file /tmp: EISDIR (Is a directory)"},
      {{"--config", "/dev/zero"}, "configuration file /dev/zero: has more than 1048576 bytes"},
  };
  for (const auto& [arguments, error] : cases) EXPECT_EQ(ErrorOf(LoadFrom(arguments)), error);
}

TEST_F(SettingsTest, MistakesInTheEnvironment) {
  const auto error = [](const std::string& name, const std::string& value) {
    return ErrorOf(LoadFrom({}, {{name, value}}));
  };
  EXPECT_EQ(error("QUINTET_BACKEND", "uring"),
            "environment QUINTET_BACKEND: \"uring\" is not allowed; allowed: auto, select, poll, "
            "epoll_lt, epoll_et, io_uring");
  EXPECT_EQ(error("QUINTET_LISTEN", "127.0.0.1:1,"),
            "environment QUINTET_LISTEN: address \"\": is empty; allowed: IPV4:PORT, [IPV6]:PORT, "
            "unix:PATH, unix:@NAME");
  EXPECT_EQ(error("QUINTET_BAKEND", "poll"),
            "environment QUINTET_BAKEND: unknown variable; the nearest is QUINTET_BACKEND");
  // Somebody else's.
  EXPECT_EQ(error("QUINTET_REQUIRE_IO_URING", "1"), "no error");
  EXPECT_EQ(error("QUINTET_NO_INSTALL", "1"), "no error");
  EXPECT_EQ(error("BACKEND", "1"), "no error");
  EXPECT_EQ(error("QUINTET_CONFIG", "/no/such/file"),
            "configuration file /no/such/file: ENOENT (No such file or directory)");
}

TEST_F(SettingsTest, MistakesInTheFile) {
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"[reactor]\n\nbackend = \"epol\"\n",
       ":3: reactor.backend: \"epol\" is not allowed; allowed: auto, select, poll, epoll_lt, "
       "epoll_et, io_uring"},
      {"[reactor]\nbackend = 5\n",
       ":2: reactor.backend: 5 is not allowed; allowed: auto, select, poll, epoll_lt, epoll_et, "
       "io_uring"},
      {"[listen]\nbacklog = \"7\"\n",
       ":2: listen.backlog: \"7\" is not allowed; allowed: an integer from 1 to 65535"},
      {"[listen]\nbacklog = 0\n",
       ":2: listen.backlog: \"0\" is not allowed; allowed: an integer from 1 to 65535"},
      {"[listen]\nbacklog = 1.5\n",
       ":2: listen.backlog: a value of type floating-point is not allowed; allowed: an integer "
       "from 1 to 65535"},
      {"[listen]\naddresses = \"127.0.0.1:80\"\n",
       ":2: listen.addresses: \"127.0.0.1:80\" is not allowed; allowed: a list of strings, each "
       "IPV4:PORT, [IPV6]:PORT, unix:PATH, unix:@NAME"},
      {"[listen]\naddresses = [8080]\n",
       ":2: listen.addresses: a value of type array is not allowed; allowed: a list of strings, "
       "each IPV4:PORT, [IPV6]:PORT, unix:PATH, unix:@NAME"},
      {"[listen]\naddresses = []\n",
       ":2: listen.addresses: the list is empty; allowed: IPV4:PORT, [IPV6]:PORT, unix:PATH, "
       "unix:@NAME"},
      {"[process]\npid_file = \"a\\u0000b\"\n",
       ":2: process.pid_file: \"a\\u0000b\" is not allowed; allowed: a path of at most 4095 bytes"},
      {"[workers]\npin = \"true\"\n",
       ":2: workers.pin: \"true\" is not allowed; allowed: true, false"},
      {"[timeouts]\nbody = 30\n",
       ":2: timeouts.body: 30 is not allowed; allowed: a duration such as \"500ms\" or \"5m\", at "
       "most 8760h"},
      {"[reactor]\nbackedn = \"poll\"\n",
       ":2: unknown key reactor.backedn; the nearest is reactor.backend"},
      {"[listen]\nbackend = \"poll\"\n",
       ":2: unknown key listen.backend; the nearest is reactor.backend"},
      {"backend = \"poll\"\n", ":1: unknown key backend; the nearest is reactor.backend"},
      {"\n[timeout]\nbody = \"1s\"\n", ":2: unknown table [timeout]; the nearest is [timeouts]"},
      // One line, whatever the key holds.
      {"[http]\n\"no\\nsuch\" = 1\n",
       ":2: unknown key http.\"no\\u000Asuch\"; the nearest is http.max_body"},
      {"[\"two\\nlines\"]\na = 1\n",
       ":1: unknown table [\"two\\u000Alines\"]; the nearest is [workers]"},
      {"\"a\\tb\" = 1\n", ":1: unknown key \"a\\u0009b\"; the nearest is cgi.dir"},
      {"[[listen]]\nbacklog = 1\n",
       ":1: listen: is a value of type array; allowed: a table, [listen]"},
      {"http = 1\n", ":1: http: is 1; allowed: a table, [http]"},
      // The first in the file, not the first of the alphabet.
      {"[workers]\ncuont = 1\n[listen]\nbaklog = 1\n",
       ":2: unknown key workers.cuont; the nearest is workers.count"},
  };
  for (const auto& [text, error] : cases) EXPECT_EQ(FileError(text), error) << text;

  // What is no TOML: the text is the parser's.
  EXPECT_THAT(FileError("[listen]\nbacklog = 1\nbacklog = 2\n"), ::testing::StartsWith(":3: "));
  EXPECT_THAT(FileError("[listen\n"), ::testing::StartsWith(":1: "));
  EXPECT_THAT(FileError("[http]\nserver_name = \"\xff\"\n"), ::testing::StartsWith(":2: "));
  // It quotes the file, here with the end of the line.
  EXPECT_THAT(FileError("a = i\n"), ::testing::EndsWith("saw 'i\\u000A'"));
}

TEST_F(SettingsTest, AMistakeCountsAlsoWhereAnotherSourceWins) {
  WriteFile("[listen]\nbacklog = 0\n");
  EXPECT_EQ(
      ErrorOf(LoadFrom({"--config", file_, "--backlog", "5"})),
      file_ + ":2: listen.backlog: \"0\" is not allowed; allowed: an integer from 1 to 65535");
}

TEST_F(SettingsTest, SettingsMustFitTogether) {
  EXPECT_EQ(ErrorOf(LoadFrom({"--output-low-mark", "64KiB"})),
            "connections.output_low_mark = \"64KiB\" (flag --output-low-mark) must be below "
            "connections.output_high_mark = \"64KiB\" (default)");
  EXPECT_EQ(ErrorOf(LoadFrom({}, {{"QUINTET_OUTPUT_CAP", "65535"}})),
            "connections.output_high_mark = \"64KiB\" (default) must not be above "
            "connections.output_cap = 65535 (environment QUINTET_OUTPUT_CAP)");
  EXPECT_EQ(ErrorOf(LoadFile("[io_uring]\ncq_entries = 128\n")),
            "io_uring.sq_entries = 256 (default) must not be above io_uring.cq_entries = 128 (" +
                file_ + ":2)");
  EXPECT_EQ(ErrorOf(LoadFrom({"--listen", "127.0.0.1:1", "--listen", "127.0.0.1:1"})),
            "listen.addresses = [\"127.0.0.1:1\", \"127.0.0.1:1\"] (flag --listen) names "
            "127.0.0.1:1 twice");
  EXPECT_EQ(ErrorOf(LoadFrom({"--listen-steer", "cpu", "--listen-policy", "shared"})),
            "listen.steer = \"cpu\" (flag --listen-steer) needs a socket per worker, but "
            "listen.policy = \"shared\" (flag --listen-policy)");
  EXPECT_EQ(ErrorOf(LoadFrom({"--listen", "127.0.0.1:0", "--listen", "127.0.0.1:0"})), "no error");
}

TEST_F(SettingsTest, ASettingMustMeanSomethingToTheModel) {
  EXPECT_EQ(ErrorOf(LoadFrom({"--model", "iterative", "--backend", "io_uring"})),
            "reactor.backend = \"io_uring\" (flag --backend) is for model reactor, but "
            "server.model = \"iterative\" (flag --model)");
  EXPECT_EQ(ErrorOf(LoadFrom({"--max-children", "7"}, {{"QUINTET_MODEL", "prefork"}})),
            "model.max_children = 7 (flag --max-children) is for model fork, thread, but "
            "server.model = \"prefork\" (environment QUINTET_MODEL)");
  EXPECT_EQ(ErrorOf(LoadFile("[model]\naccept = \"epoll\"\n")),
            "model.accept = \"epoll\" (" + file_ +
                ":2) is for model prefork, but server.model = \"reactor\" (default)");
  for (const Program* program : Programs()) {
    for (const Setting& setting : program->settings) {
      if (setting.flag == "model") continue;
      for (const ServerModel model : kServerModels) {
        const std::string name(ServerModelName(model));
        const std::vector<std::string> other = {"--" + setting.flag + "=" + OtherValue(setting)};
        const absl::Status status =
            Load(*program, *ParseCommandLine(*program, other + ("--model=" + name)), {}).status();
        EXPECT_EQ(absl::StrContains(std::string(status.message()), " is for model "),
                  !setting.BelongsTo(model))
            << setting.path() << ", " << name << ": " << status;
        // What keeps its default says nothing, whoever wrote it down.
        const std::string same = PlainValue(setting, program->defaults);
        if (same.empty()) continue;
        const absl::StatusOr<CommandLine> written = ParseCommandLine(
            *program,
            std::vector<std::string>{"--model=" + name, "--" + setting.flag + "=" + same});
        EXPECT_TRUE(Load(*program, *written, {}).ok()) << setting.path() << ", " << name;
      }
    }
  }
}

TEST_F(SettingsTest, SettingsOfAModelMustFitTogether) {
  EXPECT_EQ(ErrorOf(LoadFrom({"--model=prefork", "--min-workers=5"})),
            "model.min_workers = 5 (flag --min-workers) must not be above model.max_workers = 4 "
            "(default)");
  EXPECT_EQ(ErrorOf(LoadFrom({"--model=prefork", "--max-workers=5", "--accept=reuseport"})),
            "model.max_workers = 5 (flag --max-workers) is not min_workers, but nobody else "
            "serves what waits at a worker's socket: model.accept = \"reuseport\" (flag "
            "--accept)");
  EXPECT_EQ(
      ErrorOf(LoadFrom({"--model=prefork", "--idle-worker-timeout=0s", "--max-workers=5"})),
      "model.idle_worker_timeout = \"0s\" (flag --idle-worker-timeout) would end each process "
      "beyond min_workers at once: model.max_workers = 5 (flag --max-workers)");
  EXPECT_EQ(ErrorOf(LoadFrom({"--model=prefork", "--listen=127.0.0.1:1", "--listen=unix:/b"})),
            "listen.addresses = [\"127.0.0.1:1\", \"unix:/b\"] (flag --listen) is more than "
            "the one address that a process can block at: model.accept = \"blocking\" (default)");
  EXPECT_EQ(ErrorOf(LoadFrom({"--model=prefork", "--listen-steer=cpu", "--accept=poll"})),
            "listen.steer = \"cpu\" (flag --listen-steer) needs a socket per worker, but "
            "model.accept = \"poll\" (flag --accept)");
  EXPECT_EQ(ErrorOf(LoadFrom({"--model=prefork", "--listen-steer=cpu", "--accept=reuseport"})),
            "no error");
  EXPECT_EQ(ErrorOf(LoadFrom({"--model=thread", "--listen=127.0.0.1:1", "--listen=unix:/b"})),
            "no error");
}

TEST_F(SettingsTest, PrintedConfigurationReadsBackTheSame) {
  std::vector<std::vector<std::string>> lines = {{}};
  for (const ServerModel model : kServerModels) {
    std::vector<std::string> arguments = {"--model=" + std::string(ServerModelName(model)),
                                          "--listen=unix:/tmp/\"quoted\\\n"};
    // With the reactor steering goes with the default policy only, and else with one way to accept.
    const std::string left_out = model == ServerModel::kReactor ? "listen-policy" : "listen-steer";
    for (const Setting& setting : Settings()) {
      if (!setting.BelongsTo(model) || setting.flag == left_out || setting.flag == "model") {
        continue;
      }
      arguments.push_back("--" + setting.flag + "=" + OtherValue(setting));
    }
    lines.push_back(std::move(arguments));
  }
  for (const std::vector<std::string>& arguments : lines) {
    const absl::StatusOr<LoadedConfig> loaded = LoadFrom(arguments);
    ASSERT_TRUE(loaded.ok()) << loaded.status();
    const absl::StatusOr<LoadedConfig> again = LoadFile(ConfigText(Hello(), *loaded));
    ASSERT_TRUE(again.ok()) << again.status() << "\n" << ConfigText(Hello(), *loaded);
    EXPECT_EQ(Values(again->config), Values(loaded->config));
    for (const std::string& origin : again->origins) EXPECT_THAT(origin, HasSubstr(file_));
  }
}

TEST_F(SettingsTest, PrintedConfigurationSaysWhereValuesCameFrom) {
  WriteFile("[reactor]\nbackend = \"poll\"\n");
  const absl::StatusOr<LoadedConfig> loaded =
      LoadFrom({"--config", file_, "--shards", "3"}, {{"QUINTET_BACKLOG", "9"}});
  ASSERT_TRUE(loaded.ok()) << loaded.status();
  const std::string text = ConfigText(Hello(), *loaded);
  EXPECT_THAT(text, HasSubstr("[listen]\naddresses = [\"127.0.0.1:8080\"]  # default\n"
                              "backlog = 9  # environment QUINTET_BACKLOG\n"));
  EXPECT_THAT(text, HasSubstr("\n[reactor]\nbackend = \"poll\"  # " + file_ + ":2\n"));
  EXPECT_THAT(text, HasSubstr("\n[workers]\nkind = \"thread\"  # default\n"
                              "count = 3  # flag --shards\n"));
}

TEST_F(SettingsTest, ActionsAreFound) {
  const auto action = [](const std::vector<std::string>& arguments) {
    return ParseCommandLine(arguments)->action;
  };
  EXPECT_EQ(action({}), Action::kServe);
  EXPECT_EQ(action({"--backend", "poll"}), Action::kServe);
  EXPECT_EQ(action({"-h"}), Action::kHelp);
  EXPECT_EQ(action({"--help"}), Action::kHelp);
  EXPECT_EQ(action({"--version"}), Action::kVersion);
  EXPECT_EQ(action({"--list-backends"}), Action::kListBackends);
  EXPECT_EQ(action({"--check-config"}), Action::kCheckConfig);
  EXPECT_EQ(action({"--check-config", "--print-config"}), Action::kPrintConfig);
  EXPECT_EQ(action({"--print-config", "--help"}), Action::kHelp);
}

TEST_F(SettingsTest, HelpNamesEverySetting) {
  const std::string help = HelpText(Hello());
  for (const Setting& setting : Settings()) {
    EXPECT_THAT(help, HasSubstr("--" + setting.flag +
                                (setting.form == TomlForm::kBoolean ? std::string(" ")
                                                                    : " " + setting.placeholder)));
    EXPECT_THAT(help, HasSubstr(setting.description()));
    EXPECT_THAT(help, HasSubstr(setting.allowed));
    EXPECT_THAT(help, HasSubstr(setting.variable() + "\n"));
  }
  EXPECT_THAT(help, HasSubstr("--list-backends "));
  EXPECT_THAT(help, HasSubstr("--config FILE"));
  EXPECT_THAT(help, Not(HasSubstr("--help-markdown")));
}

TEST_F(SettingsTest, DocumentationIsTheGeneratedOne) {
  std::ifstream file(QUINTET_SOURCE_DIR "/docs/configuration.md");
  ASSERT_TRUE(file.is_open());
  std::stringstream text;
  text << file.rdbuf();
  EXPECT_EQ(text.str(), ConfigurationMarkdown(Hello()))
      << "write it again: hello --help-markdown > docs/configuration.md";
}

TEST_F(SettingsTest, DocumentationShowsAValidFile) {
  for (const Program* program : Programs()) {
    // The indented block of the text.
    std::stringstream markdown(ConfigurationMarkdown(*program));
    std::string example;
    for (std::string line; std::getline(markdown, line);) {
      if (line.starts_with("    ")) example += line.substr(4) + "\n";
    }
    EXPECT_THAT(example, HasSubstr("[listen]"));
    const absl::StatusOr<std::vector<Assignment>> assignments =
        ParseConfig(program->settings, example, "example");
    ASSERT_TRUE(assignments.ok()) << assignments.status();
    const absl::StatusOr<LoadedConfig> loaded =
        Load(*program, CommandLine{.assignments = *assignments}, {});
    EXPECT_TRUE(loaded.ok()) << loaded.status();
  }
}

TEST_F(SettingsTest, BackendTableHasOneLineEach) {
  const std::vector<BackendAvailability> backends = {
      {BackendKind::kSelect, true, ""},
      {BackendKind::kIoUring, false, "io_uring_setup: ENOSYS (Function not implemented)"}};
  EXPECT_EQ(BackendTable(backends),
            "backend   works  reason\n"
            "select    yes\n"
            "io_uring  no     io_uring_setup: ENOSYS (Function not implemented)\n");
}

TEST(ValueTest, DurationsPrintInTheLargestUnitThatHoldsThem) {
  const ValueType<Duration> type = DurationValue(std::chrono::hours(100));
  for (const auto& [text, printed] :
       std::vector<std::pair<std::string, std::string>>{{"0", "0s"},
                                                        {"0s", "0s"},
                                                        {"75s", "75s"},
                                                        {"300s", "5m"},
                                                        {"90m", "90m"},
                                                        {"1h30m", "90m"},
                                                        {"2h", "2h"},
                                                        {"1.5s", "1500ms"},
                                                        {"1ns", "1ns"},
                                                        {"1001us", "1001us"},
                                                        {"100h", "100h"}}) {
    const absl::StatusOr<Duration> value = type.parse(text);
    ASSERT_TRUE(value.ok()) << text;
    EXPECT_EQ(type.print(*value), printed);
    EXPECT_EQ(*type.parse(printed), *value);
  }
  for (const char* text : {"", "s", "1", "1 s", " 1s", "1s ", "1d", "-1s", "-inf", "nan", "101h"}) {
    EXPECT_FALSE(type.parse(text).ok()) << text;
  }
}

TEST(ValueTest, PathsAreWhatOpenTakes) {
  const ValueType<std::string> type = PathValue();
  for (const std::string& path :
       {std::string(), std::string("/run/a b.pid"), std::string("\n"), std::string(4095, 'x')}) {
    ASSERT_TRUE(type.parse(path).ok()) << path;
    EXPECT_EQ(*type.parse(path), path);
    EXPECT_EQ(type.print(path), path);
  }
  for (const std::string& path : {std::string("a\0b", 3), std::string(4096, 'x')}) {
    EXPECT_FALSE(type.parse(path).ok()) << path;
  }
}

TEST(ValueTest, SizesTakeBinaryUnits) {
  const ValueType<uint64_t> type = SizeValue(1, uint64_t{1} << 50);
  for (const auto& [text, value] :
       std::vector<std::pair<std::string, uint64_t>>{{"1", 1},
                                                     {"1B", 1},
                                                     {"1023", 1023},
                                                     {"1KiB", 1024},
                                                     {"1536", 1536},
                                                     {"3MiB", 3u << 20},
                                                     {"2GiB", uint64_t{2} << 30},
                                                     {"1024TiB", uint64_t{1} << 50}}) {
    ASSERT_TRUE(type.parse(text).ok()) << text;
    EXPECT_EQ(*type.parse(text), value);
    EXPECT_EQ(*type.parse(type.print(value)), value);
  }
  EXPECT_EQ(type.print(1536), "1536");
  EXPECT_EQ(type.print(65536), "64KiB");
  for (const char* text : {"", "KiB", "0", "-1", "+1", "1 KiB", "1K", "1kib", "1KB", "1.5KiB",
                           "1025TiB", "16777217TiB", "18446744073709551617", "0x10"}) {
    EXPECT_FALSE(type.parse(text).ok()) << text;
  }
}

TEST(NearestTest, CountsInsertionsDeletionsAndReplacements) {
  EXPECT_EQ(EditDistance("", ""), 0u);
  EXPECT_EQ(EditDistance("abc", ""), 3u);
  EXPECT_EQ(EditDistance("", "abc"), 3u);
  EXPECT_EQ(EditDistance("kitten", "sitting"), 3u);
  EXPECT_EQ(EditDistance("backend", "bakend"), 1u);
  EXPECT_EQ(EditDistance("listen", "listne"), 2u);
  const std::vector<std::string> names = {"poll", "select", "pool"};
  EXPECT_EQ(Nearest("pole", names), "poll");
  EXPECT_EQ(Nearest("selct", names), "select");
}

}  // namespace
}  // namespace quintet::program
