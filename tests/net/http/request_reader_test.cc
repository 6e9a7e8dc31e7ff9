#include "net/http/request_reader.h"

#include <string>

#include "gtest/gtest.h"

namespace quintet::http {
namespace {

using Event = RequestReader::Event;

TEST(RequestReaderTest, EventsOfALengthBody) {
  const Limits limits;
  RequestReader reader;
  reader.Start(limits);
  std::string_view input = "POST /a?b HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabcGET";
  EXPECT_EQ(reader.Next(input), Event::kHead);
  EXPECT_EQ(input, "abcGET");
  EXPECT_EQ(reader.request().method(), "POST");
  EXPECT_EQ(reader.request().path(), "/a");
  EXPECT_EQ(reader.request().query(), "b");
  EXPECT_EQ(reader.request().content_length(), 3U);
  EXPECT_EQ(reader.request().Find("HOST"), "h");
  EXPECT_EQ(reader.request().Find("X"), std::nullopt);
  EXPECT_EQ(reader.Next(input), Event::kBody);
  EXPECT_EQ(reader.piece(), "abc");
  EXPECT_TRUE(reader.complete());
  EXPECT_EQ(reader.Next(input), Event::kEnd);
  EXPECT_EQ(reader.Next(input), Event::kEnd);
  EXPECT_EQ(input, "GET");
}

TEST(RequestReaderTest, EventsOfAChunkedBody) {
  const Limits limits;
  RequestReader reader;
  reader.Start(limits);
  std::string_view input =
      "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
      "2;x\r\nab\r\n1\r\nc\r\n0\r\nT: u\r\n\r\nGET";
  EXPECT_EQ(reader.Next(input), Event::kHead);
  EXPECT_EQ(reader.Next(input), Event::kBody);
  EXPECT_EQ(reader.piece(), "ab");
  EXPECT_EQ(reader.Next(input), Event::kBody);
  EXPECT_EQ(reader.piece(), "c");
  EXPECT_FALSE(reader.complete());
  EXPECT_EQ(reader.Next(input), Event::kEnd);
  EXPECT_EQ(input, "GET");
  EXPECT_EQ(reader.body_bytes(), 3U);
  // Trailers are dropped.
  EXPECT_EQ(reader.request().fields().size(), 2U);
}

TEST(RequestReaderTest, WithoutBodyTheEndFollowsWithoutInput) {
  const Limits limits;
  RequestReader reader;
  reader.Start(limits);
  std::string_view input = "GET / HTTP/1.1\r\nHost: h\r\n\r\n";
  EXPECT_EQ(reader.Next(input), Event::kHead);
  EXPECT_FALSE(reader.request().has_body());
  EXPECT_EQ(reader.Next(input), Event::kEnd);
}

TEST(RequestReaderTest, StartsAnewAfterAnything) {
  const Limits limits;
  RequestReader reader;
  for (const std::string_view before :
       {"", "GET /long HTTP", "GET / HTTP/1.1\nx",
        "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\n\r\nab",
        "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n5;a=\"b"}) {
    reader.Start(limits);
    std::string_view input = before;
    for (int i = 0; i < 4; ++i) reader.Next(input);
    reader.Start(limits);
    EXPECT_FALSE(reader.started());
    EXPECT_FALSE(reader.complete());
    input = "GET /next HTTP/1.0\r\nA: b\r\n\r\n";
    ASSERT_EQ(reader.Next(input), Event::kHead);
    EXPECT_EQ(reader.request().path(), "/next");
    EXPECT_EQ(reader.request().minor_version(), 0);
    EXPECT_EQ(reader.request().fields().size(), 1U);
    EXPECT_EQ(reader.Next(input), Event::kEnd);
  }
}

TEST(RequestReaderTest, ViewsDoNotPointIntoTheInput) {
  const Limits limits;
  RequestReader reader;
  reader.Start(limits);
  std::string buffer = "GET /path HTTP/1.1\r\nHost: host\r\nX: value\r\n\r\n";
  std::string_view input = buffer;
  ASSERT_EQ(reader.Next(input), Event::kHead);
  buffer.assign(buffer.size(), '?');
  EXPECT_EQ(reader.request().path(), "/path");
  EXPECT_EQ(reader.request().host(), "host");
  EXPECT_EQ(reader.request().Find("x"), "value");
}

TEST(RequestReaderTest, TellsHeadWhereItCan) {
  const Limits limits;
  RequestReader reader;
  reader.Start(limits);
  std::string_view input = "\r\nHEAD / HTTP/1.1\nx";
  EXPECT_EQ(reader.Next(input), Event::kRefused);
  EXPECT_TRUE(reader.is_head_request());
  reader.Start(limits);
  input = "HEADER / HTTP/1.1\nx";
  EXPECT_EQ(reader.Next(input), Event::kRefused);
  EXPECT_FALSE(reader.is_head_request());
}

// Whatever bytes there are and wherever they are cut, the events and their contents are the same.
// Each request in two arrivals, cut anywhere, and with another request behind it or none.
TEST(RequestReaderTest, KnowsWhetherTheInputGoesOnBehindTheRequest) {
  const Limits limits;
  for (const std::string_view request :
       {"GET / HTTP/1.1\r\nHost: h\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc",
        "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
        "2;x=\"0\"\r\nab\r\n00b\r\n0\r\n\r\n0\r\n\r\n9\r\n00\r\nT: u\r\n\r\n"}) {
    for (const std::string_view behind : {"", "G", "GET / HTTP/1.1\r\nHost: h\r\n\r\n"}) {
      const std::string input = std::string(request) + std::string(behind);
      for (size_t cut = 0; cut <= input.size(); ++cut) {
        SCOPED_TRACE(cut);
        RequestReader reader;
        reader.Start(limits);
        Event event = Event::kMore;
        for (const size_t end : {cut, input.size()}) {
          const size_t begin = end == cut ? 0 : cut;
          std::string_view arrival = std::string_view(input).substr(begin, end - begin);
          do {
            event = reader.Next(arrival);
            ASSERT_NE(event, Event::kRefused);
            ASSERT_EQ(reader.ReachesBeyond(arrival), end > request.size()) << arrival;
          } while (event != Event::kMore && event != Event::kEnd);
          if (event == Event::kEnd) break;
        }
        EXPECT_EQ(event, Event::kEnd);
      }
    }
  }
}

TEST(RequestReaderTest, RandomBytesGiveOneVerdictAtEverySplit) {
  const std::string_view alphabet =
      "GET /HTP1.0\r\n:aZ;=\"0 \tcontent-lenghtransfer-encodingchunked,";
  Limits limits;
  limits.header_bytes = 100;
  limits.request_line_bytes = 60;
  uint64_t seed = 20260301;
  const auto random = [&seed](size_t below) {
    seed = seed * 6364136223846793005U + 1442695040888963407U;
    return static_cast<size_t>((seed >> 33) % below);
  };
  const std::string valid =
      "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n3;a=b\r\nabc\r\n0\r\nT: "
      "u\r\n\r\n";
  const auto verdict = [&limits](std::string_view text, size_t cut) {
    RequestReader reader;
    reader.Start(limits);
    std::string log;
    for (std::string_view piece : {text.substr(0, cut), text.substr(cut)}) {
      for (bool more = true; more;) {
        switch (reader.Next(piece)) {
          case Event::kMore:
            more = false;
            break;
          case Event::kHead:
            log += "head ";
            break;
          case Event::kBody:
            log.append(reader.piece());
            break;
          case Event::kEnd:
            return log + " end";
          case Event::kRefused:
            return log + " refused " + std::to_string(reader.status());
        }
      }
    }
    return log;
  };
  for (int round = 0; round < 2000; ++round) {
    std::string text = valid;
    for (size_t change = random(4) + 1; change != 0; --change) {
      const size_t at = random(text.size());
      switch (random(3)) {
        case 0:
          text[at] = alphabet[random(alphabet.size())];
          break;
        case 1:
          text.erase(at, random(3) + 1);
          break;
        case 2:
          text.insert(at, 1, alphabet[random(alphabet.size())]);
          break;
      }
    }
    const std::string whole = verdict(text, text.size());
    for (size_t cut = 0; cut < text.size(); ++cut) {
      ASSERT_EQ(verdict(text, cut), whole) << "cut at " << cut << " of " << text;
    }
  }
}

}  // namespace
}  // namespace quintet::http
