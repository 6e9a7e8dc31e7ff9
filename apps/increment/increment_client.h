// The client of the increment service: how a program connects, asks and waits for the answer.
#ifndef QUINTET_APPS_INCREMENT_INCREMENT_CLIENT_H_
#define QUINTET_APPS_INCREMENT_INCREMENT_CLIENT_H_

#include <chrono>

#include "absl/status/statusor.h"
#include "net/address.h"
#include "reactor/clock.h"

namespace quintet::increment {

struct IncrementClientOptions {
  // Until the connection stands, and from there until the answer has come. Above zero.
  Duration timeout = std::chrono::seconds(10);
};

// Sends `byte` to the server at `address` and returns what it answers. Runs a loop of its own
// meanwhile and blocks the calling thread. Errors: Unavailable (nobody listens there, or the
// connection was reset), DeadlineExceeded (no connection, or no answer, in time), OutOfRange (end
// of file before the answer); each says which server.
absl::StatusOr<unsigned char> AskForIncrement(const Address& address, unsigned char byte,
                                              const IncrementClientOptions& options = {});

}  // namespace quintet::increment

#endif  // QUINTET_APPS_INCREMENT_INCREMENT_CLIENT_H_
