// One command of the files client at a time, against "files serve", and against a server that means
// no good.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>

#include <filesystem>
#include <fstream>
#include <functional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "net/address.h"
#include "net/files/frame.h"
#include "net/files/messages.h"
#include "tests/apps/files_process.h"
#include "tests/support/descriptors.h"
#include "tests/support/peers.h"
#include "tests/support/process_info.h"
#include "tests/support/scratch_directory.h"

namespace quintet::files {
namespace {

namespace fs = std::filesystem;
using ::testing::AllOf;
using testing::ChildProcess;
using testing::Ended;
using testing::Fd;
using testing::FilesServer;
using ::testing::HasSubstr;
using testing::PatternBytes;
using testing::ReadFile;
using testing::RunFiles;
using testing::ScratchDirectory;
using testing::WaitUntil;
using testing::WriteFile;

uint64_t SizeOf(const std::string& path) {
  std::error_code error;
  const uint64_t size = fs::file_size(path, error);
  return error ? 0 : size;
}

class FilesProgramTest : public testing::DescriptorLeakTest {
 protected:
  std::string Served(const std::string& name) const { return root_ / name; }
  std::string Local(const std::string& name) const { return local_ / name; }
  // Names of all files below, relative.
  static std::set<std::string> FilesBelow(const std::string& directory) {
    std::set<std::string> names;
    for (const auto& entry : fs::recursive_directory_iterator(directory)) {
      if (!entry.is_directory()) names.insert(entry.path().lexically_relative(directory));
    }
    return names;
  }

  const ScratchDirectory root_;
  const ScratchDirectory local_;
};

TEST_F(FilesProgramTest, ListsFetchesStoresRenamesAndDeletes) {
  WriteFile(Served("b"), "beta");
  WriteFile(Served(".hidden"), "no");
  fs::create_directory(Served("d"));
  WriteFile(Served("a\x1b[2J"), "alpha");
  const FilesServer server(root_.path());
  const std::string& at = server.address();

  const Ended list = RunFiles({"ls", at});
  EXPECT_EQ(list.code, 0) << list.error;
  EXPECT_EQ(list.output, "a\\x1b[2J\nb\nd/\n");
  EXPECT_THAT(RunFiles({"ls", "-l", at}).output, HasSubstr("4  20"));

  const Ended get = RunFiles({"get", at, "b", Local("got")});
  EXPECT_EQ(get.code, 0) << get.error;
  EXPECT_EQ(get.output + get.error, "");  // quiet in a pipe
  EXPECT_EQ(ReadFile(Local("got")), "beta");
  EXPECT_EQ(FilesBelow(local_.path()), std::set<std::string>{"got"});

  const Ended put = RunFiles({"put", at, Local("got"), "stored"});
  EXPECT_EQ(put.code, 0) << put.error;
  EXPECT_EQ(put.output + put.error, "");
  EXPECT_EQ(ReadFile(Served("stored")), "beta");

  EXPECT_EQ(RunFiles({"mv", at, "stored", "moved"}).code, 0);
  EXPECT_EQ(ReadFile(Served("moved")), "beta");
  EXPECT_EQ(RunFiles({"rm", at, "moved"}).code, 0);
  EXPECT_FALSE(fs::exists(Served("moved")));
}

TEST_F(FilesProgramTest, LargeFilesBothWays) {
  const std::string bytes = PatternBytes(9'000'001);
  WriteFile(Served("big"), bytes);
  const FilesServer server(root_.path());
  for (const char* option : {"--verify", "--sync"}) {
    const Ended get = RunFiles({"get", option, server.address(), "big", Local("big")});
    EXPECT_EQ(get.code, 0) << get.error;
    EXPECT_TRUE(ReadFile(Local("big")) == bytes);
  }
  const Ended put = RunFiles({"put", server.address(), Local("big"), "again"});
  EXPECT_EQ(put.code, 0) << put.error;
  EXPECT_TRUE(ReadFile(Served("again")) == bytes);
  WriteFile(Local("empty"), "");
  EXPECT_EQ(RunFiles({"put", server.address(), Local("empty")}).code, 0);
  EXPECT_EQ(RunFiles({"get", server.address(), "empty", Local("empty2")}).code, 0);
  EXPECT_TRUE(fs::exists(Local("empty2")));
}

TEST_F(FilesProgramTest, Trees) {
  fs::create_directories(Served("t/sub/deep"));
  std::set<std::string> names;
  for (int i = 0; i < 20; ++i) {
    const std::string name = (i % 2 == 0 ? "sub/deep/f" : "f") + std::to_string(i);
    names.insert(name);
    WriteFile(Served("t/" + name), PatternBytes(1000 * static_cast<size_t>(i), 1));
  }
  const FilesServer server(root_.path());
  const Ended get = RunFiles({"get", "-r", "--parallel", "4", server.address(), "t", Local("t")});
  EXPECT_EQ(get.code, 0) << get.error;
  EXPECT_EQ(FilesBelow(Local("t")), names);
  EXPECT_TRUE(ReadFile(Local("t/f19")) == PatternBytes(19'000, 1));

  WriteFile(Local("t/.hidden"), "stays here");
  const Ended put = RunFiles({"put", "-r", "--parallel", "3", server.address(), Local("t"), "u"});
  EXPECT_EQ(put.code, 0) << put.error;
  EXPECT_EQ(FilesBelow(Served("u")), names);
}

TEST_F(FilesProgramTest, ExitCodes) {
  WriteFile(Local("f"), "bytes");
  fs::create_directory(Local("d"));
  std::string address;
  {
    const FilesServer server(root_.path(), {"--read-only"});
    address = server.address();
    const Ended missing = RunFiles({"get", address, "missing", Local("got")});
    EXPECT_EQ(missing.code, 3);
    EXPECT_THAT(missing.error, AllOf(HasSubstr("files: missing: not found"), HasSubstr("\n")));
    EXPECT_FALSE(fs::exists(Local("got")));
    EXPECT_EQ(RunFiles({"put", address, Local("f"), "f"}).code, 5);
    EXPECT_EQ(RunFiles({"rm", address, "../f"}).code, 5);
    EXPECT_EQ(RunFiles({"put", address, Local("nothing"), "f"}).code, 1);
    EXPECT_EQ(RunFiles({"put", address, Local("d"), "f"}).code, 1);
    EXPECT_EQ(RunFiles({"get", address}).code, 2);
    EXPECT_EQ(RunFiles({"ls", "nowhere"}).code, 2);
  }
  EXPECT_EQ(RunFiles({"ls", address}).code, 4);
  {
    const FilesServer server(root_.path(), {"--max-file-size", "4"});
    EXPECT_EQ(RunFiles({"put", server.address(), Local("f"), "f"}).code, 6);
  }
}

TEST_F(FilesProgramTest, Secrets) {
  WriteFile(Local("secret"), "a secret of enough bytes\n");
  WriteFile(Local("other"), "another secret of enough bytes\n");
  for (const char* name : {"secret", "other"}) {
    fs::permissions(Local(name), fs::perms::owner_read | fs::perms::owner_write);
  }
  const FilesServer server(root_.path(), {"--secret-file", Local("secret")});
  EXPECT_EQ(RunFiles({"ls", server.address(), "--secret-file", Local("secret")}).code, 0);
  EXPECT_EQ(RunFiles({"ls", server.address(), "--secret-file", Local("other")}).code, 5);
  EXPECT_EQ(RunFiles({"ls", server.address()}).code, 5);
  const FilesServer open(root_.path());
  EXPECT_EQ(RunFiles({"ls", open.address(), "--secret-file", Local("secret")}).code, 5);
}

TEST_F(FilesProgramTest, WarnsWhereStrangersComeIn) {
  FilesServer open(root_.path(), {}, "0.0.0.0:0");
  EXPECT_THAT(open.child().ReadErrorLine(),
              AllOf(HasSubstr("files: warning: "), HasSubstr("--secret-file")));
  const Ended none = RunFiles({"serve", "--check-config"});
  EXPECT_EQ(none.code, 2);
  EXPECT_THAT(none.error, HasSubstr("--root"));
}

// ---- What broke off ----

class FilesResumeTest : public FilesProgramTest {
 protected:
  FilesResumeTest() { WriteFile(Served("big"), bytes_); }

  // A get that was ended by `signo` in the middle. Returns its exit code.
  int BreakOff(const FilesServer& server, int signo) const {
    ChildProcess get(QUINTET_FILES_PATH, {"get", server.address(), "big", Local("big")});
    EXPECT_TRUE(WaitUntil([&] { return SizeOf(Local(".big.part")) > (2 << 20); }));
    get.Signal(signo);
    return get.Wait();
  }

  const std::string bytes_ = PatternBytes(8 << 20);
  const std::vector<std::string> slow_ = {"--rate", "2MiB"};
};

TEST_F(FilesResumeTest, AGetGoesOnWhereItWasKilled) {
  {
    const FilesServer server(root_.path(), slow_);
    EXPECT_EQ(BreakOff(server, SIGKILL), 128 + SIGKILL);
  }
  EXPECT_FALSE(fs::exists(Local("big")));
  // A mark, by which it shows that this part is not fetched again.
  std::fstream(Local(".big.part"), std::ios::in | std::ios::out | std::ios::binary) << "MARK";
  const FilesServer server(root_.path());
  const Ended get = RunFiles({"get", "--resume", server.address(), "big", Local("big")});
  EXPECT_EQ(get.code, 0) << get.error;
  EXPECT_TRUE(ReadFile(Local("big")) == "MARK" + bytes_.substr(4));
  EXPECT_EQ(FilesBelow(local_.path()), std::set<std::string>{"big"});
}

TEST_F(FilesResumeTest, AGetBeginsAnewWhereTheFileHasChanged) {
  {
    const FilesServer server(root_.path(), slow_);
    // One that was interrupted; it leaves the same behind.
    EXPECT_EQ(BreakOff(server, SIGINT), 130);
  }
  EXPECT_GT(SizeOf(Local(".big.part")), 2u << 20);
  const std::string other = PatternBytes(8 << 20, 2);
  WriteFile(Served("new"), other);
  fs::rename(Served("new"), Served("big"));
  const FilesServer server(root_.path());
  const Ended get = RunFiles({"get", "--resume", server.address(), "big", Local("big")});
  EXPECT_EQ(get.code, 0) << get.error;
  EXPECT_TRUE(ReadFile(Local("big")) == other);
}

TEST_F(FilesResumeTest, APutGoesOnWhereItWasKilled) {
  WriteFile(Local("up"), bytes_);
  const auto partial = [&] {
    uint64_t size = 0;
    for (const auto& entry : fs::directory_iterator(root_.path())) {
      const std::string name = entry.path().filename();
      if (name.starts_with(".") && entry.is_regular_file()) size += SizeOf(entry.path());
    }
    return size;
  };
  {
    const FilesServer server(root_.path(), slow_);
    ChildProcess put(QUINTET_FILES_PATH, {"put", server.address(), Local("up"), "up"});
    ASSERT_TRUE(WaitUntil([&] { return partial() > (2 << 20); }));
    put.Signal(SIGKILL);
    put.Wait();
    EXPECT_FALSE(fs::exists(Served("up")));
  }
  const FilesServer server(root_.path());
  const Ended put = RunFiles({"put", "--resume", server.address(), Local("up"), "up"});
  EXPECT_EQ(put.code, 0) << put.error;
  EXPECT_TRUE(ReadFile(Served("up")) == bytes_);
  EXPECT_EQ(partial(), 0u);
}

// ---- A hostile server ----

Entry EntryOf(std::string name, EntryKind kind = EntryKind::kFile) {
  return {.kind = kind, .size = 4, .modified = 0, .tag = 1, .name = std::move(name)};
}

// Answers each LIST of the root with the names of the test and of others with nothing, and each GET
// with four bytes.
class HostileServer {
 public:
  explicit HostileServer(std::vector<Entry> entries)
      : entries_(std::move(entries)), thread_([this] { Serve(); }) {}
  ~HostileServer() { thread_.join(); }

  std::string address() const {
    return Address::FromSockaddr(reinterpret_cast<const sockaddr*>(&listener_.address),
                                 sizeof(listener_.address))
        ->ToString();
  }
  // What was asked for by GET.
  const std::vector<std::string>& gets() const { return gets_; }

 private:
  void Serve() {
    pollfd ready{.fd = listener_.fd.get(), .events = POLLIN, .revents = 0};
    if (::poll(&ready, 1, 60'000) != 1) return;
    const Fd client(::accept(listener_.fd.get(), nullptr, nullptr));
    testing::SetTimeouts(client.get(), testing::kPeerTimeout);
    Send(client, FrameType::kWelcome, 0, Encode(WelcomeMessage{.max_requests = 4}));
    FrameDecoder decoder;
    char buffer[4096];
    for (ssize_t size = 0; (size = ::recv(client.get(), buffer, sizeof(buffer), 0)) > 0;) {
      auto input = std::as_bytes(std::span(buffer, static_cast<size_t>(size)));
      while (decoder.Next(input) == FrameDecoder::Event::kFrame) Answer(client, decoder);
    }
  }
  void Answer(const Fd& client, const FrameDecoder& decoder) {
    const uint32_t request = decoder.header().request;
    std::string payload;
    if (decoder.header().type == FrameType::kList && decoder.payload().empty()) {
      for (const Entry& entry : entries_) AppendEntry(payload, entry);
      Send(client, FrameType::kEntries, request, payload);
    } else if (decoder.header().type == FrameType::kGet) {
      gets_.push_back(ParseGet(decoder.payload())->path);
      AppendEntry(payload, EntryOf(gets_.back()));
      Send(client, FrameType::kInfo, request, payload);
      Send(client, FrameType::kData, request, "evil");
    }
    Send(client, FrameType::kEnd, request, "");
  }
  static void Send(const Fd& client, FrameType type, uint32_t request, std::string_view payload) {
    testing::SendAll(client.get(), EncodeFrame(type, 0, request, payload));
  }

  const std::vector<Entry> entries_;
  const testing::TestListener listener_ = testing::MakeListener();
  std::vector<std::string> gets_;
  std::thread thread_;
};

TEST_F(FilesProgramTest, NoNameOfAServerLeadsOutOfTheDirectory) {
  const std::string absolute = local_ / "absolute";
  Ended get;
  {
    HostileServer server({EntryOf("../outside"), EntryOf("a/../../outside"), EntryOf(absolute),
                          EntryOf(".profile"), EntryOf(".."), EntryOf(std::string("n\0l", 3)),
                          EntryOf("..", EntryKind::kDirectory), EntryOf("a/b"), EntryOf("good")});
    fs::create_directory(Local("in"));
    get = RunFiles({"get", "-r", server.address(), ".", Local("in")});
    EXPECT_THAT(server.gets(), ::testing::ElementsAre("good"));
  }
  EXPECT_EQ(get.code, 5) << get.error;
  EXPECT_THAT(get.error, AllOf(HasSubstr("../outside: refused"), HasSubstr("n\\x00l: refused")));
  EXPECT_EQ(FilesBelow(local_.path()), std::set<std::string>{"in/good"});
}

}  // namespace
}  // namespace quintet::files
