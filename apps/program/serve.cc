#include "apps/program/serve.h"

#include <stdio.h>
#include <unistd.h>

#include <array>
#include <climits>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "apps/program/daemon.h"
#include "apps/program/log_file.h"
#include "apps/program/run_model_server.h"
#include "apps/program/standard_streams.h"
#include "apps/program/start_line.h"
#include "net/inherited_sockets.h"
#include "net/notify_socket.h"
#include "net/pid_file.h"
#include "net/successor.h"
#include "net/supervisor.h"

namespace quintet::program {
namespace {

// One write(2) a line: processes and threads share standard error.
LogFunction LogOf(const Program& program) {
  return [name = program.name](LogLevel, std::string_view message) {
    const std::string line = absl::StrCat(name, ": ", std::string(message), "\n");
    [[maybe_unused]] const ssize_t written = ::write(STDERR_FILENO, line.data(), line.size());
  };
}

// The path of this program as it is now: a successor is started from it although another file may
// be there by then.
std::string ProgramPath() {
  std::array<char, PATH_MAX> path;
  const ssize_t length = ::readlink("/proc/self/exe", path.data(), path.size());
  return length > 0 ? std::string(path.data(), static_cast<size_t>(length)) : std::string();
}

absl::Status OpenLog(const Config& config) {
  if (config.process.log_file.empty()) return absl::OkStatus();
  auto file = LogFile::Open(config.process.log_file);
  return file.ok() ? file->Redirect() : file.status();
}

// One run of the server: what was taken from the environment, and what must be told or removed at
// the end.
class Run {
 public:
  Run(const Program& program, const CommandLine& command_line, const Environment& environment,
      const LoadedConfig& loaded)
      : program_(program),
        log_(LogOf(program)),
        command_line_(command_line),
        environment_(environment),
        config_(loaded.config) {}

  absl::Status Serve(const std::vector<std::string>& arguments);

 private:
  // In this order: what is taken from the environment belongs to the process that was started, and
  // what goes by process id to the one that serves.
  absl::Status TakeFromEnvironment();
  absl::Status LeaveTerminal();
  absl::Status CheckPidFile() const;
  absl::Status WritePidFile();

  absl::StatusOr<Service> Load();
  // Under a classic model.
  absl::Status ServeModel();

  void OnServing(const std::string& start_line);
  void OnReloaded(bool done);
  void Tell(const absl::Status& status);
  void Warn(const Config& config) const;

  const Program& program_;
  const LogFunction log_;
  const CommandLine& command_line_;
  const Environment& environment_;
  Config config_;               // in force
  std::optional<Config> next_;  // of a reload under way
  bool first_ = true;

  std::vector<InheritedSocket> inherited_;
  NotifySocket manager_;
  SuccessorReport predecessor_;
  bool succeeds_ = false;  // a predecessor, who waits
  std::optional<DaemonParent> parent_;
  std::optional<PidFile> pid_file_;
  std::unique_ptr<Supervisor> supervisor_;
};

absl::Status Run::TakeFromEnvironment() {
  auto inherited = TakeInheritedSockets();
  if (!inherited.ok()) return inherited.status();
  inherited_ = *std::move(inherited);
  auto predecessor = SuccessorReport::TakeFromEnvironment();
  if (!predecessor.ok()) return predecessor.status();
  predecessor_ = *std::move(predecessor);
  succeeds_ = predecessor_.valid();
  auto manager = NotifySocket::TakeFromEnvironment();
  if (!manager.ok()) return manager.status();
  manager_ = *std::move(manager);
  return absl::OkStatus();
}

// A successor was started in the background.
absl::Status Run::LeaveTerminal() {
  if (!config_.process.daemon || succeeds_) return absl::OkStatus();
  std::vector<int> keep;
  for (const InheritedSocket& each : inherited_) keep.push_back(each.socket.fd());
  auto parent = Daemonize(keep);
  if (!parent.ok()) return parent.status();
  parent_.emplace(*std::move(parent));
  return absl::OkStatus();
}

absl::Status Run::CheckPidFile() const {
  const std::string& path = config_.process.pid_file;
  return path.empty() || succeeds_ ? absl::OkStatus() : PidFile::Check(path);
}

absl::Status Run::WritePidFile() {
  const std::string& path = config_.process.pid_file;
  if (path.empty()) return absl::OkStatus();
  auto file = succeeds_ ? PidFile::TakeOver(path) : PidFile::Create(path);
  if (!file.ok()) return file.status();
  pid_file_.emplace(*std::move(file));
  return absl::OkStatus();
}

absl::StatusOr<Service> Run::Load() {
  Config config = config_;
  if (!std::exchange(first_, false)) {
    auto loaded = program::Load(program_, command_line_, environment_);
    if (!loaded.ok()) return loaded.status();
    config = std::move(loaded->config);
    if (config.model.model != ServerModel::kReactor) {
      return absl::InvalidArgumentError(
          absl::StrCat("server.model is read at the start only: it is reactor and cannot become ",
                       std::string(ServerModelName(config.model.model))));
    }
    // Where it is not to be opened, nothing is to change.
    if (!config.process.log_file.empty()) {
      if (auto file = LogFile::Open(config.process.log_file); !file.ok()) return file.status();
    }
  }
  auto sessions = program_.sessions(config);
  if (!sessions.ok()) return sessions.status();
  next_ = config;
  std::function<absl::Status(size_t)> start_worker;
  if (config.worker_kind == WorkerKind::kProcess) {
    // Forked before the reload is accepted, and so before this process opens the file anew.
    start_worker = [config](size_t) { return OpenLog(config); };
  }
  return Service{.server = config.server,
                 .kind = config.worker_kind,
                 .start_timeout = config.start_timeout,
                 .sessions = *std::move(sessions),
                 .start_worker = std::move(start_worker)};
}

void Run::Tell(const absl::Status& status) {
  if (!status.ok()) log_(LogLevel::kWarning, std::string(status.message()));
}

void Run::Warn(const Config& config) const {
  if (!program_.warnings) return;
  for (const std::string& text : program_.warnings(config)) {
    log_(LogLevel::kWarning, "warning: " + text);
  }
}

void Run::OnServing(const std::string& start_line) {
  log_(LogLevel::kInfo, start_line);
  Warn(config_);
  // A successor's file takes the place of its predecessor's only now.
  if (succeeds_) Tell(WritePidFile());
  Tell(manager_.Ready());
  if (!config_.process.daemon) return;
  if (parent_.has_value()) Tell(parent_->NotifyReady());
  Tell(DetachStreams(config_.process.log_file.empty() ? StandardError::kDetach
                                                      : StandardError::kKeep));
}

void Run::OnReloaded(bool done) {
  if (done) {
    config_ = *std::exchange(next_, std::nullopt);
    Tell(OpenLog(config_));
    Warn(config_);
  }
  Tell(manager_.Ready());
}

absl::Status Run::ServeModel() {
  if (!inherited_.empty()) {
    return absl::InvalidArgumentError(
        absl::StrCat("server.model = \"", std::string(ServerModelName(config_.model.model)),
                     "\" takes no sockets of a service manager or a predecessor; reactor does"));
  }
  const auto sessions = program_.sessions(config_);
  if (!sessions.ok()) return sessions.status();
  return RunModelServer(config_.model, config_.server, **sessions,
                        {.log = log_,
                         .on_serving =
                             [this](const ModelServer& server) {
                               // Whoever reads it may send signals, which are taken from here on.
                               absl::Status status = WritePidFile();
                               if (status.ok()) OnServing(StartLine(server, config_.model));
                               return status;
                             },
                         .on_stopping = [this] { Tell(manager_.Stopping()); }});
}

absl::Status Run::Serve(const std::vector<std::string>& arguments) {
  absl::Status status = TakeFromEnvironment();
  if (status.ok()) status = LeaveTerminal();
  if (status.ok()) status = CheckPidFile();
  if (status.ok()) status = OpenLog(config_);
  if (!status.ok()) return status;
  if (config_.model.model != ServerModel::kReactor) return ServeModel();

  SupervisorOptions options{.log = log_,
                            .inherited = std::exchange(inherited_, {}),
                            .predecessor = std::exchange(predecessor_, {})};
  if (std::string path = ProgramPath(); !path.empty()) {
    options.program = {std::move(path)};
    if (!program_.subcommand.empty()) options.program.push_back(program_.subcommand);
    options.program.insert(options.program.end(), arguments.begin(), arguments.end());
  }
  if (manager_.enabled()) options.program_environment = {"NOTIFY_SOCKET=" + manager_.value()};
  options.on_serving = [this] { OnServing(StartLine(*supervisor_)); };
  options.on_reloading = [this] { Tell(manager_.Reloading()); };
  options.on_reloaded = [this](bool done) { OnReloaded(done); };
  options.on_stopping = [this] { Tell(manager_.Stopping()); };
  options.on_succeeded = [this](pid_t pid) { Tell(manager_.MainPid(pid)); };
  auto supervisor = Supervisor::Create(std::move(options), [this] { return Load(); });
  if (!supervisor.ok()) return supervisor.status();
  supervisor_ = *std::move(supervisor);
  // Whoever reads it may send signals, which are taken from here on.
  if (!succeeds_) status = WritePidFile();
  if (!status.ok()) return status;
  return supervisor_->Run();
}

}  // namespace

absl::Status Serve(const Program& program, const CommandLine& command_line,
                   const Environment& environment, const LoadedConfig& loaded,
                   const std::vector<std::string>& arguments) {
  return Run(program, command_line, environment, loaded).Serve(arguments);
}

}  // namespace quintet::program
