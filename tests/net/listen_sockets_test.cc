#include "net/listen_sockets.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
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
#include "net/listener.h"
#include "tests/net/real_server.h"
#include "tests/support/descriptors.h"

namespace quintet::testing {
namespace {

using ::testing::AllOf;
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
  // What a successor makes of it, before it listens.
  static std::shared_ptr<ListenSockets> Inherit(const ListenSockets& set,
                                                const ListenSocketsOptions& options) {
    std::vector<InheritedSocket> inherited;
    for (size_t i = 0; i < set.size(); ++i) {
      Socket socket = *set.Duplicate(i);
      const Address address = *socket.LocalAddress();
      inherited.push_back({std::move(socket), address, set.descriptors()[i].name});
    }
    auto successor = ListenSockets::Open(options, std::move(inherited));
    EXPECT_TRUE(successor.ok()) << successor.status();
    return successor.ok() ? *successor : nullptr;
  }
  static std::shared_ptr<ListenSockets> Inherit(const ListenSockets& set) {
    return Inherit(set, set.options());
  }
  // Whether connections to the first address reach every socket of it, and none is lost.
  static void ExpectAllTakeConnections(const ListenSockets& set) {
    std::vector<Fd> clients;
    for (size_t i = 0; i < 100 * set.size(); ++i) clients.push_back(Dial(set.addresses()[0]));
    size_t sum = 0;
    for (const size_t each : TakeWaiting(set)) {
      EXPECT_GT(each, 0U);
      sum += each;
    }
    EXPECT_EQ(sum, clients.size());
  }
  // How many may wait at a listening socket of TCP (tcp_get_info() of Linux, "sk_max_ack_backlog").
  static int BacklogOf(int fd) {
    tcp_info info{};
    socklen_t length = sizeof(info);
    EXPECT_EQ(::getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &length), 0);
    return static_cast<int>(info.tcpi_sacked);
  }
  static void ExpectBacklog(const ListenSockets& set, int backlog) {
    for (const auto& [fd, name] : set.descriptors()) EXPECT_EQ(BacklogOf(fd), backlog);
  }
  static std::shared_ptr<ListenSockets> Change(const ListenSockets& set,
                                               const ListenSocketsOptions& options) {
    auto changed = set.Change(options);
    EXPECT_TRUE(changed.ok()) << changed.status();
    EXPECT_TRUE((*changed)->Listen().ok());
    return *changed;
  }
  // Expects that connections made on each core are at the socket of its number modulo `modulus`.
  static void ExpectSteered(const ListenSockets& set, size_t modulus) {
    const std::vector<int> cores = UsableCores();
    cpu_set_t before;
    ASSERT_EQ(::sched_getaffinity(0, sizeof(before), &before), 0);
    for (size_t i = 0; i < std::min<size_t>(cores.size(), 8); ++i) {
      PinToCore(cores, i);
      std::vector<Fd> clients;
      for (int n = 0; n < 20; ++n) clients.push_back(Dial(set.addresses()[0]));
      const std::vector<size_t> waiting = TakeWaiting(set);
      EXPECT_EQ(waiting[static_cast<size_t>(cores[i]) % modulus], 20U) << "core " << cores[i];
    }
    ::sched_setaffinity(0, sizeof(before), &before);
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
  // A service manager's: no further sockets are bound beside it, and that is told.
  ASSERT_EQ((*set)->size(), 1U);
  EXPECT_TRUE((*set)->listens());
  EXPECT_THAT((*set)->Shortfalls(),
              ElementsAre(AllOf(HasSubstr(bound.ToString()), HasSubstr("service manager"))));
  ListenSocketsOptions alone = (*set)->options();
  alone.workers = 1;
  EXPECT_THAT(Change(**set, alone)->Shortfalls(), IsEmpty());
  alone.workers = 3;
  alone.policy = ListenPolicy::kExclusive;
  EXPECT_THAT(Change(**set, alone)->Shortfalls(), IsEmpty());
  EXPECT_EQ((*set)->descriptors()[0].fd, fd);
  for (size_t worker = 0; worker < 3; ++worker) {
    EXPECT_THAT((*set)->SocketsOf(worker), ElementsAre(0));
  }
  EXPECT_EQ((*set)->SharingOf(0), Listener::Sharing::kShared);
  EXPECT_FALSE(Dial(strange)) << "nobody asked for it";
}

TEST_F(ListenSocketsTest, ASuccessorHasAsManySocketsAsItIsConfiguredToHave) {
  for (const ListenPolicy before : {kReusePort, ListenPolicy::kExclusive}) {
    SCOPED_TRACE(ListenPolicyName(before));
    auto set = Open(Options(before == kReusePort ? 1 : 4, before));
    ASSERT_EQ(set->size(), 1U);
    auto next = Inherit(*set, Options(4));
    ASSERT_EQ(next->size(), 4U);
    EXPECT_EQ(next->addresses(), set->addresses());
    // Whoever connects before it serves is its predecessor's, who serves if it never does.
    EXPECT_FALSE(next->listens());
    EXPECT_EQ(CountListening(*next), 1U);
    ASSERT_TRUE(next->Listen().ok());
    EXPECT_TRUE(next->listens());
    EXPECT_EQ(CountListening(*next), 4U);
    EXPECT_THAT(next->Shortfalls(), IsEmpty());
    set.reset();
    ExpectAllTakeConnections(*next);
    // And what a successor's successor inherits.
    auto third = Inherit(*next, Options(6));
    ASSERT_EQ(third->size(), 6U);
    ASSERT_TRUE(third->Listen().ok());
    next.reset();
    ExpectAllTakeConnections(*third);
  }
}

TEST_F(ListenSocketsTest, WhatIsNewToASuccessorListensOnceItServes) {
  auto set = Open(Options(1));
  ListenSocketsOptions options = Options(1);
  options.addresses = {set->addresses()[0], *Address::Parse("127.0.0.2:0")};
  auto next = Inherit(*set, options);
  ASSERT_EQ(next->size(), 2U);
  EXPECT_EQ(CountListening(*next), 1U);
  ASSERT_TRUE(next->Listen().ok());
  EXPECT_TRUE(Dial(next->addresses()[1]));
}

// As by a program of another user, of whom the kernel lets nobody bind beside it.
TEST_F(ListenSocketsTest, WhereNoFurtherSocketCanBeBoundTheOneIsShared) {
  auto obstacle = BindTo(addresses[0], {});
  ASSERT_TRUE(obstacle.ok());
  auto handed = ListenOn(*obstacle->LocalAddress(), {});
  ASSERT_TRUE(handed.ok()) << handed.status();
  ASSERT_TRUE(obstacle->SetReuseAddress(false).ok());
  const Address bound = *handed->LocalAddress();
  addresses = {bound};
  std::vector<InheritedSocket> inherited;
  inherited.push_back({*std::move(handed), bound, "quintet"});
  auto set = ListenSockets::Open(Options(3), std::move(inherited));
  ASSERT_TRUE(set.ok()) << set.status();
  ASSERT_TRUE((*set)->Listen().ok());
  ASSERT_EQ((*set)->size(), 1U);
  EXPECT_THAT((*set)->SocketsOf(2), ElementsAre(0));
  EXPECT_EQ((*set)->SharingOf(0), Listener::Sharing::kShared);
  EXPECT_THAT((*set)->Shortfalls(),
              ElementsAre(AllOf(HasSubstr(bound.ToString()), HasSubstr("EADDRINUSE"))));
  EXPECT_TRUE(Dial(bound));
  // A reload with the same result; and with another, once there is nothing in the way.
  auto again = Change(**set, Options(2));
  EXPECT_EQ(again->size(), 1U);
  EXPECT_EQ(again->Shortfalls().size(), 1U);
  obstacle->Reset();
  again = Change(*again, Options(2));
  EXPECT_EQ(again->size(), 2U);
  EXPECT_THAT(again->Shortfalls(), IsEmpty());
}

TEST_F(ListenSocketsTest, AddressesOfAnyPortAreNeverOne) {
  const Address any = addresses[0];
  addresses = {any, any};
  auto set = Open(Options(2));
  const std::vector<Address> bound = set->addresses();
  ASSERT_EQ(set->size(), 4U);
  ASSERT_FALSE(bound[0] == bound[1]);
  // More workers: the sockets of both are mixed from here on.
  set = Change(*set, Options(3));
  EXPECT_EQ(set->addresses(), bound);
  EXPECT_EQ(set->size(), 6U);
  for (int successor = 1; successor <= 2; ++successor) {
    SCOPED_TRACE(successor);
    auto next = Inherit(*set);
    ASSERT_TRUE(next->Listen().ok());
    EXPECT_EQ(next->addresses(), bound);
    EXPECT_EQ(next->size(), 6U);
    set = std::move(next);
  }
  // One that is asked for by its port is not for those who take any.
  ListenSocketsOptions options = Options(3);
  options.addresses = {any, bound[0]};
  for (const auto& next : {Change(*set, options), Inherit(*set, options)}) {
    EXPECT_EQ(next->addresses()[0], bound[1]);
    EXPECT_EQ(next->addresses()[1], bound[0]);
    EXPECT_EQ(next->size(), 6U);
  }
  options.addresses = {any, any, bound[1]};
  for (const auto& next : {Change(*set, options), Inherit(*set, options)}) {
    EXPECT_EQ(next->addresses()[0], bound[0]);
    EXPECT_FALSE(next->addresses()[1] == bound[0] || next->addresses()[1] == bound[1]);
    EXPECT_EQ(next->addresses()[2], bound[1]);
    EXPECT_EQ(next->size(), 9U);
  }
}

// Of more than are asked for, one each.
TEST_F(ListenSocketsTest, AnAddressOfAnyPortInheritsOneAddress) {
  addresses = {addresses[0], addresses[0]};
  auto set = Open(Options(2));
  ListenSocketsOptions options = Options(2);
  options.addresses.pop_back();
  auto next = Inherit(*set, options);
  EXPECT_EQ(next->size(), 2U);
  EXPECT_EQ(next->addresses()[0], set->addresses()[0]);
}

TEST_F(ListenSocketsTest, SteeringFollowsTheCore) {
  ListenSocketsOptions options = Options(2);
  options.steer_by_cpu = true;
  auto set = Open(options);
  ASSERT_NE(set, nullptr);
  ExpectSteered(*set, 2);
  // Only machines with more cores tell some of these apart.
  options.workers = 5;
  set = Change(*set, options);
  ExpectSteered(*set, 5);
  options.workers = 3;
  set = Change(*set, options);
  ASSERT_EQ(set->size(), 5U);
  ExpectSteered(*set, 3);
}

TEST_F(ListenSocketsTest, SteeringIsSwitchedOnAndOff) {
  ListenSocketsOptions options = Options(2);
  auto set = Open(options);
  ASSERT_NE(set, nullptr);
  cpu_set_t before;
  ASSERT_EQ(::sched_getaffinity(0, sizeof(before), &before), 0);
  PinToCore(UsableCores(), 0);
  for (const bool steer : {false, true, false, true, false}) {
    options.steer_by_cpu = steer;
    auto next = set->Change(options);
    ASSERT_TRUE(next.ok()) << next.status();
    ASSERT_TRUE((*next)->Listen().ok());
    set = *next;
    std::vector<Fd> clients;
    for (int n = 0; n < 100; ++n) clients.push_back(Dial(set->addresses()[0]));
    const std::vector<size_t> waiting = TakeWaiting(*set);
    EXPECT_EQ(waiting[0] > 0 && waiting[1] > 0, !steer) << waiting[0] << ", " << waiting[1];
  }
  ::sched_setaffinity(0, sizeof(before), &before);
}

TEST_F(ListenSocketsTest, OneWorkerIsNotSteeredTo) {
  ListenSocketsOptions options = Options(1);
  options.steer_by_cpu = true;
  auto set = Open(options);
  ASSERT_NE(set, nullptr);
  Fd client = Dial(set->addresses()[0]);
  EXPECT_THAT(TakeWaiting(*set), ElementsAre(1));
}

TEST_F(ListenSocketsTest, ABacklogChangesWithListen) {
  ListenSocketsOptions options = Options(2);
  options.backlog = 100;
  auto set = Open(options);
  ASSERT_NE(set, nullptr);
  ExpectBacklog(*set, 100);
  options.backlog = 7;
  auto next = set->Change(options);
  ASSERT_TRUE(next.ok()) << next.status();
  ExpectBacklog(*set, 100);
  // Those who wait already stay.
  std::vector<Fd> clients;
  for (int i = 0; i < 50; ++i) clients.push_back(Dial(set->addresses()[0]));
  ASSERT_TRUE((*next)->Listen().ok());
  ExpectBacklog(**next, 7);
  const std::vector<size_t> waiting = TakeWaiting(**next);
  EXPECT_EQ(waiting[0] + waiting[1], 50U);
}

// How long the queue of its socket may be is a service manager's to say, also for successors.
TEST_F(ListenSocketsTest, SocketsOfAServiceManagerKeepTheirBacklogAndName) {
  std::string name = "web";
  for (const char* const round : {"start", "upgrade"}) {
    auto theirs = ListenOn(addresses[0], {.backlog = 33});
    ASSERT_TRUE(theirs.ok());
    const Address bound = *theirs->LocalAddress();
    ListenSocketsOptions options = Options(2);
    options.addresses = {bound};
    options.backlog = 7;
    std::vector<InheritedSocket> inherited;
    inherited.push_back({*std::move(theirs), bound, name});
    auto set = ListenSockets::Open(options, std::move(inherited));
    ASSERT_TRUE(set.ok()) << set.status();
    ExpectBacklog(**set, 33);
    auto next = Change(**set, options);
    ExpectBacklog(*next, 33);
    name = next->descriptors()[0].name;
    EXPECT_EQ(name, "web") << round;
  }
  // A predecessor's is ours.
  auto ours = Open(Options(1));
  auto handed = ListenOn(addresses[0], {.backlog = 33});
  ASSERT_TRUE(handed.ok());
  const Address bound = *handed->LocalAddress();
  ListenSocketsOptions options = Options(1);
  options.addresses = {bound};
  options.backlog = 7;
  std::vector<InheritedSocket> inherited;
  inherited.push_back({*std::move(handed), bound, ours->descriptors()[0].name});
  auto set = ListenSockets::Open(options, std::move(inherited));
  ASSERT_TRUE(set.ok()) << set.status();
  // Once it serves.
  ExpectBacklog(**set, 33);
  ASSERT_TRUE((*set)->Listen().ok());
  ExpectBacklog(**set, 7);
}

TEST_F(ListenSocketsTest, WhereANewAddressCannotListenNothingElseBegins) {
  auto two = Open(Options(2));
  const Address kept = two->addresses()[0];
  // Both may bind it as long as neither listens (SO_REUSEADDR in socket(7)).
  auto rival = BindTo(*Address::Parse("127.0.0.1:0"), {});
  ASSERT_TRUE(rival.ok());
  ListenSocketsOptions options = Options(4);
  options.addresses = {kept, *rival->LocalAddress()};
  auto four = two->Change(options);
  ASSERT_TRUE(four.ok()) << four.status();
  ASSERT_TRUE(rival->Listen(1).ok());
  EXPECT_TRUE(absl::IsAlreadyExists((*four)->Listen())) << "two listen at one address";
  EXPECT_EQ(CountListening(**four), 2U);
}

TEST_F(ListenSocketsTest, WhatAnotherSetHasNot) {
  addresses = {*Address::Parse("127.0.0.1:0"), *Address::Parse("127.0.0.2:0")};
  auto both = Open(Options(2));
  ASSERT_EQ(both->size(), 4U);
  ListenSocketsOptions options = Options(3);
  options.addresses = {both->addresses()[0]};
  auto one = both->Change(options);
  ASSERT_TRUE(one.ok()) << one.status();
  EXPECT_THAT(both->NotIn(**one), ElementsAre(2, 3));
  EXPECT_THAT((*one)->NotIn(*both), ElementsAre(2)) << "the third worker's";
  EXPECT_THAT(both->NotIn(*both), IsEmpty());
}

TEST_F(ListenSocketsTest, MoreSocketsThanAMessageCanNameAreRefused) {
  const auto sockets = ListenSockets::Open(Options(ListenSockets::kMaxSockets + 1));
  EXPECT_EQ(sockets.status().code(), absl::StatusCode::kInvalidArgument) << sockets.status();
  EXPECT_THAT(std::string(sockets.status().message()), HasSubstr("listening sockets"));
  EXPECT_NE(Open(Options(ListenSockets::kMaxSockets + 1, ListenPolicy::kShared)), nullptr);
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
