#include "net/shard_taker.h"

#include <memory>
#include <utility>

namespace quintet {

bool ShardTaker::Take(Socket& socket) {
  // A task that is refused is destroyed: what it was to bring must not be its own.
  const auto taken = std::make_shared<Socket>(std::move(socket));
  if (shard_.executor()->Post([shard = &shard_, taken] { shard->Adopt(std::move(*taken)); })) {
    return true;
  }
  socket = std::move(*taken);
  return false;
}

}  // namespace quintet
