#include "net/http/target.h"

#include <string>

#include "gtest/gtest.h"

namespace quintet::http {
namespace {

// "path|query|authority", or the status.
std::string Parse(std::string_view method, std::string_view text) {
  const Target target = ParseTarget(method, text);
  if (target.status != 0) return std::to_string(target.status);
  return std::string(target.path) + "|" + std::string(target.query) + "|" +
         std::string(target.authority);
}

TEST(TargetTest, OriginForm) {
  EXPECT_EQ(Parse("GET", "/"), "/||");
  EXPECT_EQ(Parse("GET", "/a/b?c=d?e"), "/a/b|c=d?e|");
  EXPECT_EQ(Parse("GET", "//a"), "//a||");
  EXPECT_EQ(Parse("GET", "/?"), "/||");
  EXPECT_EQ(Parse("GET", "/%4x"), "400");
  EXPECT_EQ(Parse("GET", "/%"), "400");
}

TEST(TargetTest, AbsoluteForm) {
  EXPECT_EQ(Parse("GET", "http://a/b?c"), "/b|c|a");
  EXPECT_EQ(Parse("GET", "HtTp://a:80"), "/||a:80");
  EXPECT_EQ(Parse("GET", "http://a?b"), "/|b|a");
  EXPECT_EQ(Parse("GET", "http://[::1]:1/"), "/||[::1]:1");
  EXPECT_EQ(Parse("OPTIONS", "http://a"), "*||a");
  EXPECT_EQ(Parse("OPTIONS", "http://a?b"), "/|b|a");
  EXPECT_EQ(Parse("GET", "http:///a"), "400");
  EXPECT_EQ(Parse("GET", "http://u@a/"), "400");
  EXPECT_EQ(Parse("GET", "https://a/"), "421");
  EXPECT_EQ(Parse("GET", "ws://a/"), "400");
  EXPECT_EQ(Parse("GET", "http:a"), "400");
}

TEST(TargetTest, AsteriskAndAuthorityForm) {
  EXPECT_EQ(Parse("OPTIONS", "*"), "*||");
  EXPECT_EQ(Parse("GET", "*"), "400");
  EXPECT_EQ(Parse("CONNECT", "a:443"), "||a:443");
  EXPECT_EQ(Parse("CONNECT", "[::1]:443"), "||[::1]:443");
  EXPECT_EQ(Parse("CONNECT", "[::1]"), "400");
  EXPECT_EQ(Parse("CONNECT", "a"), "400");
  EXPECT_EQ(Parse("CONNECT", "*"), "400");
  EXPECT_EQ(Parse("GET", "a:443"), "400");
}

TEST(TargetTest, Hosts) {
  for (const std::string_view good :
       {"a", "a.example", "A-b_c.9", "127.0.0.1", "127.0.0.1:80", "a:", "a:65535", "[::]",
        "[2001:db8::ff]:8080", "[::ffff:1.2.3.4]", "a%20b", "a!$&'()*+;="}) {
    EXPECT_TRUE(IsValidHost(good)) << good;
  }
  for (const std::string_view bad : {"",
                                     ":80",
                                     "a:b",
                                     "a:65536",
                                     "a:+1",
                                     "a:-1",
                                     "a:1:2",
                                     "a b",
                                     "a/b",
                                     "a?b",
                                     "a#b",
                                     "u@a",
                                     "a,b",
                                     "[",
                                     "[]",
                                     "[::1",
                                     "[::1]a",
                                     "[::1]:x",
                                     "[:::]",
                                     "[1.2.3.4]",
                                     "::1",
                                     "a%2",
                                     "a%zz",
                                     "a\\b",
                                     "[0000:0000:0000:0000:0000:0000:0000:0000:0000:0000]"}) {
    EXPECT_FALSE(IsValidHost(bad)) << bad;
  }
}

}  // namespace
}  // namespace quintet::http
