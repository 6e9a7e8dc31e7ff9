// The files client on a terminal: prompt, completion, history, progress, Ctrl-C.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <pty.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "tests/apps/files_process.h"
#include "tests/support/descriptors.h"
#include "tests/support/peers.h"
#include "tests/support/scratch_directory.h"

namespace quintet::files {
namespace {

using std::chrono::steady_clock;
using testing::Fd;
using testing::FilesServer;
using ::testing::HasSubstr;
using testing::PatternBytes;
using testing::ReadFile;
using testing::ScratchDirectory;
using testing::WaitUntil;
using testing::WriteFile;

constexpr std::chrono::seconds kPatience{60};
constexpr std::string_view kPrompt = "files> ";

// The program on a terminal of its own.
class Terminal {
 public:
  Terminal(std::vector<std::string> arguments, const std::string& home) {
    arguments.insert(arguments.begin(), QUINTET_FILES_PATH);
    std::vector<char*> argv;
    for (std::string& argument : arguments) argv.push_back(argument.data());
    argv.push_back(nullptr);
    std::vector<std::string> variables = {"HOME=" + home, "TERM=vt100", "LANG=C.UTF-8",
                                          "PATH=/usr/bin:/bin"};
    std::vector<char*> envp;
    for (std::string& variable : variables) envp.push_back(variable.data());
    envp.push_back(nullptr);
    winsize size{.ws_row = 24, .ws_col = 100, .ws_xpixel = 0, .ws_ypixel = 0};
    int master = -1;
    pid_ = ::forkpty(&master, nullptr, nullptr, &size);
    if (pid_ == 0) {
      if (::chdir(home.c_str()) == 0) ::execve(argv[0], argv.data(), envp.data());
      ::_exit(127);
    }
    EXPECT_GT(pid_, 0);
    ::fcntl(master, F_SETFD, FD_CLOEXEC);
    master_ = Fd(master);
  }
  ~Terminal() {
    if (pid_ <= 0) return;
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
  }

  void Type(std::string_view keys) {
    EXPECT_EQ(::write(master_.get(), keys.data(), keys.size()), static_cast<ssize_t>(keys.size()));
  }
  // Reads until `text` has come, behind what was found last; what came before it, and it.
  std::string Expect(std::string_view text) {
    const auto deadline = steady_clock::now() + kPatience;
    size_t found = std::string::npos;
    while ((found = shown_.find(text)) == std::string::npos) {
      if (steady_clock::now() > deadline || !ReadMore()) {
        ADD_FAILURE() << "no " << text << " in: " << shown_;
        return "";
      }
    }
    std::string taken = shown_.substr(0, found + text.size());
    shown_.erase(0, found + text.size());
    return taken;
  }
  // Waits for the end: the exit code, and 128 and the signal's number.
  int Wait() {
    const auto deadline = steady_clock::now() + kPatience;
    while (steady_clock::now() < deadline && ReadMore()) {
    }
    int status = 0;
    EXPECT_EQ(::waitpid(pid_, &status, 0), pid_);
    pid_ = -1;
    return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
  }

 private:
  // False at the end.
  bool ReadMore() {
    pollfd ready{.fd = master_.get(), .events = POLLIN, .revents = 0};
    if (::poll(&ready, 1, 100) == 0) return true;
    char buffer[4096];
    const ssize_t size = ::read(master_.get(), buffer, sizeof(buffer));
    if (size <= 0) return false;  // EIO: nobody has the other side any more
    shown_.append(buffer, static_cast<size_t>(size));
    return true;
  }

  pid_t pid_ = -1;
  Fd master_;
  std::string shown_;
};

class FilesShellTest : public testing::DescriptorLeakTest {
 protected:
  const ScratchDirectory root_;
  const ScratchDirectory home_;
};

TEST_F(FilesShellTest, CommandsCompletionAndHistory) {
  WriteFile(root_ / "hello.txt", "hello");
  WriteFile(root_ / "two words", "blank");
  const FilesServer server(root_.path());
  {
    Terminal terminal({server.address()}, home_.path());
    terminal.Expect(kPrompt);
    terminal.Type("list\r");
    terminal.Expect("hello.txt");
    terminal.Expect(kPrompt);
    // What is completed comes behind a movement of the cursor.
    terminal.Type("he\t");  // a command
    terminal.Expect("lp ");
    terminal.Type("\r");
    terminal.Expect("Ctrl-C cancels");
    terminal.Expect(kPrompt);
    terminal.Type("get hel\t");  // a name of the server
    terminal.Expect("lo.txt ");
    terminal.Type("\r");
    terminal.Expect(kPrompt);
    EXPECT_EQ(ReadFile(home_ / "hello.txt"), "hello");
    terminal.Type("get two\t");
    terminal.Expect("\\ words");
    terminal.Type("\r");
    terminal.Expect(kPrompt);
    EXPECT_EQ(ReadFile(home_ / "two words"), "blank");
    terminal.Type("nonsense\r");
    terminal.Expect("is no command");
    terminal.Expect(kPrompt);
    terminal.Type("typed and \x03");
    terminal.Expect("^C");
    terminal.Expect(kPrompt);
    terminal.Type("rm hello.txt\r");
    terminal.Expect(kPrompt);
    EXPECT_FALSE(std::filesystem::exists(root_ / "hello.txt"));
    terminal.Type("quit\r");
    EXPECT_EQ(terminal.Wait(), 0);
  }
  EXPECT_THAT(ReadFile(home_ / ".local/state/quintet/files_history"), HasSubstr("nonsense"));
  Terminal terminal({server.address()}, home_.path());
  terminal.Expect(kPrompt);
  terminal.Type("\x10\x10");  // Ctrl-P twice: the line before quit
  terminal.Expect("rm hello.txt");
  terminal.Type("\r");
  terminal.Expect("not found");
  terminal.Type("\x04");  // Ctrl-D
  EXPECT_EQ(terminal.Wait(), 3);
}

TEST_F(FilesShellTest, CtrlCCancelsTheTransferAndNothingElse) {
  const std::string bytes = PatternBytes(6 << 20);
  WriteFile(root_ / "big", bytes);
  const FilesServer server(root_.path(), {"--rate", "2MiB"});
  Terminal terminal({server.address()}, home_.path());
  terminal.Expect(kPrompt);
  terminal.Type("get big\r");
  terminal.Expect("%");  // it has begun
  terminal.Type("\x03");
  terminal.Expect("interrupted");
  terminal.Expect(kPrompt);
  EXPECT_FALSE(std::filesystem::exists(home_ / "big"));
  terminal.Type("list\r");
  terminal.Expect("big");
  terminal.Expect(kPrompt);

  WriteFile(home_ / "up", bytes);
  terminal.Type("put up\r");
  terminal.Expect("%");
  terminal.Type("\x03");
  terminal.Expect("interrupted");
  terminal.Expect(kPrompt);
  EXPECT_FALSE(std::filesystem::exists(root_ / "up"));
  terminal.Type("get --resume big\r");
  terminal.Expect(kPrompt);
  EXPECT_TRUE(ReadFile(home_ / "big") == bytes);
  terminal.Type("\x04");
  EXPECT_EQ(terminal.Wait(), 0);
}

TEST_F(FilesShellTest, ConnectsAnewWhereTheServerHasClosed) {
  WriteFile(root_ / "first", "1");
  auto server = std::make_unique<FilesServer>(root_.path());
  const std::string address = server->address();
  Terminal terminal({address}, home_.path());
  terminal.Expect(kPrompt);
  server->child().Signal(SIGTERM);
  EXPECT_EQ(server->child().Wait(), 0);
  server = std::make_unique<FilesServer>(root_.path(), std::vector<std::string>(), address);
  terminal.Type("list\r");
  terminal.Expect("first");
  terminal.Expect(kPrompt);
  terminal.Type("quit\r");
  EXPECT_EQ(terminal.Wait(), 0);
}

TEST_F(FilesShellTest, ProgressOfOneCommandAndItsInterrupt) {
  WriteFile(root_ / "big", PatternBytes(6 << 20));
  const FilesServer server(root_.path(), {"--rate", "1MiB"});
  {
    Terminal terminal({"get", server.address(), "big"}, home_.path());
    EXPECT_THAT(terminal.Expect("/s "), HasSubstr("big"));
    terminal.Type("\x03");
    EXPECT_EQ(terminal.Wait(), 130);
  }
  EXPECT_FALSE(std::filesystem::exists(home_ / "big"));
  Terminal quiet({"get", "--quiet", server.address(), "missing"}, home_.path());
  EXPECT_EQ(quiet.Expect("not found"), "files: missing: not found");
  EXPECT_EQ(quiet.Wait(), 3);
}

}  // namespace
}  // namespace quintet::files
