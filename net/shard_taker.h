// Gives accepted connections to a shard.
#ifndef QUINTET_NET_SHARD_TAKER_H_
#define QUINTET_NET_SHARD_TAKER_H_

#include <cstddef>

#include "net/acceptor.h"
#include "net/shard.h"
#include "net/socket.h"

namespace quintet {

// As tasks on the shard's loop, which may be another thread's. One that has ended takes nothing.
class ShardTaker final : public Acceptor::Taker {
 public:
  // `shard` must outlive the taker. `max_connections` 0: no limit.
  ShardTaker(Shard& shard, size_t max_connections)
      : Taker(shard.counters(), max_connections), shard_(shard) {}

 protected:
  bool Take(Socket& socket) override;

 private:
  Shard& shard_;
};

}  // namespace quintet

#endif  // QUINTET_NET_SHARD_TAKER_H_
