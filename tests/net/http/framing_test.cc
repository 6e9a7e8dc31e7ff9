#include "net/http/framing.h"

#include <vector>

#include "gtest/gtest.h"

namespace quintet::http {
namespace {

Framing Read(std::vector<Field> fields, int minor_version = 1) {
  fields.push_back({"Host", "a"});
  return ReadFraming(minor_version, fields);
}

TEST(FramingTest, NoBody) {
  const Framing framing = Read({{"Accept", "*/*"}});
  EXPECT_EQ(framing.status, 0);
  EXPECT_EQ(framing.body, BodyKind::kNone);
  EXPECT_EQ(framing.host, "a");
}

TEST(FramingTest, Lengths) {
  EXPECT_EQ(Read({{"content-LENGTH", "18446744073709551615"}}).length, 18446744073709551615U);
  EXPECT_EQ(Read({{"Content-Length", "007"}}).length, 7U);
  EXPECT_EQ(Read({{"Content-Length", "0"}}).body, BodyKind::kLength);
  for (const std::string_view bad :
       {"", "-1", "+1", "1,1", "0x1", "1 1", "18446744073709551616", "a"}) {
    EXPECT_EQ(Read({{"Content-Length", bad}}).status, 400) << bad;
  }
  EXPECT_EQ(Read({{"Content-Length", "1"}, {"Content-Length", "1"}}).status, 400);
}

TEST(FramingTest, Codings) {
  EXPECT_EQ(Read({{"Transfer-Encoding", "Chunked"}}).body, BodyKind::kChunked);
  EXPECT_EQ(Read({{"Transfer-Encoding", "Chunked"}}).status, 0);
  EXPECT_EQ(Read({{"Transfer-Encoding", "gzip, chunked"}}).status, 501);
  EXPECT_EQ(Read({{"Transfer-Encoding", "gzip"}, {"Transfer-Encoding", "chunked"}}).status, 501);
  for (const std::string_view bad : {"", ",", "gzip", "chunked, gzip", "chunked, chunked",
                                     "chunked;q=1", "identity", "chunked gzip"}) {
    EXPECT_EQ(Read({{"Transfer-Encoding", bad}}).status, 400) << bad;
  }
  EXPECT_EQ(Read({{"Transfer-Encoding", "chunked"}}, 0).status, 400);
  EXPECT_EQ(Read({{"Transfer-Encoding", "chunked"}, {"Content-Length", "1"}}).status, 400);
  EXPECT_EQ(Read({{"Content-Length", "1"}, {"Transfer-Encoding", "chunked"}}).status, 400);
}

TEST(FramingTest, KeepAlive) {
  EXPECT_TRUE(Read({}).keep_alive);
  EXPECT_FALSE(Read({{"Connection", "close"}}).keep_alive);
  EXPECT_FALSE(Read({{"Connection", "keep-alive, Close"}}).keep_alive);
  EXPECT_TRUE(Read({{"Connection", "upgrade"}}).keep_alive);
  EXPECT_FALSE(Read({}, 0).keep_alive);
  EXPECT_TRUE(Read({{"connection", "Keep-Alive"}}, 0).keep_alive);
  EXPECT_FALSE(Read({{"Connection", "Keep-Alive"}, {"Connection", "close"}}, 0).keep_alive);
}

TEST(FramingTest, Expectations) {
  EXPECT_TRUE(Read({{"Expect", "100-Continue"}}).expect_continue);
  EXPECT_FALSE(Read({{"Expect", "100-continue"}}, 0).expect_continue);
  EXPECT_TRUE(Read({{"Expect", "100-continue, more"}}).expectation_failed);
  EXPECT_FALSE(Read({{"Expect", "100-continue"}}).expectation_failed);
}

TEST(FramingTest, Hosts) {
  EXPECT_EQ(ReadFraming(1, {}).status, 400);
  EXPECT_EQ(ReadFraming(0, {}).status, 0);
  EXPECT_EQ(Read({{"host", "a"}}).status, 400);
  EXPECT_EQ(Read({{"host", "a"}}, 0).status, 400);
}

}  // namespace
}  // namespace quintet::http
