#include "net/models/server_model.h"

namespace quintet {
namespace {

// The one of `all` that `name_of` calls `name`.
template <typename Value, size_t kCount>
std::optional<Value> Find(const Value (&all)[kCount], std::string_view (*name_of)(Value),
                          std::string_view name) {
  for (const Value value : all) {
    if (name_of(value) == name) return value;
  }
  return std::nullopt;
}

}  // namespace

std::string_view ServerModelName(ServerModel model) {
  switch (model) {
    case ServerModel::kReactor:
      return "reactor";
    case ServerModel::kIterative:
      return "iterative";
    case ServerModel::kFork:
      return "fork";
    case ServerModel::kThread:
      return "thread";
    case ServerModel::kPrefork:
      return "prefork";
  }
  return "unknown";
}

std::optional<ServerModel> ParseServerModel(std::string_view name) {
  return Find(kServerModels, ServerModelName, name);
}

std::string_view AtCapName(AtCap at_cap) {
  switch (at_cap) {
    case AtCap::kWait:
      return "wait";
    case AtCap::kRefuse:
      return "refuse";
  }
  return "unknown";
}

std::optional<AtCap> ParseAtCap(std::string_view name) { return Find(kAtCaps, AtCapName, name); }

std::string_view PreforkAcceptName(PreforkAccept accept) {
  switch (accept) {
    case PreforkAccept::kBlocking:
      return "blocking";
    case PreforkAccept::kSelect:
      return "select";
    case PreforkAccept::kPoll:
      return "poll";
    case PreforkAccept::kEpoll:
      return "epoll";
    case PreforkAccept::kReusePort:
      return "reuseport";
  }
  return "unknown";
}

std::optional<PreforkAccept> ParsePreforkAccept(std::string_view name) {
  return Find(kPreforkAccepts, PreforkAcceptName, name);
}

}  // namespace quintet
