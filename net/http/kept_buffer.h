// Buffers that live on from request to request.
#ifndef QUINTET_NET_HTTP_KEPT_BUFFER_H_
#define QUINTET_NET_HTTP_KEPT_BUFFER_H_

#include <cstddef>
#include <string>

namespace quintet::http {

// Gives the memory of `buffer` back, and its content with it, where that is more than `kept_bytes`.
inline void FreeAbove(std::string& buffer, size_t kept_bytes) {
  // Assigning an empty string would keep it: short strings are copied into what is there.
  if (buffer.capacity() > kept_bytes) std::string().swap(buffer);
}

}  // namespace quintet::http

#endif  // QUINTET_NET_HTTP_KEPT_BUFFER_H_
