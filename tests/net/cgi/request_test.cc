#include "net/cgi/request.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "reactor/version.h"

namespace quintet::cgi {
namespace {

using ::testing::Contains;
using ::testing::Each;
using ::testing::Not;
using ::testing::StartsWith;

std::vector<std::string> EnvironmentOf(const std::vector<http::Field>& fields) {
  Request request;
  request.method = "GET";
  request.fields = fields;
  return MakeEnvironment(request);
}

TEST(CgiRequestTest, MetaVariables) {
  const std::vector<http::Field> fields = {{"Host", "example.org:81"},
                                           {"content-type", "text/plain"},
                                           {"Content-Length", "12"},
                                           {"Accept", "*/*"}};
  Request request;
  request.method = "POST";
  request.target = "/cgi-bin/a/b%20c?x=%31";
  request.query = "x=%31";
  request.host = "example.org:81";
  request.fields = fields;
  request.content_length = 12;
  request.script_name = "/cgi-bin/a";
  request.script_filename = "/srv/cgi/a";
  request.path_info = "/b c";
  request.document_root = "/srv/cgi";
  request.auth_type = "Basic";
  request.remote_user = "somebody";
  request.peer = *Address::Parse("192.0.2.1:4711");
  request.local = *Address::Parse("192.0.2.2:8080");
  const std::vector<std::string> base = {"PATH=/bin"};
  EXPECT_THAT(
      MakeEnvironment(request, base),
      ::testing::UnorderedElementsAre(
          "AUTH_TYPE=Basic", "REMOTE_USER=somebody", "CONTENT_LENGTH=12", "CONTENT_TYPE=text/plain",
          "GATEWAY_INTERFACE=CGI/1.1", "PATH_INFO=/b c", "PATH_TRANSLATED=/srv/cgi/b c",
          "QUERY_STRING=x=%31", "REMOTE_ADDR=192.0.2.1", "REQUEST_METHOD=POST",
          "SCRIPT_NAME=/cgi-bin/a", "SERVER_NAME=example.org", "SERVER_PORT=8080",
          "SERVER_PROTOCOL=HTTP/1.1", std::string("SERVER_SOFTWARE=quintet/") + Version(),
          "HTTP_HOST=example.org:81", "HTTP_ACCEPT=*/*", "REQUEST_URI=/cgi-bin/a/b%20c?x=%31",
          "SCRIPT_FILENAME=/srv/cgi/a", "PATH=/bin"));
}

TEST(CgiRequestTest, WhatIsNotThereIsNotSet) {
  const std::vector<http::Field> fields = {{"Content-Type", "text/plain"}};
  Request request;
  request.method = "GET";
  request.http_minor_version = 0;
  request.fields = fields;
  request.document_root = "/srv/cgi";
  const std::vector<std::string> environment = MakeEnvironment(request);
  for (const char* const name : {"AUTH_TYPE=", "REMOTE_USER=", "CONTENT_LENGTH=", "CONTENT_TYPE=",
                                 "PATH_INFO=", "PATH_TRANSLATED=", "REMOTE_ADDR=", "HTTP_"}) {
    EXPECT_THAT(environment, Each(Not(StartsWith(name))));
  }
  // This one always is (section 4.1.7).
  EXPECT_THAT(environment, Contains("QUERY_STRING="));
  EXPECT_THAT(environment, Contains("SERVER_PROTOCOL=HTTP/1.0"));
  EXPECT_THAT(environment, Contains("SERVER_NAME=localhost"));
  EXPECT_THAT(environment, Contains("SERVER_PORT=80"));
}

TEST(CgiRequestTest, FieldsThatWouldDoHarmAreLeftOut) {
  const std::vector<std::string> environment =
      EnvironmentOf({{"Proxy", "http://evil.example/"},
                     {"PROXY", "http://evil.example/"},
                     {"Authorization", "Basic secret"},
                     {"Proxy-Authorization", "Basic secret"},
                     {"Transfer-Encoding", "chunked"},
                     {"Content-Length", "1"},
                     {"X_Forwarded_For", "forged"},
                     {"X.Y", "forged"},
                     {"_", "forged"}});
  EXPECT_THAT(environment, Each(Not(StartsWith("HTTP_"))));
  EXPECT_THAT(environment, Each(Not(::testing::HasSubstr("secret"))));
}

TEST(CgiRequestTest, FieldsOfOneNameAreJoined) {
  const std::vector<std::string> environment = EnvironmentOf({{"X-Many", "one"},
                                                              {"Cookie", "a=1"},
                                                              {"x-many", "two"},
                                                              {"Cookie", "b=2"},
                                                              {"X2-Number", ""}});
  EXPECT_THAT(environment, Contains("HTTP_X_MANY=one, two"));
  EXPECT_THAT(environment, Contains("HTTP_COOKIE=a=1; b=2"));
  EXPECT_THAT(environment, Contains("HTTP_X2_NUMBER="));
}

TEST(CgiRequestTest, ServerAndClientByAddress) {
  const auto environment = [](std::string_view host, const char* local, const char* peer) {
    Request request;
    request.host = host;
    request.local = *Address::Parse(local);
    request.peer = *Address::Parse(peer);
    return MakeEnvironment(request);
  };
  auto six = environment("[2001:db8::1]:8080", "[::1]:8081", "[::1]:4711");
  EXPECT_THAT(six, Contains("SERVER_NAME=[2001:db8::1]"));
  EXPECT_THAT(six, Contains("SERVER_PORT=8081"));
  EXPECT_THAT(six, Contains("REMOTE_ADDR=::1"));
  EXPECT_THAT(environment("[::1]", "[::1]:1", "[::1]:1"), Contains("SERVER_NAME=[::1]"));
  EXPECT_THAT(environment("", "[::1]:1", "[::1]:1"), Contains("SERVER_NAME=[::1]"));
  EXPECT_THAT(environment("", "127.0.0.1:1", "[::1]:1"), Contains("SERVER_NAME=127.0.0.1"));
  EXPECT_THAT(environment("name", "127.0.0.1:1", "[::1]:1"), Contains("SERVER_NAME=name"));
  const auto unix_socket = environment("", "unix:/run/x", "unix:/run/y");
  EXPECT_THAT(unix_socket, Contains("REMOTE_ADDR=unix:"));
  EXPECT_THAT(unix_socket, Contains("SERVER_PORT=80"));
  EXPECT_THAT(unix_socket, Contains("SERVER_NAME=localhost"));
}

}  // namespace
}  // namespace quintet::cgi
