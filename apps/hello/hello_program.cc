#include "apps/hello/hello_program.h"

#include <cstdint>
#include <string_view>
#include <utility>
#include <vector>

#include "apps/hello/hello_service.h"
#include "apps/program/setting.h"
#include "apps/program/settings.h"
#include "apps/program/value.h"
#include "net/address.h"
#include "net/models/server_model.h"
#include "reactor/clock.h"

namespace quintet::hello {
namespace {

using program::Config;
using program::Integer;
using program::Row;
using program::Setting;
using program::Size;
using program::ValueType;

constexpr uint64_t kKiB = 1 << 10;
constexpr uint64_t kMiB = 1 << 20;
constexpr uint64_t kTiB = 1ull << 40;

// Where a setting lives in the program's own part, to be read and to be written.
#define QUINTET_FIELD(path) \
  ([](auto& config) -> auto& { return program::Own<HelloOptions>(config).path; })

// Programs are watched by a loop, which the classic models have not.
Setting OfReactor(Setting setting) {
  return program::ForModels({ServerModel::kReactor}, std::move(setting));
}

ValueType<Duration> PositiveTimeoutValue() {
  ValueType<Duration> type = program::TimeoutValue();
  type.allowed += ", above 0s";
  type.parse = [parse = type.parse](std::string_view text) {
    absl::StatusOr<Duration> value = parse(text);
    if (value.ok() && *value <= Duration::zero()) value = program::Refused(text);
    return value;
  };
  return type;
}

std::vector<Setting> OwnSettings() {
  const ValueType<Duration> timeout = program::TimeoutValue();
  return {
      Row({"timeouts", "header", "header-timeout",
           "From the first byte of a request to the end of its header, then 408; 0s: none."},
          timeout, QUINTET_FIELD(http.timeouts.header)),
      Row({"timeouts", "body", "body-timeout",
           "Between two arrivals of a request's body, then 408; 0s: none."},
          timeout, QUINTET_FIELD(http.timeouts.body)),
      Row({"timeouts", "request", "request-timeout",
           "From the first byte of a request to its last, and from there to the reply; 0s: none."},
          timeout, QUINTET_FIELD(http.timeouts.request)),
      Row({"timeouts", "keep_alive", "keep-alive-timeout",
           "Between two requests of a connection, and before the first; 0s: none."},
          timeout, QUINTET_FIELD(http.timeouts.keep_alive)),

      Row({"http", "max_request_line", "max-request-line", "The request line in bytes, then 414."},
          Size<size_t>(16, kMiB), QUINTET_FIELD(http.limits.request_line_bytes)),
      Row({"http", "max_header", "max-header", "All header fields in bytes, then 431."},
          Size<size_t>(16, 16 * kMiB), QUINTET_FIELD(http.limits.header_bytes)),
      Row({"http", "max_header_count", "max-header-count", "Header fields, then 431."},
          Integer<size_t>(1, 10'000), QUINTET_FIELD(http.limits.header_count)),
      Row({"http", "max_body", "max-body",
           "The body of a request in bytes, then 413; POST /echo has no limit."},
          Size<uint64_t>(0, kTiB), QUINTET_FIELD(http.limits.body_bytes)),
      Row({"http", "max_chunk_line", "max-chunk-line",
           "The size line of a chunk with its extensions in bytes, then 400."},
          Size<size_t>(16, 64 * kKiB), QUINTET_FIELD(http.limits.chunk_line_bytes)),
      Row({"http", "max_requests", "max-requests",
           "Requests of one connection, which is then closed; 0: no limit."},
          Integer<uint64_t>(0, 1'000'000'000), QUINTET_FIELD(http.limits.requests_per_connection)),
      Row({"http", "server_name", "server-name", "The Server field of replies; empty: none."},
          program::TextValue(256), QUINTET_FIELD(http.server_name)),

      OfReactor(Row({"cgi", "dir", "cgi",
                     "Runs the programs of this directory (CGI/1.1) below /cgi-bin/; empty: none."},
                    program::PathValue(), QUINTET_FIELD(cgi.directory))),
      OfReactor(Row({"cgi", "timeout", "cgi-timeout",
                     "From the start of a program to the end of its output, then it is killed, and "
                     "504."},
                    PositiveTimeoutValue(), QUINTET_FIELD(cgi.timeout))),
      OfReactor(
          Row({"cgi", "half_closed_timeout", "cgi-half-closed-timeout",
               "How long a program may say nothing whose client has closed its sending side."},
              timeout, QUINTET_FIELD(cgi.half_closed_timeout))),
      OfReactor(Row({"cgi", "max_output", "cgi-max-output",
                     "The body of a program's reply in bytes, then it is killed and the connection "
                     "closed."},
                    Size<uint64_t>(1, kTiB), QUINTET_FIELD(cgi.max_output_bytes))),
      OfReactor(Row({"cgi", "max_programs", "cgi-max-programs",
                     "Programs that run at once, of one process, then 503 with Retry-After."},
                    Integer<int>(1, 10'000), QUINTET_FIELD(cgi.max_programs))),
  };
}

#undef QUINTET_FIELD

Config Defaults() {
  Config config;
  config.server.addresses = {*Address::Parse("127.0.0.1:8080")};
  config.own = HelloOptions();
  return config;
}

}  // namespace

const program::Program& HelloProgram() {
  static const auto& hello = *new program::Program{
      .name = "hello",
      .about =
          "GET / answers \"Hello, World!\", POST /echo sends the body back, GET /client answers "
          "the client's address, GET /healthz \"ok\", or 503 once the server is about to stop.",
      .example =
          "    [timeouts]\n"
          "    keep_alive = \"30s\"\n\n"
          "    [http]\n"
          "    max_body = \"64KiB\"\n",
      .defaults = Defaults(),
      .settings = program::SettingsWith(OwnSettings()),
      .sessions = [](const Config& config) {
        const HelloOptions& options = OptionsOf(config);
        return CreateHelloService(options.http, options.cgi);
      }};
  return hello;
}

}  // namespace quintet::hello
