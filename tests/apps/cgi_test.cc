// Programs of a directory behind the hello server, as its operator runs it.
#include <gmock/gmock.h>
#include <signal.h>
#include <sys/socket.h>

#include <memory>
#include <string>
#include <vector>

#include "tests/apps/operations_fixture.h"
#include "tests/support/peers.h"
#include "tests/support/process_info.h"
#include "tests/support/program_directory.h"
#include "tests/support/response_parser.h"

namespace quintet::testing {
namespace {

using ::testing::HasSubstr;

class CgiTest : public OperationsTest {
 protected:
  // The one response to `request`, which asks to close.
  ParsedResponse Exchange(const std::string& request) const {
    const Fd client = Connect();
    EXPECT_TRUE(SendAll(client.get(), request));
    ParsedOutput output = ParseResponses(ReceiveToEnd(client.get()));
    EXPECT_EQ(output.responses.size(), 1U) << output.rest;
    return output.responses.empty() ? ParsedResponse() : output.responses[0];
  }
  ParsedResponse Get(const std::string& path) const {
    return Exchange("GET " + path + " HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
  }

  const ProgramDirectory directory_;
};
INSTANTIATE_TEST_SUITE_P(Operations, CgiTest,
                         ::testing::ValuesIn(EveryWorkerKind("reuseport", {kRealBackends.begin(),
                                                                           kRealBackends.end()})),
                         OperationName);

TEST_P(CgiTest, ProgramsAnswer) {
  directory_.Write("hello",
                   "printf 'Content-Type: text/plain\\n\\n'; echo \"Hello, $QUERY_STRING!\"");
  directory_.Write("echo", "printf 'Content-Type: text/plain\\n\\n'; exec cat");
  directory_.Write("silent", "echo complaint >&2; exit 5");
  directory_.WriteFile("data", "text", 0644);
  ASSERT_TRUE(Start(2, {"--cgi", directory_.path()}));
  const ParsedResponse response = Get("/cgi-bin/hello?CGI");
  EXPECT_EQ(response.status, 200);
  EXPECT_EQ(response.body, "Hello, CGI!\n");
  EXPECT_EQ(Get("/").body, "Hello, World!");
  EXPECT_EQ(Exchange("POST /cgi-bin/echo HTTP/1.1\r\nHost: a\r\nConnection: close\r\n"
                     "Content-Length: 4\r\n\r\ntext")
                .body,
            "text");
  EXPECT_EQ(Get("/cgi-bin/missing").status, 404);
  EXPECT_THAT(hello().WaitForLine("/cgi-bin/missing"), HasSubstr("404: not found"));
  EXPECT_EQ(Get("/cgi-bin/data").status, 403);
  EXPECT_THAT(hello().WaitForLine("/cgi-bin/data"), HasSubstr("403: not executable"));
  EXPECT_EQ(Get("/cgi-bin/silent").status, 502);
  EXPECT_TRUE(hello().WaitForLines("standard error: complaint", 1));
  EXPECT_TRUE(hello().WaitForLines("502: it ended before its header did, with exit code 5", 1));
  ExpectCleanEnd();
}

TEST_P(CgiTest, TimeIsASetting) {
  directory_.Write("sleep", "exec sleep 1000");
  ASSERT_TRUE(Start(1, {"--cgi", directory_.path(), "--cgi-timeout", "200ms"}));
  EXPECT_EQ(Get("/cgi-bin/sleep").status, 504);
  EXPECT_TRUE(hello().WaitForLines("504: it took longer than it may", 1));
  ExpectCleanEnd();
}

TEST_P(CgiTest, OutputIsASetting) {
  directory_.Write("yes", "printf 'Content-Type: text/plain\\n\\n'; exec yes");
  ASSERT_TRUE(Start(1, {"--cgi", directory_.path(), "--cgi-max-output", "1000"}));
  Fd client = Connect();
  ASSERT_TRUE(SendAll(client.get(),
                      "GET /cgi-bin/yes HTTP/1.1\r\nHost: a\r\n"
                      "Connection: close\r\n\r\n"));
  ReceiveToEnd(client.get());
  client.Reset();
  EXPECT_TRUE(hello().WaitForLines("more than 1000 bytes of output", 1));
  ExpectCleanEnd();
}

TEST_P(CgiTest, ProgramsOfAServerThatStopsAreKilled) {
  directory_.Write("sleep", "printf 'Content-Type: text/plain\\n\\n'; exec sleep 1000");
  ASSERT_TRUE(Start(1, {"--cgi", directory_.path(), "--drain-timeout", "50ms"}));
  const Fd client = Connect();
  ASSERT_TRUE(SendAll(client.get(), "GET /cgi-bin/sleep HTTP/1.1\r\nHost: a\r\n\r\n"));
  ASSERT_EQ(ReceiveExactly(client.get(), 12), "HTTP/1.1 200");
  const pid_t worker =
      GetParam().processes() ? LivingChildrenOf(hello().pid()).at(0) : hello().pid();
  const std::vector<pid_t> programs = LivingChildrenOf(worker);
  ASSERT_EQ(programs.size(), 1U);
  ExpectCleanEnd();
  EXPECT_TRUE(Eventually([&] { return StateOf(programs[0]) == 0; }));
}

TEST_P(CgiTest, DirectoryThatIsNoneIsAConfigurationError) {
  ChildProcess hello(QUINTET_HELLO_PATH, {"--cgi", directory_.path() + "/missing"});
  EXPECT_EQ(hello.Wait(), 2);
  EXPECT_THAT(hello.error(), HasSubstr(directory_.path() + "/missing: ENOENT"));
  ChildProcess zero(QUINTET_HELLO_PATH, {"--cgi-timeout", "0s"});
  EXPECT_EQ(zero.Wait(), 2);
  EXPECT_THAT(zero.error(), HasSubstr("flag --cgi-timeout: \"0s\" is not allowed"));
}

}  // namespace
}  // namespace quintet::testing
