// A head that equals the last one is taken without reading it again. Whatever came before, the
// request must be the one that a reader without a past would have found.
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "net/http/request_reader.h"
#include "tests/net/http/http_peer.h"

namespace quintet::testing {
namespace {

using http::Limits;
using http::Request;
using http::RequestReader;
using Event = RequestReader::Event;

std::string Text(std::string_view text) { return std::string(text); }

std::string Describe(const Request& request) {
  std::string text = absl::StrCat(
      Text(request.method()), " ", Text(request.target()), " ", Text(request.path()), " ",
      Text(request.query()), " ", Text(request.host()), " 1.", request.minor_version(), " ",
      request.keep_alive(), request.has_body(), " [", Text(request.path_rest()), "]");
  for (const http::Field& field : request.fields()) {
    absl::StrAppend(&text, " ", Text(field.name), "=", Text(field.value));
  }
  return text;
}

// Reads one request from `input`, given in pieces of at most `piece` octets, and tells all of it.
std::string ReadOne(RequestReader& reader, const Limits& limits, std::string_view input,
                    size_t piece) {
  reader.Start(limits);
  std::string log = reader.started() || reader.complete() ? "not fresh" : "";
  while (!input.empty()) {
    std::string_view part = input.substr(0, piece);
    const size_t given = part.size();
    for (bool more = true; more;) {
      switch (reader.Next(part)) {
        case Event::kMore:
          more = false;
          break;
        case Event::kHead:
          absl::StrAppend(&log, "head ", Describe(reader.request()), " ");
          break;
        case Event::kBody:
          log.append(reader.piece());
          break;
        case Event::kEnd:
          return absl::StrCat(log, " end, left ", input.size() - (given - part.size()));
        case Event::kRefused:
          return absl::StrCat(log, " refused ", reader.status(), reader.is_head_request());
      }
    }
    input.remove_prefix(given);
  }
  return absl::StrCat(log, " more ", reader.started(), reader.is_head_request());
}

constexpr std::string_view kPlain = "GET /a?b HTTP/1.1\r\nHost: h\r\nX: 1\r\n\r\n";

TEST(RepeatedHeadTest, IsRecognised) {
  const Limits limits;
  RequestReader reader;
  const std::string first = ReadOne(reader, limits, kPlain, kPlain.size());
  EXPECT_FALSE(reader.head_repeated());
  EXPECT_EQ(ReadOne(reader, limits, kPlain, kPlain.size()), first);
  EXPECT_TRUE(reader.head_repeated());
  // What follows it is left alone.
  const std::string two = absl::StrCat(Text(kPlain), Text(kPlain));
  EXPECT_EQ(ReadOne(reader, limits, two, two.size()),
            absl::StrCat(first.substr(0, first.size() - 1), kPlain.size()));
  EXPECT_TRUE(reader.head_repeated());
}

TEST(RepeatedHeadTest, OnlyWhenWholeAndEqual) {
  const Limits limits;
  RequestReader reader;
  const auto repeated_after_plain = [&](std::string_view input, size_t piece) {
    ReadOne(reader, limits, kPlain, kPlain.size());
    ReadOne(reader, limits, input, piece);
    return reader.head_repeated();
  };
  EXPECT_TRUE(repeated_after_plain(kPlain, kPlain.size()));
  EXPECT_FALSE(repeated_after_plain(kPlain, kPlain.size() - 1));
  for (size_t i = 0; i < kPlain.size(); ++i) {
    std::string changed = Text(kPlain);
    changed[i] ^= 1;
    EXPECT_FALSE(repeated_after_plain(changed, changed.size())) << i;
  }
}

TEST(RepeatedHeadTest, NotWithABody) {
  for (const std::string_view head : {
           "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\nab",
           "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n",
           "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n",
       }) {
    const Limits limits;
    RequestReader reader;
    const std::string first = ReadOne(reader, limits, head, head.size());
    for (int i = 0; i < 3; ++i) {
      EXPECT_EQ(ReadOne(reader, limits, head, head.size()), first);
      EXPECT_FALSE(reader.head_repeated()) << head;
    }
  }
}

TEST(RepeatedHeadTest, OtherLimitsAreAppliedToIt) {
  const Limits wide;
  Limits narrow;
  narrow.header_count = 1;
  RequestReader reader;
  ReadOne(reader, wide, kPlain, kPlain.size());
  EXPECT_EQ(ReadOne(reader, narrow, kPlain, kPlain.size()), " refused 4310");
  ReadOne(reader, wide, kPlain, kPlain.size());
  EXPECT_FALSE(reader.head_repeated());
}

TEST(RepeatedHeadTest, TrimmedReaderHasForgottenIt) {
  const Limits limits;
  RequestReader reader;
  const std::string large =
      absl::StrCat("GET / HTTP/1.1\r\nHost: h\r\nX: ", std::string(5000, 'x'), "\r\n\r\n");
  const std::string first = ReadOne(reader, limits, large, large.size());
  reader.Trim();
  EXPECT_EQ(ReadOne(reader, limits, large, large.size()), first);
  EXPECT_FALSE(reader.head_repeated());
  reader.Trim();
  ReadOne(reader, limits, kPlain, kPlain.size());
  reader.Trim();
  ReadOne(reader, limits, kPlain, kPlain.size());
  EXPECT_TRUE(reader.head_repeated());
}

// A reader with a past against one without, on sequences in which heads repeat, nearly repeat, come
// in pieces and break off.
TEST(RepeatedHeadTest, PastMakesNoDifference) {
  const std::vector<std::string> texts = {
      Text(kPlain),
      "GET /a?c HTTP/1.1\r\nHost: h\r\nX: 1\r\n\r\n",
      "GET /a?b HTTP/1.1\r\nHost: h\r\nX: 1\r\nY: 2\r\n\r\n",
      "\r\nGET /a?b HTTP/1.1\r\nHost: h\r\nX: 1\r\n\r\n",
      "HEAD /a HTTP/1.1\r\nHost: h\r\n\r\n",
      "HEAD /a HTTP/1.1\nHost",
      "GET /a HTTP/1.0\r\n\r\n",
      "GET /a HTTP/1.7\r\nHost: \t h\r\n\r\n",
      "GET /a HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n",
      "GET /a HTTP/1.1\r\n\r\n",
      "POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc",
      "POST /a HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
  };
  const Limits limits;
  RequestReader reader;
  uint64_t seed = 20261121;
  const auto random = [&seed](size_t below) {
    seed = seed * 6364136223846793005U + 1442695040888963407U;
    return static_cast<size_t>((seed >> 33) % below);
  };
  size_t repeated = 0;
  for (int round = 0; round < 20000; ++round) {
    // From a few at a time, so that repetitions are frequent.
    std::string input = texts[(static_cast<size_t>(round) / 50 + random(3)) % texts.size()];
    if (random(4) == 0) input += texts[random(texts.size())];
    if (random(8) == 0) input.resize(random(input.size() + 1));
    const size_t piece = random(4) == 0 ? random(input.size() + 1) + 1 : input.size() + 1;
    RequestReader fresh;
    ASSERT_EQ(ReadOne(reader, limits, input, piece), ReadOne(fresh, limits, input, piece))
        << input << " in pieces of " << piece;
    repeated += reader.head_repeated() ? 1 : 0;
    if (random(4) == 0) reader.Trim();
  }
  EXPECT_GT(repeated, 1000U);
}

// The route goes with the head, and what it matched.
TEST(RepeatedHeadTest, IsAnsweredAsTheFirst) {
  HttpPeer peer;
  const std::vector<std::pair<std::string_view, int>> requests = {
      {"GET /about/x HTTP/1.1\r\nHost: a\r\n\r\n", 200},
      {"GET /nowhere HTTP/1.1\r\nHost: a\r\n\r\n", 404},
      {"DELETE / HTTP/1.1\r\nHost: a\r\n\r\n", 405},
      {"GET / HTTP/1.1\r\nHost: a\r\n\r\n", 200},
      {"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", 200},
  };
  for (const auto& [request, status] : requests) {
    std::vector<std::string> replies;
    for (int i = 0; i < 3; ++i) {
      const size_t before = peer.transport().received().size();
      peer.transport().Feed(request);
      replies.push_back(peer.transport().received().substr(before));
    }
    EXPECT_EQ(peer.Parse().responses.back().status, status) << request;
    EXPECT_EQ(replies[1], replies[0]);
    EXPECT_EQ(replies[2], replies[0]);
  }
}

}  // namespace
}  // namespace quintet::testing
