#include "reactor/backend_kind.h"

#include <gtest/gtest.h>

#include <set>
#include <string_view>

namespace quintet {
namespace {

TEST(BackendKindTest, EachNameParsesToItsKind) {
  std::set<std::string_view> names;
  for (const BackendKind kind : kRealBackends) {
    EXPECT_TRUE(names.insert(BackendName(kind)).second);
    EXPECT_EQ(ParseBackendKind(BackendName(kind)), kind);
  }
  EXPECT_EQ(names.size(), 5U);
  EXPECT_EQ(ParseBackendKind("auto"), BackendKind::kAuto);
}

TEST(BackendKindTest, NothingElseParses) {
  for (const std::string_view name :
       {"", "epoll", "EPOLL_ET", "epoll_et ", "io-uring", "sim", "unknown"}) {
    EXPECT_FALSE(ParseBackendKind(name).has_value()) << name;
  }
}

}  // namespace
}  // namespace quintet
