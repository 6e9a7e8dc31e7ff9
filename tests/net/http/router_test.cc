#include "net/http/router.h"

#include <string>

#include "gtest/gtest.h"

namespace quintet::http {
namespace {

Handler Nothing() {
  return [](Exchange&) {};
}

TEST(RouterTest, ExactBeforePrefixAndLongestFirst) {
  Router router;
  router.Get("/a/*", Nothing())
      .Get("/a/b/*", Nothing())
      .Get("/a/b/c", Nothing())
      .Get("/*", Nothing());
  ASSERT_TRUE(router.status().ok()) << router.status();
  EXPECT_EQ(router.Find("GET", "/a/b/c").rest, "");
  EXPECT_EQ(router.Find("GET", "/a/b/d/e").rest, "d/e");
  EXPECT_EQ(router.Find("GET", "/a/b").rest, "b");
  EXPECT_EQ(router.Find("GET", "/a").rest, "a");
  EXPECT_EQ(router.Find("GET", "/").rest, "");
}

TEST(RouterTest, UnknownPathAndMethod) {
  Router router;
  router.Get("/a", Nothing()).Post("/b", Nothing()).Handle("PUT", "/b", Nothing());
  Router::Match match = router.Find("GET", "/c");
  EXPECT_FALSE(match.path_known);
  EXPECT_EQ(match.allow, "OPTIONS, GET, HEAD, POST, PUT");
  match = router.Find("GET", "/b");
  EXPECT_TRUE(match.path_known);
  EXPECT_EQ(match.route, nullptr);
  EXPECT_EQ(match.allow, "OPTIONS, POST, PUT");
  EXPECT_EQ(router.Find("get", "/a").route, nullptr);
}

TEST(RouterTest, GetServesHeadUnlessHeadIsRegistered) {
  Router router;
  router.Get("/a", Nothing()).Get("/b", Nothing()).Handle("HEAD", "/b", Nothing());
  EXPECT_EQ(router.Find("HEAD", "/a").route->method, "GET");
  EXPECT_EQ(router.Find("HEAD", "/b").route->method, "HEAD");
  EXPECT_EQ(router.Find("HEAD", "/b").allow, "OPTIONS, GET, HEAD");
}

TEST(RouterTest, EmptyRouterAnswersNothing) {
  const Router router;
  EXPECT_EQ(router.Find("GET", "/").route, nullptr);
  EXPECT_EQ(router.Find("OPTIONS", "*").allow, "OPTIONS");
}

TEST(RouterTest, SurvivesBeingMoved) {
  Router router;
  router.Get("/a", Nothing());
  const Router moved = std::move(router);
  EXPECT_NE(moved.Find("GET", "/a").route, nullptr);
}

TEST(RouterTest, MistakesShowInStatus) {
  const auto message = [](std::string_view method, std::string_view pattern, Handler handler) {
    Router router;
    router.Get("/taken", Nothing());
    router.Handle(method, pattern, std::move(handler));
    return std::string(router.status().message());
  };
  EXPECT_EQ(message("GET", "/fine", Nothing()), "");
  EXPECT_EQ(message("GET", "/taken", Nothing()), "route GET /taken: registered twice");
  EXPECT_NE(message("G T", "/", Nothing()), "");
  EXPECT_NE(message("TRACE", "/", Nothing()), "");
  EXPECT_NE(message("CONNECT", "/", Nothing()), "");
  EXPECT_NE(message("GET", "/", nullptr), "");
  for (const std::string_view pattern : {"", "a", "*", "/a?b", "/*/a", "/a*", "/ a"}) {
    EXPECT_NE(message("GET", pattern, Nothing()), "") << pattern;
  }
}

}  // namespace
}  // namespace quintet::http
