#include "tests/support/backend_test.h"

#include <algorithm>
#include <utility>

namespace quintet::testing {

void BackendTest::SetUp() {
  if (!RequireBackend(GetParam())) return;
  MakeBackend({});
}

void BackendTest::MakeBackend(const UringOptions& uring) {
  backend_.reset();
  BackendOptions options;
  options.kind = GetParam();
  options.uring = uring;
  auto backend = CreateBackend(options, clock_);
  ASSERT_TRUE(backend.ok()) << backend.status();
  backend_ = *std::move(backend);
  ASSERT_EQ(backend_->kind(), GetParam());
  const absl::Status bound = backend_->BindToThread();
  ASSERT_TRUE(bound.ok()) << bound;
}

void BackendTest::TearDown() {
  if (backend_ != nullptr) {
    for (const auto& source : sources_) source->then = nullptr;
    backend_->CloseAll();
    EXPECT_TRUE(PumpUntil([this] { return backend_->attached_sources() == 0; }))
        << backend_->attached_sources() << " sources were never told kClosed";
    for (const auto& source : sources_) {
      EXPECT_LE(source->Count(Op::kClosed), 1U);
      if (source->closed()) {
        EXPECT_EQ(source->records().back().op, Op::kClosed);
      }
    }
  }
  sources_.clear();
  backend_.reset();
  DescriptorLeakTest::TearDown();
}

RecordingSource& BackendTest::NewSource(Fd fd) {
  sources_.push_back(std::make_unique<RecordingSource>(fd.Release()));
  return *sources_.back();
}

RecordingSource& BackendTest::AddSource(Fd fd) {
  RecordingSource& source = NewSource(std::move(fd));
  const absl::Status added = backend_->Add(source);
  EXPECT_TRUE(added.ok()) << added;
  return source;
}

void BackendTest::DestroySource(RecordingSource& source) {
  sources_.erase(std::find_if(sources_.begin(), sources_.end(),
                              [&](const auto& owned) { return owned.get() == &source; }));
}

size_t BackendTest::Turn(TimePoint deadline) {
  backend_->Wait(deadline);
  size_t delivered = 0;
  Completion completion;
  while (delivered < kCompletionsPerTurn && backend_->Next(&completion)) {
    ++delivered;
    completion.source->OnCompletion(completion);
  }
  backend_->Validate();
  return delivered;
}

bool BackendTest::PumpUntil(const std::function<bool()>& done, Duration patience) {
  const TimePoint deadline = AddSaturated(clock_.Now(), patience);
  while (!done()) {
    if (clock_.Now() >= deadline) return false;
    Turn(deadline);
  }
  return true;
}

size_t BackendTest::PumpFor(Duration duration) {
  const TimePoint deadline = clock_.Now() + duration;
  size_t delivered = 0;
  while (clock_.Now() < deadline) delivered += Turn(deadline);
  return delivered;
}

void BackendTest::ExpectSilence(Duration duration) {
  // The first turn may settle registrations.
  EXPECT_EQ(Turn(kPollOnly), 0U);
  const uint64_t waits = backend_->stats().wait_syscalls;
  EXPECT_EQ(PumpFor(duration), 0U);
  EXPECT_LE(backend_->stats().wait_syscalls - waits, 6U) << "the backend spins";
}

void BackendTest::Send(RecordingSource& source, std::string_view bytes) {
  sent_.push_back(std::make_unique<std::string>(bytes));
  vectors_.push_back(std::make_unique<iovec>(iovec{sent_.back()->data(), sent_.back()->size()}));
  backend_->StartSend(source, {vectors_.back().get(), 1});
}

bool BackendTest::SendFully(RecordingSource& source, std::string_view bytes) {
  while (!bytes.empty()) {
    const iovec vector{const_cast<char*>(bytes.data()), bytes.size()};
    const size_t before = source.Count(Op::kSend);
    backend_->StartSend(source, {&vector, 1});
    if (!PumpUntil([&] { return source.Count(Op::kSend) > before; })) return false;
    const int32_t sent = *source.Last(Op::kSend);
    if (sent <= 0) return false;
    bytes.remove_prefix(static_cast<size_t>(sent));
  }
  return true;
}

void BackendTest::CloseAndPump(RecordingSource& source, CloseMode mode) {
  backend_->Close(source, mode);
  EXPECT_TRUE(PumpUntil([&] { return source.closed(); }));
}

}  // namespace quintet::testing
