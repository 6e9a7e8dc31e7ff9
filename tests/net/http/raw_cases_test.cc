// Raw requests and their verdicts, over the sections of RFC 9112 and 9110 that tests from outside
// look at. Each is sent whole, in two pieces at every place, and octet by octet: the verdict and
// the output must be the same.
#include <string>
#include <string_view>
#include <vector>

#include "gtest/gtest.h"
#include "tests/net/http/http_peer.h"

namespace quintet::testing {
namespace {

enum class After { kKept, kClosed };
constexpr After kKept = After::kKept;
constexpr After kClosed = After::kClosed;

struct RawCase {
  std::string name;
  std::string input;
  std::vector<int> statuses;  // of the final responses, in order
  After after;
};

// So that test output stays readable.
void PrintTo(const RawCase& raw, std::ostream* out) { *out << raw.name; }

struct Outcome {
  std::string output;
  std::vector<int> statuses;
  bool closed = false;

  bool operator==(const Outcome&) const = default;
};

// Interim responses depend on when the body arrives, as they should: they do not count here.
std::string WithoutContinue(std::string output) {
  constexpr std::string_view kContinue = "HTTP/1.1 100 Continue\r\n\r\n";
  for (size_t at = output.find(kContinue); at != std::string::npos; at = output.find(kContinue)) {
    output.erase(at, kContinue.size());
  }
  return output;
}

bool IsHead(const RawCase& raw) { return raw.input.starts_with("HEAD "); }

Outcome Converse(const RawCase& raw, const std::vector<std::string_view>& pieces) {
  HttpPeer::Setup setup;
  setup.options.limits.request_line_bytes = 200;
  setup.options.limits.header_bytes = 400;
  setup.options.limits.header_count = 10;
  setup.options.limits.chunk_line_bytes = 40;
  setup.options.limits.body_bytes = 1000;
  HttpPeer peer(setup);
  for (const std::string_view piece : pieces) peer.transport().Feed(piece);
  Outcome outcome;
  outcome.output = WithoutContinue(peer.transport().received());
  const ParsedOutput parsed =
      ParseResponses(outcome.output, IsHead(raw) ? std::vector<size_t>{0} : std::vector<size_t>());
  EXPECT_EQ(parsed.rest, "");
  for (const ParsedResponse& response : parsed.responses) {
    outcome.statuses.push_back(response.status);
    // RFC 9110 section 6.6.1.
    EXPECT_EQ(response.Count("Date"), 1U);
    EXPECT_EQ(response.Count("Allow"), response.status == 405 ? 1U : response.Count("Allow"));
  }
  outcome.closed = peer.transport().closing();
  EXPECT_FALSE(peer.transport().aborted());
  if (outcome.closed && !parsed.responses.empty()) {
    EXPECT_EQ(parsed.responses.back().Field("Connection"), "close");
  }
  return outcome;
}

class RawCasesTest : public ::testing::TestWithParam<RawCase> {};

TEST_P(RawCasesTest, Whole) {
  const RawCase& raw = GetParam();
  const Outcome outcome = Converse(raw, {raw.input});
  EXPECT_EQ(outcome.statuses, raw.statuses) << outcome.output;
  EXPECT_EQ(outcome.closed, raw.after == kClosed) << outcome.output;
}

TEST_P(RawCasesTest, EverySplit) {
  const RawCase& raw = GetParam();
  const Outcome whole = Converse(raw, {raw.input});
  const std::string_view input = raw.input;
  for (size_t at = 1; at < input.size(); ++at) {
    ASSERT_EQ(Converse(raw, {input.substr(0, at), input.substr(at)}), whole) << "cut at " << at;
  }
  std::vector<std::string_view> octets;
  for (size_t at = 0; at < input.size(); ++at) octets.push_back(input.substr(at, 1));
  ASSERT_EQ(Converse(raw, octets), whole) << "octet by octet";
}

std::string Get(std::string_view target, std::string_view fields = "Host: a\r\n") {
  return std::string("GET ").append(target).append(" HTTP/1.1\r\n").append(fields).append("\r\n");
}

std::string Post(std::string_view fields, std::string_view body, std::string_view path = "/echo") {
  return std::string("POST ")
      .append(path)
      .append(" HTTP/1.1\r\nHost: a\r\n")
      .append(fields)
      .append("\r\n")
      .append(body);
}

std::string Chunked(std::string_view body) { return Post("Transfer-Encoding: chunked\r\n", body); }

std::string Length(std::string_view value, std::string_view body = "") {
  return Post(std::string("Content-Length: ").append(value).append("\r\n"), body);
}

// A literal that may hold NUL.
template <size_t size>
std::string Raw(const char (&text)[size]) {
  return std::string(text, size - 1);
}

std::vector<RawCase> LineCases() {
  const std::string next = Get("/");
  return {
      // RFC 9112 section 2.2
      {"Plain", Get("/"), {200}, kKept},
      {"BareLfRequestLine", "GET / HTTP/1.1\nHost: a\r\n\r\n", {400}, kClosed},
      {"BareLfField", "GET / HTTP/1.1\r\nHost: a\n\r\n", {400}, kClosed},
      {"BareLfEnd", "GET / HTTP/1.1\r\nHost: a\r\n\n", {400}, kClosed},
      {"AllBareLf", "GET / HTTP/1.1\nHost: a\n\n", {400}, kClosed},
      {"BareCrRequestLine", "GET / HTTP/1.1\rHost: a\r\n\r\n", {400}, kClosed},
      {"BareCrField", "GET / HTTP/1.1\r\nHost: a\rX: b\r\n\r\n", {400}, kClosed},
      {"BareCrEnd", "GET / HTTP/1.1\r\nHost: a\r\n\rX", {400}, kClosed},
      {"CrCrLf", "GET / HTTP/1.1\r\r\nHost: a\r\n\r\n", {400}, kClosed},
      {"OnlyCr", "GET / HTTP/1.1\rHost: a\r\r", {400}, kClosed},
      {"OneEmptyLine", "\r\n" + next, {200}, kKept},
      {"EightEmptyLines", "\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n" + next, {200}, kKept},
      {"NineEmptyLines", "\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n" + next, {400}, kClosed},
      {"EmptyLineBetween", next + "\r\n" + next, {200, 200}, kKept},
      {"OnlyEmptyLines", "\r\n\r\n", {}, kKept},
      {"BareLfBefore", "\n" + next, {400}, kClosed},
      {"BareCrBefore", "\rG", {400}, kClosed},
      {"SpaceBefore", " GET / HTTP/1.1\r\nHost: a\r\n\r\n", {400}, kClosed},
      {"Garbage", "\x01\x02\x03\xff\xfe", {400}, kClosed},
      {"TlsHello", Raw("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"), {400}, kClosed},
      {"Http2Preface", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", {505}, kClosed},
      {"PriMethod", "PRI * HTTP/1.1\r\nHost: a\r\n\r\n", {501}, kClosed},
      {"ResponseLine", "HTTP/1.1 200 OK\r\n\r\n", {400}, kClosed},
      {"RefusedThenMore", "GET / HTTP/1.1\nHost: a\r\n\r\n" + next, {400}, kClosed},
      {"GoodThenRefused", next + next + "GET  / HTTP/1.1\r\n\r\n", {200, 200, 400}, kClosed},

      // Sections 3, 3.1
      {"Http09", "GET /\r\n", {400}, kClosed},
      {"Http09Space", "GET / \r\n", {400}, kClosed},
      {"NoTarget", "GET HTTP/1.1\r\nHost: a\r\n\r\n", {400}, kClosed},
      {"EmptyTarget", "GET  HTTP/1.1\r\nHost: a\r\n\r\n", {400}, kClosed},
      {"TwoSpacesFirst", "GET  / HTTP/1.1\r\nHost: a\r\n\r\n", {400}, kClosed},
      {"TwoSpacesSecond", "GET /  HTTP/1.1\r\nHost: a\r\n\r\n", {400}, kClosed},
      {"TrailingSpace", "GET / HTTP/1.1 \r\nHost: a\r\n\r\n", {400}, kClosed},
      {"TabInLine", "GET\t/ HTTP/1.1\r\nHost: a\r\n\r\n", {400}, kClosed},
      {"SpaceInTarget", "GET /a b HTTP/1.1\r\nHost: a\r\n\r\n", {400}, kClosed},
      {"UnknownMethod", "FROB / HTTP/1.1\r\nHost: a\r\n\r\n", {501}, kClosed},
      {"LowerCaseMethod", "get / HTTP/1.1\r\nHost: a\r\n\r\n", {501}, kClosed},
      {"MixedCaseMethod", "Get / HTTP/1.1\r\nHost: a\r\n\r\n", {501}, kClosed},
      {"LongerMethod", "GETX / HTTP/1.1\r\nHost: a\r\n\r\n", {501}, kClosed},
      {"ShorterMethod", "GE / HTTP/1.1\r\nHost: a\r\n\r\n", {501}, kClosed},
      {"OtherProtocolsMethod", "DESCRIBE / HTTP/1.1\r\nHost: a\r\n\r\n", {501}, kClosed},
      {"IcecastMethod", "SOURCE / HTTP/1.1\r\nHost: a\r\n\r\n", {405}, kKept},
      {"VeryLongMethod", std::string(40, 'M') + " / HTTP/1.1\r\nHost: a\r\n\r\n", {501}, kClosed},
      {"MethodNotToken", "G(T / HTTP/1.1\r\nHost: a\r\n\r\n", {400}, kClosed},
      {"MethodWithColon", "GET: / HTTP/1.1\r\nHost: a\r\n\r\n", {400}, kClosed},
      {"KnownMethodNotAllowed", "DELETE / HTTP/1.1\r\nHost: a\r\n\r\n", {405}, kKept},
      {"LineAtLimit",
       "GET /" + std::string(200 - 14, 'a') + " HTTP/1.1\r\nHost: a\r\n\r\n",
       {404},
       kKept},
      {"LineTooLong", Get("/" + std::string(300, 'a')), {414}, kClosed},
      {"EndlessTarget", "GET /" + std::string(300, 'a'), {414}, kClosed},

      // Section 2.3
      {"Http10", "GET / HTTP/1.0\r\n\r\n", {200}, kClosed},
      {"Http12", "GET / HTTP/1.2\r\nHost: a\r\n\r\n", {200}, kKept},
      {"Http19", "GET / HTTP/1.9\r\nHost: a\r\n\r\n", {200}, kKept},
      {"Http20", "GET / HTTP/2.0\r\nHost: a\r\n\r\n", {505}, kClosed},
      {"Http30", "GET / HTTP/3.0\r\nHost: a\r\n\r\n", {505}, kClosed},
      {"Http00", "GET / HTTP/0.9\r\nHost: a\r\n\r\n", {505}, kClosed},
      {"VersionLowerCase", "GET / http/1.1\r\nHost: a\r\n\r\n", {400}, kClosed},
      {"VersionNoMinor", "GET / HTTP/1\r\nHost: a\r\n\r\n", {400}, kClosed},
      {"VersionNoMinorDot", "GET / HTTP/1.\r\nHost: a\r\n\r\n", {400}, kClosed},
      {"VersionTwoDigits", "GET / HTTP/1.10\r\nHost: a\r\n\r\n", {400}, kClosed},
      {"VersionLeadingZero", "GET / HTTP/01.1\r\nHost: a\r\n\r\n", {400}, kClosed},
      {"VersionSpace", "GET / HTTP/ 1.1\r\nHost: a\r\n\r\n", {400}, kClosed},
      {"VersionOtherName", "GET / HTPP/1.1\r\nHost: a\r\n\r\n", {400}, kClosed},
      {"VersionMinus", "GET / HTTP/-1.1\r\nHost: a\r\n\r\n", {400}, kClosed},
      {"VersionLetters", "GET / HTTP/x.y\r\nHost: a\r\n\r\n", {400}, kClosed},
  };
}

std::vector<RawCase> TargetCases() {
  const std::string host = " HTTP/1.1\r\nHost: a\r\n\r\n";
  return {
      // Section 3.2
      {"OriginForm", Get("/about?x=1&y=2"), {200}, kKept},
      {"AbsoluteForm", Get("http://b/"), {200}, kKept},
      {"AbsoluteFormUpperScheme", Get("HTTP://b/"), {200}, kKept},
      {"AbsoluteFormNoPath", Get("http://b"), {200}, kKept},
      {"AbsoluteFormPort", Get("http://b:8080/"), {200}, kKept},
      {"AbsoluteFormIpv6", Get("http://[::1]:8080/"), {200}, kKept},
      {"AbsoluteFormNoHostField", "GET http://b/ HTTP/1.1\r\n\r\n", {400}, kClosed},
      {"AbsoluteFormNoHost", Get("http:///"), {400}, kClosed},
      {"AbsoluteFormPortOnly", Get("http://:80/"), {400}, kClosed},
      {"AbsoluteFormUser", Get("http://u:p@b/"), {400}, kClosed},
      {"AbsoluteFormBadPort", Get("http://b:x/"), {400}, kClosed},
      {"AbsoluteFormHttps", Get("https://b/"), {421}, kClosed},
      {"AbsoluteFormOtherScheme", Get("ftp://b/"), {400}, kClosed},
      {"AuthorityFormGet", Get("b:80"), {400}, kClosed},
      {"RelativeTarget", Get("index.html"), {400}, kClosed},
      {"AsteriskGet", Get("*"), {400}, kClosed},
      {"AsteriskOptions", "OPTIONS *" + host, {200}, kKept},
      {"AsteriskOptionsMore", "OPTIONS *x" + host, {400}, kClosed},
      {"AbsoluteOptions", "OPTIONS http://b" + host, {200}, kKept},
      {"OptionsPath", "OPTIONS /" + host, {200}, kKept},
      {"OptionsUnknownPath", "OPTIONS /nothing" + host, {404}, kKept},
      {"Fragment", Get("/#x"), {400}, kClosed},
      {"Backslash", Get("/a\\b"), {400}, kClosed},
      {"Quote", Get("/\""), {400}, kClosed},
      {"Angle", Get("/<a>"), {400}, kClosed},
      {"Brace", Get("/{a}"), {400}, kClosed},
      {"Pipe", Get("/a|b"), {400}, kClosed},
      {"NonAsciiTarget", Get("/\xc3\xa4"), {400}, kClosed},
      {"OverlongUtf8", Get("/\xc0\xaf"), {400}, kClosed},
      {"DeleteInTarget", Get("/\x7f"), {400}, kClosed},
      {"NulInTarget", Raw("GET /\0 HTTP/1.1\r\nHost: a\r\n\r\n"), {400}, kClosed},
      {"TabInTarget", Get("/\t"), {400}, kClosed},
      {"PercentGood", Get("/%41%5a"), {404}, kKept},
      {"PercentBad", Get("/%zz"), {400}, kClosed},
      {"PercentCut", Get("/%4"), {400}, kClosed},
      {"DotsAreLiteral", Get("/../"), {404}, kKept},
      {"UnknownPath", Get("/nothing"), {404}, kKept},
      {"Trace", "TRACE /" + host, {405}, kKept},
      {"TraceElsewhere", "TRACE /nothing" + host, {405}, kKept},
      {"Connect", "CONNECT b:443" + host + "\x16\x03", {405}, kClosed},
      {"ConnectNoPort", "CONNECT b" + host, {400}, kClosed},
      {"ConnectEmptyPort", "CONNECT b:" + host, {400}, kClosed},
      {"ConnectPath", "CONNECT /" + host, {400}, kClosed},
      {"Head", "HEAD /" + host, {200}, kKept},
      {"HeadUnknown", "HEAD /nothing" + host, {404}, kKept},
      {"HeadRefused", "HEAD / HTTP/1.1\r\n\r\n", {400}, kClosed},

      // Section 3.2, RFC 9110 section 7.2
      {"HostMissing", Get("/", ""), {400}, kClosed},
      {"HostMissing10", "GET / HTTP/1.0\r\n\r\n", {200}, kClosed},
      {"HostTwice", Get("/", "Host: a\r\nHost: b\r\n"), {400}, kClosed},
      {"HostTwiceEqual", Get("/", "Host: a\r\nHost: a\r\n"), {400}, kClosed},
      {"HostTwiceOtherCase", Get("/", "Host: a\r\nhOST: a\r\n"), {400}, kClosed},
      {"HostTwice10", "GET / HTTP/1.0\r\nHost: a\r\nHost: a\r\n\r\n", {400}, kClosed},
      {"HostEmpty", Get("/", "Host:\r\n"), {400}, kClosed},
      {"HostEmptySpace", Get("/", "Host: \r\n"), {400}, kClosed},
      {"HostPort", Get("/", "Host: a:80\r\n"), {200}, kKept},
      {"HostEmptyPort", Get("/", "Host: a:\r\n"), {200}, kKept},
      {"HostBadPort", Get("/", "Host: a:b\r\n"), {400}, kClosed},
      {"HostHugePort", Get("/", "Host: a:65536\r\n"), {400}, kClosed},
      {"HostTwoPorts", Get("/", "Host: a:1:2\r\n"), {400}, kClosed},
      {"HostList", Get("/", "Host: a, b\r\n"), {400}, kClosed},
      {"HostListTight", Get("/", "Host: a,b\r\n"), {400}, kClosed},
      {"HostSpace", Get("/", "Host: a b\r\n"), {400}, kClosed},
      {"HostPath", Get("/", "Host: a/b\r\n"), {400}, kClosed},
      {"HostUser", Get("/", "Host: u@a\r\n"), {400}, kClosed},
      {"HostScheme", Get("/", "Host: http://a\r\n"), {400}, kClosed},
      {"HostQuery", Get("/", "Host: a?b\r\n"), {400}, kClosed},
      {"HostNonAscii", Get("/", "Host: \xc3\xa4\r\n"), {400}, kClosed},
      {"HostIpv4", Get("/", "Host: 127.0.0.1:8080\r\n"), {200}, kKept},
      {"HostIpv6", Get("/", "Host: [::1]:8080\r\n"), {200}, kKept},
      {"HostIpv6NoPort", Get("/", "Host: [2001:db8::1]\r\n"), {200}, kKept},
      {"HostIpv6Open", Get("/", "Host: [::1\r\n"), {400}, kClosed},
      {"HostIpv6Bare", Get("/", "Host: ::1\r\n"), {400}, kClosed},
      {"HostIpv6Bad", Get("/", "Host: [zz]\r\n"), {400}, kClosed},
      {"HostIpv6Tail", Get("/", "Host: [::1]x\r\n"), {400}, kClosed},
      {"HostPercent", Get("/", "Host: a%41\r\n"), {200}, kKept},
      {"HostPercentBad", Get("/", "Host: a%4\r\n"), {400}, kClosed},
      {"HostAroundSpace", Get("/", "Host: \t a \t\r\n"), {200}, kKept},
      {"HostMismatch", Get("http://b/", "Host: c\r\n"), {200}, kKept},
      {"HostBadBesideAbsolute", Get("http://b/", "Host: c/d\r\n"), {400}, kClosed},
  };
}

std::vector<RawCase> FieldCases() {
  const auto with = [](const std::string& fields) { return Get("/", "Host: a\r\n" + fields); };
  return {
      // Section 5, RFC 9110 section 5.5
      {"SpaceBeforeColon", with("X : b\r\n"), {400}, kClosed},
      {"TabBeforeColon", with("X\t: b\r\n"), {400}, kClosed},
      {"SpaceInName", with("X Y: b\r\n"), {400}, kClosed},
      {"EmptyName", with(": b\r\n"), {400}, kClosed},
      {"NoColon", with("X\r\n"), {400}, kClosed},
      {"NameNotToken", with("X[]: b\r\n"), {400}, kClosed},
      {"NameSlash", with("X/Y: b\r\n"), {400}, kClosed},
      {"NameNonAscii", with("X\xc3\xa4: b\r\n"), {400}, kClosed},
      {"NameNul", Raw("GET / HTTP/1.1\r\nHost: a\r\nX\0: b\r\n\r\n"), {400}, kClosed},
      {"NameAllTokenChars", with("!#$%&'*+-.^_`|~09azAZ: b\r\n"), {200}, kKept},
      {"ObsFold", with("X: b\r\n c\r\n"), {400}, kClosed},
      {"ObsFoldTab", with("X: b\r\n\tc\r\n"), {400}, kClosed},
      {"SpaceBeforeFirstField", Get("/", " Host: a\r\n"), {400}, kClosed},
      {"WhitespaceLine", with(" \r\n"), {400}, kClosed},
      {"NulInValue", Raw("GET / HTTP/1.1\r\nHost: a\r\nX: b\0c\r\n\r\n"), {400}, kClosed},
      {"BellInValue", with("X: b\x07\r\n"), {400}, kClosed},
      {"EscapeInValue", with("X: b\x1b[31m\r\n"), {400}, kClosed},
      {"DeleteInValue", with("X: b\x7f\r\n"), {400}, kClosed},
      {"VerticalTabInValue", with("X: b\x0b\r\n"), {400}, kClosed},
      {"CrInValue", with("X: b\rc\r\n"), {400}, kClosed},
      {"LfInValue", with("X: b\nc\r\n"), {400}, kClosed},
      {"TabInValue", with("X: b\tc\r\n"), {200}, kKept},
      {"HighOctetsInValue", with("X: \x80\xff\r\n"), {200}, kKept},
      {"EmptyValue", with("X:\r\n"), {200}, kKept},
      {"TabAroundValue", with("X:\tb\t\r\n"), {200}, kKept},
      {"WhitespaceValue", with("X: \t \r\n"), {200}, kKept},
      {"NoSpaceAfterColon", with("X:b\r\n"), {200}, kKept},
      {"ColonInValue", with("X: b:c\r\n"), {200}, kKept},
      {"CountAtLimit",
       with("a:1\r\nb:1\r\nc:1\r\nd:1\r\ne:1\r\nf:1\r\ng:1\r\nh:1\r\ni:1\r\n"),
       {200},
       kKept},
      {"CountAboveLimit",
       with("a:1\r\nb:1\r\nc:1\r\nd:1\r\ne:1\r\nf:1\r\ng:1\r\nh:1\r\ni:1\r\nj:1\r\n"),
       {431},
       kClosed},
      {"BytesAtLimit", with("X: " + std::string(400 - 9 - 3 - 2, 'b') + "\r\n"), {200}, kKept},
      {"BytesAboveLimit", with("X: " + std::string(400, 'b') + "\r\n"), {431}, kClosed},
      {"NameAboveLimit", with(std::string(400, 'X') + ": b\r\n"), {431}, kClosed},
      {"EndlessValue", "GET / HTTP/1.1\r\nX: " + std::string(400, 'b'), {431}, kClosed},

      // Section 9.3
      {"CloseOption", with("Connection: close\r\n"), {200}, kClosed},
      {"CloseOptionCase", with("connection: CLOSE\r\n"), {200}, kClosed},
      {"CloseInList", with("Connection: x, close ,y\r\n"), {200}, kClosed},
      {"CloseSecondField", with("Connection: keep-alive\r\nConnection: close\r\n"), {200}, kClosed},
      {"CloseIsNoSubstring", with("Connection: closed\r\n"), {200}, kKept},
      {"KeepAlive", with("Connection: keep-alive\r\n"), {200}, kKept},
      {"KeepAlive10", "GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n", {200}, kKept},
      {"KeepAliveAndClose10",
       "GET / HTTP/1.0\r\nConnection: keep-alive, close\r\n\r\n",
       {200},
       kClosed},
      {"CloseDropsTheRest", with("Connection: close\r\n") + Get("/"), {200}, kClosed},
      {"Pipelined", Get("/") + Get("/nothing") + Get("/"), {200, 404, 200}, kKept},

      // RFC 9110 section 7.8
      {"Upgrade",
       with("Connection: Upgrade\r\nUpgrade: websocket\r\n") + Get("/"),
       {200, 200},
       kKept},
      {"UpgradeH2c", with("Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n"), {200}, kKept},
      {"UpgradePost",
       Post("Connection: upgrade\r\nUpgrade: x\r\nContent-Length: 3\r\n", "abc") + Get("/"),
       {200, 200},
       kKept},
      {"UpgradeChunked",
       Post("Connection: upgrade\r\nUpgrade: x\r\nTransfer-Encoding: chunked\r\n",
            "3\r\nabc\r\n0\r\n\r\n") +
           Get("/"),
       {200, 200},
       kKept},

      // RFC 9110 section 10.1.1
      {"ExpectContinue",
       Post("Expect: 100-continue\r\nContent-Length: 3\r\n", "abc"),
       {200},
       kKept},
      {"ExpectContinueCase",
       Post("Expect: 100-Continue\r\nContent-Length: 3\r\n", "abc"),
       {200},
       kKept},
      {"ExpectContinueNoBody", with("Expect: 100-continue\r\n"), {200}, kKept},
      {"ExpectOther", with("Expect: 200-ok\r\n"), {417}, kClosed},
      {"ExpectOtherInList", with("Expect: 100-continue, x\r\n"), {417}, kClosed},
      {"ExpectRefused",
       Post("Expect: 100-continue\r\nContent-Length: 3\r\n", "", "/nothing"),
       {404},
       kClosed},
      {"ExpectTooLarge",
       Post("Expect: 100-continue\r\nContent-Length: 5000\r\n", ""),
       {413},
       kClosed},
  };
}

std::vector<RawCase> BodyCases() {
  const std::string next = Get("/");
  const std::string end = "0\r\n\r\n";
  return {
      // Sections 6.1 to 6.3
      {"Length", Length("3", "abc") + next, {200, 200}, kKept},
      {"LengthZero", Length("0") + next, {200, 200}, kKept},
      {"LengthLeadingZeros", Length("0003", "abc") + next, {200, 200}, kKept},
      {"LengthAround", Post("Content-Length: \t3 \t\r\n", "abc") + next, {200, 200}, kKept},
      {"NoLengthNoBody", Post("", "") + next, {200, 200}, kKept},
      {"GetWithBody",
       Get("/", "Host: a\r\nContent-Length: 3\r\n") + "abc" + next,
       {200, 200},
       kKept},
      {"LengthTwice", Post("Content-Length: 3\r\nContent-Length: 4\r\n", "abc"), {400}, kClosed},
      {"LengthTwiceEqual",
       Post("Content-Length: 3\r\nContent-Length: 3\r\n", "abc"),
       {400},
       kClosed},
      {"LengthList", Length("3, 4", "abc"), {400}, kClosed},
      {"LengthListEqual", Length("3, 3", "abc"), {400}, kClosed},
      {"LengthListTight", Length("3,3", "abc"), {400}, kClosed},
      {"LengthPlus", Length("+3", "abc"), {400}, kClosed},
      {"LengthMinus", Length("-3", "abc"), {400}, kClosed},
      {"LengthMinusZero", Length("-0"), {400}, kClosed},
      {"LengthHex", Length("0x3", "abc"), {400}, kClosed},
      {"LengthOctal", Length("0o3", "abc"), {400}, kClosed},
      {"LengthUnderscore", Length("1_0"), {400}, kClosed},
      {"LengthSpaceInside", Length("1 0"), {400}, kClosed},
      {"LengthPoint", Length("3.0", "abc"), {400}, kClosed},
      {"LengthExponent", Length("3e0", "abc"), {400}, kClosed},
      {"LengthWord", Length("three"), {400}, kClosed},
      {"LengthEmpty", Length(""), {400}, kClosed},
      {"LengthTrailingText", Length("3x", "abc"), {400}, kClosed},
      {"LengthNonAsciiDigit", Length("\xd9\xa3", "abc"), {400}, kClosed},
      {"Length2To63", Length("9223372036854775808"), {413}, kClosed},
      {"Length2To64Minus1", Length("18446744073709551615"), {413}, kClosed},
      {"Length2To64", Length("18446744073709551616"), {400}, kClosed},
      {"Length100Digits", Length(std::string(100, '9')), {400}, kClosed},
      {"LengthOverLimit", Length("1001"), {413}, kClosed},
      {"LengthAtLimit", Length("1000", std::string(1000, 'b')), {200}, kKept},
      {"RouteLimit", Post("Content-Length: 11\r\n", "", "/small"), {413}, kClosed},
      {"RouteLimitMet", Post("Content-Length: 10\r\n", "0123456789", "/small"), {200}, kKept},
      {"LengthRequired", Post("", "", "/length"), {411}, kClosed},
      {"LengthRequiredChunked",
       Post("Transfer-Encoding: chunked\r\n", end, "/length"),
       {411},
       kClosed},
      {"LengthRequiredMet", Post("Content-Length: 1\r\n", "x", "/length"), {200}, kKept},
      {"CodingAndLength",
       Post("Transfer-Encoding: chunked\r\nContent-Length: 3\r\n", "0\r\n\r\n" + next),
       {400},
       kClosed},
      {"LengthAndCoding",
       Post("Content-Length: 3\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n" + next),
       {400},
       kClosed},
      {"BadLengthAndCoding",
       Post("Content-Length: x\r\nTransfer-Encoding: chunked\r\n", end),
       {400},
       kClosed},
      {"CodingIn10",
       "POST /echo HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
       {400},
       kClosed},
      {"CodingIn10KeepAlive",
       "POST /echo HTTP/1.0\r\nConnection: keep-alive\r\nTransfer-Encoding: chunked\r\n\r\n" + end,
       {400},
       kClosed},
      {"CodingUnknown", Post("Transfer-Encoding: frob, chunked\r\n", end), {501}, kClosed},
      {"CodingGzip", Post("Transfer-Encoding: gzip, chunked\r\n", end), {501}, kClosed},
      {"CodingUnknownLast", Post("Transfer-Encoding: frob\r\n", ""), {400}, kClosed},
      {"CodingIdentity", Post("Transfer-Encoding: identity\r\n", ""), {400}, kClosed},
      {"CodingXchunked", Post("Transfer-Encoding: xchunked\r\n", end), {400}, kClosed},
      {"CodingChunkedNotLast", Post("Transfer-Encoding: chunked, gzip\r\n", end), {400}, kClosed},
      {"CodingChunkedTwice", Post("Transfer-Encoding: chunked, chunked\r\n", end), {400}, kClosed},
      {"CodingTwoFields",
       Post("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", end),
       {400},
       kClosed},
      {"CodingTwoFieldsOther",
       Post("Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n", end),
       {400},
       kClosed},
      {"CodingEmpty", Post("Transfer-Encoding:\r\n", end), {400}, kClosed},
      {"CodingParameter", Post("Transfer-Encoding: chunked;a=b\r\n", end), {400}, kClosed},
      {"CodingQuoted", Post("Transfer-Encoding: \"chunked\"\r\n", end), {400}, kClosed},
      {"CodingCase", Post("Transfer-Encoding: CHUNKED\r\n", end) + next, {200, 200}, kKept},
      {"CodingTabs", Post("Transfer-Encoding:\tchunked\t\r\n", end) + next, {200, 200}, kKept},
      {"CodingVerticalTab",
       Post("Transfer-Encoding: \x0b"
            "chunked\r\n",
            end),
       {400},
       kClosed},
      {"CodingNul",
       Raw("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\0\r\n\r\n"),
       {400},
       kClosed},
      {"CodingSpaceColon", Post("Transfer-Encoding : chunked\r\n", end), {400}, kClosed},
      {"CodingFolded", Post("Transfer-Encoding:\r\n chunked\r\n", end), {400}, kClosed},

      // Section 7.1
      {"Chunked", Chunked("3\r\nabc\r\n" + end) + next, {200, 200}, kKept},
      {"ChunkedEmpty", Chunked(end) + next, {200, 200}, kKept},
      {"ChunkedMany", Chunked("1\r\na\r\n2\r\nbc\r\na\r\n0123456789\r\n" + end), {200}, kKept},
      {"ChunkUpperCase", Chunked("A\r\n0123456789\r\n" + end), {200}, kKept},
      {"ChunkLeadingZeros", Chunked("0000000000000000000003\r\nabc\r\n000\r\n\r\n"), {200}, kKept},
      {"ChunkLineAtLimit", Chunked(std::string(39, '0') + "1\r\na\r\n" + end), {200}, kKept},
      {"ChunkLineTooLong", Chunked(std::string(41, '0')), {400}, kClosed},
      {"ChunkNoSize", Chunked("\r\nabc\r\n" + end), {400}, kClosed},
      {"ChunkOnlyExtension", Chunked(";a\r\n" + end), {400}, kClosed},
      {"ChunkNotHex", Chunked("g\r\nabc\r\n" + end), {400}, kClosed},
      {"ChunkPrefix", Chunked("0x3\r\nabc\r\n" + end), {400}, kClosed},
      {"ChunkMinus", Chunked("-3\r\nabc\r\n" + end), {400}, kClosed},
      {"ChunkPlus", Chunked("+3\r\nabc\r\n" + end), {400}, kClosed},
      {"ChunkUnderscore", Chunked("1_0\r\nabc\r\n" + end), {400}, kClosed},
      {"ChunkLeadingSpace", Chunked(" 3\r\nabc\r\n" + end), {400}, kClosed},
      {"ChunkTrailingSpace", Chunked("3 \r\nabc\r\n" + end), {400}, kClosed},
      {"ChunkTrailingTab", Chunked("3\t\r\nabc\r\n" + end), {400}, kClosed},
      {"ChunkOverflow64", Chunked("10000000000000000\r\nabc"), {400}, kClosed},
      {"ChunkOverflowFar", Chunked(std::string(32, 'f') + "\r\nabc"), {400}, kClosed},
      {"ChunkHuge", Chunked("ffffffffffffffff\r\n" + std::string(1001, 'b')), {413}, kClosed},
      {"ChunkedOverLimit",
       Chunked("3e9\r\n" + std::string(1001, 'b') + "\r\n" + end),
       {413},
       kClosed},
      {"ChunkedAtLimit", Chunked("3e8\r\n" + std::string(1000, 'b') + "\r\n" + end), {200}, kKept},
      {"ChunkBareLf", Chunked("3\nabc\r\n" + end), {400}, kClosed},
      {"ChunkBareCr", Chunked("3\rabc\r\n" + end), {400}, kClosed},
      {"ChunkDataBareLf", Chunked("3\r\nabc\n" + end), {400}, kClosed},
      {"ChunkDataBareCr", Chunked("3\r\nabc\r" + end), {400}, kClosed},
      {"ChunkDataNoEnd", Chunked("3\r\nabc" + end), {400}, kClosed},
      {"ChunkDataTooLong", Chunked("3\r\nabcde\r\n" + end), {400}, kClosed},
      {"LastChunkBareLf", Chunked("0\n\r\n"), {400}, kClosed},
      {"LastChunkEndBareLf", Chunked("0\r\n\n"), {400}, kClosed},
      {"Extension", Chunked("3;a=b\r\nabc\r\n0;c\r\n\r\n") + next, {200, 200}, kKept},
      {"ExtensionQuoted", Chunked("3;a=\"b;\\\"c\"\r\nabc\r\n" + end), {200}, kKept},
      {"ExtensionSeveral", Chunked("3;a;b=c;d=\"e\"\r\nabc\r\n" + end), {200}, kKept},
      {"ExtensionSpaces", Chunked("3 ; a = b ;c\r\nabc\r\n" + end), {200}, kKept},
      {"ExtensionNoName", Chunked("3;\r\nabc\r\n" + end), {400}, kClosed},
      {"ExtensionNoValue", Chunked("3;a=\r\nabc\r\n" + end), {400}, kClosed},
      {"ExtensionNotToken", Chunked("3;a(b\r\nabc\r\n" + end), {400}, kClosed},
      {"ExtensionNul",
       Raw("POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
           "3;a\0\r\nabc\r\n0\r\n\r\n"),
       {400},
       kClosed},
      {"ExtensionCr", Chunked("3;a\rb\r\nabc\r\n" + end), {400}, kClosed},
      {"ExtensionLf", Chunked("3;a\nabc\r\n" + end), {400}, kClosed},
      {"ExtensionOpenQuote", Chunked("3;a=\"b\r\nabc\r\n" + end), {400}, kClosed},
      {"ExtensionAfterQuote", Chunked("3;a=\"b\"c\r\nabc\r\n" + end), {400}, kClosed},
      {"ExtensionTooLong",
       Chunked("3;a=" + std::string(40, 'b') + "\r\nabc\r\n" + end),
       {400},
       kClosed},
      {"Trailer", Chunked("3\r\nabc\r\n0\r\nX: y\r\nZ: w\r\n\r\n") + next, {200, 200}, kKept},
      {"TrailerNoColon", Chunked("0\r\nX\r\n\r\n"), {400}, kClosed},
      {"TrailerSpaceColon", Chunked("0\r\nX : y\r\n\r\n"), {400}, kClosed},
      {"TrailerFolded", Chunked("0\r\nX: y\r\n z\r\n\r\n"), {400}, kClosed},
      {"TrailerBareLf", Chunked("0\r\nX: y\n\r\n"), {400}, kClosed},
      {"TrailerControl", Chunked("0\r\nX: \x01\r\n\r\n"), {400}, kClosed},
      {"TrailerTooLarge", Chunked("0\r\nX: " + std::string(400, 'y') + "\r\n\r\n"), {431}, kClosed},
      {"TrailerTooMany",
       Chunked("0\r\na:1\r\nb:1\r\nc:1\r\nd:1\r\ne:1\r\nf:1\r\ng:1\r\nh:1\r\ni:1\r\n\r\n"),
       {431},
       kClosed},
      {"TrailerHost", Chunked("0\r\nHost: b\r\n\r\n") + next, {200, 200}, kKept},

      // Bodies nobody asked for
      {"UnroutedBody", Post("Content-Length: 3\r\n", "abc", "/nothing") + next, {404, 200}, kKept},
      {"UnroutedChunked",
       Post("Transfer-Encoding: chunked\r\n", "3\r\nabc\r\n" + end, "/nothing") + next,
       {404, 200},
       kKept},
      {"UnroutedBadChunk",
       Post("Transfer-Encoding: chunked\r\nConnection: close\r\n", "x\r\n", "/nothing"),
       {404},
       kClosed},
      {"UnroutedHugeBody", Post("Content-Length: 1000000\r\n", "abc", "/nothing"), {404}, kClosed},
      {"OptionsBody",
       "OPTIONS * HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc" + next,
       {200, 200},
       kKept},
      {"HandlerThrows", Get("/throw") + next, {500}, kClosed},
      {"HandlerSilent", Get("/silent") + next, {500}, kClosed},
  };
}

std::string CaseName(const ::testing::TestParamInfo<RawCase>& info) { return info.param.name; }

INSTANTIATE_TEST_SUITE_P(Lines, RawCasesTest, ::testing::ValuesIn(LineCases()), CaseName);
INSTANTIATE_TEST_SUITE_P(Targets, RawCasesTest, ::testing::ValuesIn(TargetCases()), CaseName);
INSTANTIATE_TEST_SUITE_P(Fields, RawCasesTest, ::testing::ValuesIn(FieldCases()), CaseName);
INSTANTIATE_TEST_SUITE_P(Bodies, RawCasesTest, ::testing::ValuesIn(BodyCases()), CaseName);

}  // namespace
}  // namespace quintet::testing
