// Sessions of the files protocol below a directory of a test's own, without sockets.
#ifndef QUINTET_TESTS_NET_FILES_SESSION_FIXTURE_H_
#define QUINTET_TESTS_NET_FILES_SESSION_FIXTURE_H_

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "net/files/disk.h"
#include "net/files/server_context.h"
#include "tests/net/files/files_client.h"
#include "tests/support/descriptors.h"
#include "tests/support/scratch_directory.h"

namespace quintet::testing {

// Operations wait until the test lets them happen.
class ManualDisk final : public files::Disk {
 public:
  explicit ManualDisk(absl::AnyInvocable<void()> wake) : Disk(std::move(wake)) {}

  size_t pending() const { return pending_.size(); }
  // Performs the oldest operation and completes it.
  void CompleteOne() {
    ASSERT_FALSE(pending_.empty());
    Pending first = std::move(pending_.front());
    pending_.erase(pending_.begin());
    const int64_t result = PerformFileRequest(first.request);
    first.request.call = nullptr;
    Finish(std::move(first.done), result);
  }
  // The loop is gone.
  void DropAll() { pending_.clear(); }

 private:
  struct Pending {
    FileRequest request;
    Done done;
  };

  void DoStart(FileRequest request, Done done) override {
    pending_.push_back({std::move(request), std::move(done)});
  }

  std::vector<Pending> pending_;
};

class FilesSessionTest : public DescriptorLeakTest {
 protected:
  void Serve(files::Options options = {}) {
    std::filesystem::create_directories(root);
    options.root = root;
    options.durability = durability;
    auto created = files::ServerContext::Create(std::move(options));
    ASSERT_TRUE(created.ok()) << created.status();
    context = *std::move(created);
  }
  // With disks that wait; the session made last has `disk`.
  void ServeManually(files::Options options = {}) {
    Serve(std::move(options));
    context->SweepDue();  // nobody sweeps by the way
    context->set_make_disk([this](EventLoop*, absl::AnyInvocable<void()> wake) {
      disk = std::make_shared<ManualDisk>(std::move(wake));
      return disk;
    });
  }
  // Lets the operations of `disk` happen, and those that they lead to.
  void RunDisk(MemoryClient& client, int most = 1000) {
    for (; most > 0 && disk->pending() > 0; --most) {
      client.transport().tasks().Post([this] { disk->CompleteOne(); });
      client.transport().RunTasks();
    }
  }
  std::unique_ptr<MemoryClient> Connect() { return std::make_unique<MemoryClient>(context); }

  void TearDown() override {
    if (disk != nullptr) disk->DropAll();
    disk.reset();
    context.reset();
    DescriptorLeakTest::TearDown();
  }

  std::string Path(std::string_view name) const { return root + "/" + std::string(name); }
  std::string Content(std::string_view name) const { return ReadFile(Path(name)); }
  bool Exists(std::string_view name) const {
    return std::filesystem::exists(std::filesystem::symlink_status(Path(name)));
  }
  // Everything below a directory of the root, hidden or not, sorted.
  std::vector<std::string> Names(std::string_view directory = "") const {
    std::vector<std::string> names;
    for (const auto& entry : std::filesystem::directory_iterator(Path(directory))) {
      names.push_back(entry.path().filename());
    }
    std::sort(names.begin(), names.end());
    return names;
  }

  // Most tests need not wait for the disk of a busy machine.
  files::Durability durability = files::Durability::kNone;
  const ScratchDirectory scratch;
  const std::string root = scratch / "root";
  std::shared_ptr<files::ServerContext> context;
  std::shared_ptr<ManualDisk> disk;
};

}  // namespace quintet::testing

#endif  // QUINTET_TESTS_NET_FILES_SESSION_FIXTURE_H_
