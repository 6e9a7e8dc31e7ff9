// How a server divides its work: the reactor, and the models of the classic texts.
#ifndef QUINTET_NET_MODELS_SERVER_MODEL_H_
#define QUINTET_NET_MODELS_SERVER_MODEL_H_

#include <cstdint>
#include <optional>
#include <string_view>

namespace quintet {

// The same sessions run under each. docs/models.md compares them.
enum class ServerModel : uint8_t {
  kReactor,    // event loops: net/server.h
  kIterative,  // one connection at a time; the others wait in the backlog
  kFork,       // a process for each connection
  kThread,     // a thread for each connection
  kPrefork,    // processes made in advance, each of which accepts by itself
};
inline constexpr ServerModel kServerModels[] = {ServerModel::kReactor, ServerModel::kIterative,
                                                ServerModel::kFork, ServerModel::kThread,
                                                ServerModel::kPrefork};
// "reactor", "iterative", "fork", "thread", "prefork".
std::string_view ServerModelName(ServerModel model);
std::optional<ServerModel> ParseServerModel(std::string_view name);

// What becomes of a client when as many children or threads serve as may.
enum class AtCap : uint8_t {
  kWait,    // it waits in the backlog
  kRefuse,  // it is accepted and reset
};
inline constexpr AtCap kAtCaps[] = {AtCap::kWait, AtCap::kRefuse};
// "wait", "refuse".
std::string_view AtCapName(AtCap at_cap);
std::optional<AtCap> ParseAtCap(std::string_view name);

// How the processes of kPrefork wait for a connection.
enum class PreforkAccept : uint8_t {
  // All block in accept(2) on one socket, of which the kernel wakes one: accept(2) queues its
  // waiters as exclusive ones. One address only.
  kBlocking,
  // All block in select(2), poll(2) or epoll_wait(2) on one socket, which wakes them all for each
  // connection: the thundering herd. Those who find nobody count an empty accept.
  kSelect,
  kPoll,
  kEpoll,
  // Each has a socket of its own, over which the kernel spreads connections (SO_REUSEPORT,
  // socket(7)). What waits at one is served by no other, so their number is fixed.
  kReusePort,
};
inline constexpr PreforkAccept kPreforkAccepts[] = {
    PreforkAccept::kBlocking, PreforkAccept::kSelect, PreforkAccept::kPoll, PreforkAccept::kEpoll,
    PreforkAccept::kReusePort};
// "blocking", "select", "poll", "epoll", "reuseport".
std::string_view PreforkAcceptName(PreforkAccept accept);
std::optional<PreforkAccept> ParsePreforkAccept(std::string_view name);

}  // namespace quintet

#endif  // QUINTET_NET_MODELS_SERVER_MODEL_H_
