#include "net/listen_sockets.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "net/cores.h"
#include "tests/net/real_server.h"
#include "tests/support/descriptors.h"

namespace quintet::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class ListenSocketsTest : public DescriptorLeakTest {
 protected:
  static constexpr ListenPolicy kReusePort = ListenPolicy::kReusePort;

  ListenSocketsOptions Options(size_t workers, ListenPolicy policy = kReusePort) const {
    return {.addresses = addresses, .policy = policy, .workers = workers};
  }
  static std::shared_ptr<ListenSockets> Open(const ListenSocketsOptions& options) {
    auto set = ListenSockets::Open(options);
    EXPECT_TRUE(set.ok()) << set.status();
    return set.ok() ? *set : nullptr;
  }
  static bool Listens(int fd) {
    int listens = 0;
    socklen_t length = sizeof(listens);
    ::getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &length);
    return listens == 1;
  }
  static size_t CountListening(const ListenSockets& set) {
    const auto all = set.descriptors();
    return static_cast<size_t>(
        std::count_if(all.begin(), all.end(), [](const auto& each) { return Listens(each.fd); }));
  }
  // Connections that wait at each socket.
  static std::vector<size_t> TakeWaiting(const ListenSockets& set) {
    std::vector<size_t> counts;
    for (const auto& [fd, name] : set.descriptors()) {
      counts.push_back(0);
      while (Fd(::accept4(fd, nullptr, nullptr, SOCK_CLOEXEC))) ++counts.back();
    }
    return counts;
  }
  // What a successor makes of it that has the same addresses.
  static std::shared_ptr<ListenSockets> Inherit(const ListenSockets& set) {
    std::vector<InheritedSocket> inherited;
    for (size_t i = 0; i < set.size(); ++i) {
      inherited.push_back({*set.Duplicate(i), set.addresses()[0], set.descriptors()[i].name});
    }
    auto successor = ListenSockets::Open(set.options(), std::move(inherited));
    EXPECT_TRUE(successor.ok()) << successor.status();
    return successor.ok() ? *successor : nullptr;
  }
  std::string UnixPath() const {
    return ::testing::TempDir() + "/quintet_sockets_" + std::to_string(::getpid());
  }

  std::vector<Address> addresses = {*Address::Parse("127.0.0.1:0")};
};

TEST_F(ListenSocketsTest, ReusePortHasOnePerWorkerTheOthersOneForAll) {
  auto dealt = Open(Options(3));
  ASSERT_EQ(dealt->size(), 3U);
  EXPECT_EQ(CountListening(*dealt), 3U);
  EXPECT_THAT(dealt->SocketsOf(0), ElementsAre(0));
  EXPECT_THAT(dealt->SocketsOf(2), ElementsAre(2));
  EXPECT_EQ(dealt->SharingOf(1), Listener::Sharing::kAlone);
  for (const ListenPolicy policy : {ListenPolicy::kExclusive, ListenPolicy::kShared}) {
    auto shared = Open(Options(3, policy));
    ASSERT_EQ(shared->size(), 1U);
    EXPECT_THAT(shared->SocketsOf(2), ElementsAre(0));
    EXPECT_EQ(shared->SharingOf(0) == Listener::Sharing::kShared,
              policy == ListenPolicy::kExclusive);
  }
  auto handed = Open(Options(3, ListenPolicy::kHandoff));
  EXPECT_EQ(handed->size(), 1U);
  EXPECT_THAT(handed->SocketsOf(0), IsEmpty());
  EXPECT_THAT(Open(Options(1, ListenPolicy::kHandoff))->SocketsOf(0), ElementsAre(0));
}

TEST_F(ListenSocketsTest, UnixSocketsAreSharedAndTheirFileGoesWithTheLastSet) {
  addresses.push_back(*Address::Parse("unix:" + UnixPath()));
  struct stat info;
  {
    auto first = Open(Options(2));
    ASSERT_EQ(first->size(), 3U);
    EXPECT_THAT(first->SocketsOf(1), ElementsAre(1, 2));
    EXPECT_EQ(first->SharingOf(2), Listener::Sharing::kShared);
    auto second = first->Change(Options(2));
    ASSERT_TRUE(second.ok());
    first.reset();
    EXPECT_EQ(::stat(UnixPath().c_str(), &info), 0);
    // A forked child leaves it alone.
    const pid_t child = ::fork();
    if (child == 0) {
      second->reset();
      ::_exit(0);
    }
    ASSERT_EQ(::waitpid(child, nullptr, 0), child);
    EXPECT_EQ(::stat(UnixPath().c_str(), &info), 0);
  }
  EXPECT_NE(::stat(UnixPath().c_str(), &info), 0);
}

TEST_F(ListenSocketsTest, AStartThatFailsLeavesTheFileOfOthersAlone) {
  addresses = {*Address::Parse("unix:" + UnixPath())};
  auto owner = Open(Options(1));
  const auto refused = ListenSockets::Open(Options(1));
  EXPECT_TRUE(absl::IsAlreadyExists(refused.status())) << refused.status();
  EXPECT_TRUE(Dial(owner->addresses()[0]));
}

TEST_F(ListenSocketsTest, DisownedFilesStay) {
  addresses = {*Address::Parse("unix:" + UnixPath())};
  auto set = Open(Options(1));
  EXPECT_EQ(set->descriptors()[0].name, ListenSockets::kOwned);
  set->DisownFiles();
  EXPECT_NE(set->descriptors()[0].name, ListenSockets::kOwned);
  set.reset();
  struct stat info;
  EXPECT_EQ(::stat(UnixPath().c_str(), &info), 0);
  ::unlink(UnixPath().c_str());
}

TEST_F(ListenSocketsTest, FilesOfInheritedSocketsAreRemovedByWhomeverOwnsThem) {
  addresses = {*Address::Parse("unix:" + UnixPath())};
  const auto exists = [this] { return ::access(UnixPath().c_str(), F_OK) == 0; };
  auto set = Open(Options(1));
  for (int successor = 1; successor <= 2; ++successor) {
    SCOPED_TRACE(successor);
    {
      auto failing = Inherit(*set);
      EXPECT_NE(failing->descriptors()[0].name, ListenSockets::kOwned);
    }
    ASSERT_TRUE(exists()) << "one that does not serve has removed it";
    auto next = Inherit(*set);
    next->OwnFiles();
    set->DisownFiles();
    EXPECT_EQ(next->descriptors()[0].name, ListenSockets::kOwned);
    set = std::move(next);
    ASSERT_TRUE(exists()) << "the predecessor has removed it";
  }
  auto changed = set->Change(Options(2));
  ASSERT_TRUE(changed.ok());
  set.reset();
  EXPECT_TRUE(Dial((*changed)->addresses()[0]));
  changed->reset();
  EXPECT_FALSE(exists()) << "nobody has removed it";
}

TEST_F(ListenSocketsTest, FilesOfAServiceManagerStay) {
  addresses = {*Address::Parse("unix:" + UnixPath())};
  auto manager = Open(Options(1));
  manager->DisownFiles();
  auto set = Inherit(*manager);
  manager.reset();
  set->OwnFiles();
  EXPECT_NE(set->descriptors()[0].name, ListenSockets::kOwned);
  set.reset();
  EXPECT_EQ(::unlink(UnixPath().c_str()), 0);
}

TEST_F(ListenSocketsTest, AnAddressInUseIsNamed) {
  auto owner = Open(Options(2));
  addresses = owner->addresses();
  const auto refused = ListenSockets::Open(Options(2));
  EXPECT_TRUE(absl::IsAlreadyExists(refused.status()));
  EXPECT_THAT(refused.status().message(), HasSubstr(addresses[0].ToString()));
}

TEST_F(ListenSocketsTest, MoreWorkersGetSocketsThatTakeNobodyUntilListen) {
  auto two = Open(Options(2));
  auto four = two->Change(Options(4));
  ASSERT_TRUE(four.ok()) << four.status();
  EXPECT_EQ((*four)->addresses(), two->addresses());
  EXPECT_EQ((*four)->size(), 4U);
  EXPECT_EQ(CountListening(**four), 2U);
  std::vector<Fd> clients;
  for (int i = 0; i < 100; ++i) clients.push_back(Dial(two->addresses()[0]));
  const std::vector<size_t> waiting = TakeWaiting(**four);
  EXPECT_EQ(waiting[0] + waiting[1], 100U);
  ASSERT_TRUE((*four)->Listen().ok());
  EXPECT_EQ(CountListening(**four), 4U);
  for (int i = 0; i < 400; ++i) clients.push_back(Dial(two->addresses()[0]));
  for (const size_t each : TakeWaiting(**four)) EXPECT_GT(each, 0U);
}

TEST_F(ListenSocketsTest, OneSocketBecomesSeveral) {
  auto one = Open(Options(1));
  auto three = one->Change(Options(3));
  ASSERT_TRUE(three.ok()) << three.status();
  ASSERT_TRUE((*three)->Listen().ok());
  std::vector<Fd> clients;
  for (int i = 0; i < 300; ++i) clients.push_back(Dial(one->addresses()[0]));
  size_t sum = 0;
  for (const size_t each : TakeWaiting(**three)) {
    EXPECT_GT(each, 0U);
    sum += each;
  }
  EXPECT_EQ(sum, 300U);
}

TEST_F(ListenSocketsTest, FewerWorkersServeAllThatListen) {
  auto four = Open(Options(4));
  auto three = four->Change(Options(3));
  ASSERT_TRUE(three.ok());
  EXPECT_EQ((*three)->size(), 4U);
  EXPECT_THAT((*three)->SocketsOf(0), ElementsAre(0, 3));
  EXPECT_THAT((*three)->SocketsOf(2), ElementsAre(2));
  auto shared = (*three)->Change(Options(2, ListenPolicy::kExclusive));
  ASSERT_TRUE(shared.ok());
  EXPECT_THAT((*shared)->SocketsOf(1), ElementsAre(0, 1, 2, 3));
}

TEST_F(ListenSocketsTest, ASetThatIsGivenUpChangesNothing) {
  auto set = Open(Options(2));
  Fd client = Dial(set->addresses()[0]);
  static_cast<void>(set->Change(Options(4)));
  ListenSocketsOptions other = Options(2);
  other.addresses = {*Address::Parse("127.0.0.1:0")};
  static_cast<void>(set->Change(other));
  const std::vector<size_t> waiting = TakeWaiting(*set);
  EXPECT_EQ(waiting[0] + waiting[1], 1U);
}

TEST_F(ListenSocketsTest, InheritedSocketsAreUsedAsTheyAre) {
  auto mine = ListenOn(addresses[0], {});
  ASSERT_TRUE(mine.ok());
  const Address bound = *mine->LocalAddress();
  const int fd = mine->fd();
  auto stranger = ListenOn(addresses[0], {});
  const Address strange = *stranger->LocalAddress();
  addresses = {bound};
  std::vector<InheritedSocket> inherited;
  inherited.push_back({*std::move(mine), bound, "web"});
  inherited.push_back({*std::move(stranger), strange, "other"});
  auto set = ListenSockets::Open(Options(3), std::move(inherited));
  ASSERT_TRUE(set.ok()) << set.status();
  // Whoever bound it may be another user: no further sockets are bound beside it.
  ASSERT_EQ((*set)->size(), 1U);
  EXPECT_EQ((*set)->descriptors()[0].fd, fd);
  for (size_t worker = 0; worker < 3; ++worker) {
    EXPECT_THAT((*set)->SocketsOf(worker), ElementsAre(0));
  }
  EXPECT_EQ((*set)->SharingOf(0), Listener::Sharing::kShared);
  EXPECT_FALSE(Dial(strange)) << "nobody asked for it";
}

TEST_F(ListenSocketsTest, SteeringFollowsTheCore) {
  const std::vector<int> cores = UsableCores();
  ListenSocketsOptions options = Options(2);
  options.steer_by_cpu = true;
  auto set = Open(options);
  ASSERT_NE(set, nullptr);
  cpu_set_t before;
  ASSERT_EQ(::sched_getaffinity(0, sizeof(before), &before), 0);
  for (size_t i = 0; i < std::min<size_t>(cores.size(), 4); ++i) {
    PinToCore(cores, i);
    std::vector<Fd> clients;
    for (int n = 0; n < 20; ++n) clients.push_back(Dial(set->addresses()[0]));
    const std::vector<size_t> waiting = TakeWaiting(*set);
    EXPECT_EQ(waiting[static_cast<size_t>(cores[i]) % 2], 20U) << "core " << cores[i];
  }
  ::sched_setaffinity(0, sizeof(before), &before);
}

TEST_F(ListenSocketsTest, WhatCannotBeIsRefused) {
  EXPECT_TRUE(absl::IsInvalidArgument(ListenSockets::Open(Options(0)).status()));
  ListenSocketsOptions options = Options(2, ListenPolicy::kShared);
  options.steer_by_cpu = true;
  EXPECT_TRUE(absl::IsInvalidArgument(ListenSockets::Open(options).status()));
  options = Options(1);
  options.addresses.clear();
  EXPECT_TRUE(absl::IsInvalidArgument(ListenSockets::Open(options).status()));
}

}  // namespace
}  // namespace quintet::testing
