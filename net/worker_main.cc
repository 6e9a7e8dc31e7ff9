#include "net/worker_main.h"

#include <signal.h>
#include <stdlib.h>

#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "net/cores.h"
#include "net/limited_log.h"
#include "net/worker_channel.h"
#include "reactor/backend_factory.h"

namespace quintet {
namespace {

void Obey(WorkerMessage& message, Server& server, const LogFunction& log,
          ConnectionCounters& counters, LimitedLog& lost_log) {
  switch (message.type) {
    case WorkerMessage::Type::kAcceptFrom: {
      const absl::Status status = server.AcceptFrom(0, std::move(message.sockets));
      if (!status.ok() && log) log(LogLevel::kError, status.ToString());
      return;
    }
    case WorkerMessage::Type::kAdopt:
      if (message.socket.valid()) return server.Adopt(0, std::move(message.socket));
      // Counted, or its sender would take it for on its way for ever.
      ConnectionCounters::Add(counters.refused, 1);
      return lost_log.Write(LogLevel::kError, [] {
        return std::string("a connection was lost on its way: no descriptor is left for it");
      });
    case WorkerMessage::Type::kLook:
      return server.Look();
    case WorkerMessage::Type::kDrain:
      return server.Drain(message.plan);
    case WorkerMessage::Type::kReady:
    case WorkerMessage::Type::kFailed:
    case WorkerMessage::Type::kLeft:
    case WorkerMessage::Type::kAskLeave:
      return;
  }
}

void TellFailure(const Socket& channel_socket, const absl::Status& failure) {
  WorkerMessage message{.type = WorkerMessage::Type::kFailed,
                        .text = std::string(failure.message())};
  // The first message of its end, for which there is room.
  static_cast<void>(WorkerChannel::SendOn(channel_socket, message));
}

absl::StatusOr<std::unique_ptr<Server>> Prepare(size_t worker, const GenerationSetup& setup,
                                                std::shared_ptr<WorkerCounters[]> counters) {
  ServerOptions options = setup.server;
  if (options.pin && ShardCount(options) > 1) PinToCore(UsableCores(), worker);
  if (setup.start_worker) {
    if (absl::Status status = setup.start_worker(worker); !status.ok()) return status;
  }
  options.shards = 1;
  return Server::CreateOn(setup.sockets->InChild(), std::move(options), *setup.sessions,
                          std::move(counters));
}

}  // namespace

int RunWorker(Socket channel_socket, size_t worker, const GenerationSetup& setup,
              std::shared_ptr<WorkerCounters[]> counters) {
  const LogFunction& log = setup.log;
  auto server = Prepare(worker, setup, counters);
  if (!server.ok()) {
    TellFailure(channel_socket, server.status());
    return EXIT_FAILURE;
  }
  EventLoop& loop = (*server)->loop();
  LimitedLog lost_log(loop);
  auto channel = WorkerChannel::Create(
      loop, std::move(channel_socket),
      [&](WorkerMessage& message) {
        Obey(message, **server, log, counters[0].connections, lost_log);
      },
      [&] {
        if (log) log(LogLevel::kError, "the supervisor has ended; draining");
        (*server)->Stop();
      });
  if (!channel.ok()) {
    // There is nothing to tell the supervisor with.
    if (log) {
      log(LogLevel::kError, absl::StrCat("worker ", worker, ": channel to the supervisor: ",
                                         std::string(channel.status().message())));
    }
    return EXIT_FAILURE;
  }
  (*server)->set_on_left([&] { (*channel)->Send({.type = WorkerMessage::Type::kLeft}); });
  const absl::Status watched = loop.WatchSignal(
      SIGTERM, [&](int) { (*channel)->Send({.type = WorkerMessage::Type::kAskLeave}); });
  if (!watched.ok()) {
    (*channel)->Send(
        {.type = WorkerMessage::Type::kFailed, .text = std::string(watched.message())});
    return EXIT_FAILURE;
  }
  (*channel)->Send({.type = WorkerMessage::Type::kReady,
                    .text = DescribeBackend((*server)->backend(), setup.server.loop.backend.kind)});
  const absl::Status status = (*server)->Run();
  // The loop has gone with Run(), and the process will next: the channel stays as it is.
  static_cast<void>(channel->release());
  return status.ok() ? EXIT_SUCCESS : EXIT_FAILURE;
}

}  // namespace quintet
