#include "net/http/server_context.h"

#include <utility>

namespace quintet::http {

std::unique_ptr<ActiveRequest> ServerContext::Acquire() {
  if (idle_.empty()) return std::make_unique<ActiveRequest>();
  std::unique_ptr<ActiveRequest> request = std::move(idle_.back());
  idle_.pop_back();
  return request;
}

void ServerContext::Release(std::unique_ptr<ActiveRequest> request) {
  if (idle_.size() >= kMaxIdleRequests) return;
  request->Reset();
  idle_.push_back(std::move(request));
}

}  // namespace quintet::http
