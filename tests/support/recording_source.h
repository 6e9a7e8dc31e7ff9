// A source that writes down what it is told.
#ifndef QUINTET_TESTS_SUPPORT_RECORDING_SOURCE_H_
#define QUINTET_TESTS_SUPPORT_RECORDING_SOURCE_H_

#include <unistd.h>

#include <algorithm>
#include <cstddef>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "reactor/source.h"
#include "tests/support/descriptors.h"

namespace quintet::testing {

class RecordingSource final : public Source {
 public:
  struct Record {
    Op op;
    int32_t result;
  };

  explicit RecordingSource(int fd) : Source(fd) {}

  // Runs after each completion was written down.
  std::function<void(const Completion&)> then;

  const std::vector<Record>& records() const { return records_; }
  const std::string& received() const { return received_; }
  // Accepted descriptors; closed with the source unless taken.
  std::vector<Fd>& accepted() { return accepted_; }

  size_t Count(Op op) const {
    return static_cast<size_t>(std::count_if(records_.begin(), records_.end(),
                                             [op](const Record& r) { return r.op == op; }));
  }
  size_t CountResult(Op op, int32_t result) const {
    return static_cast<size_t>(
        std::count_if(records_.begin(), records_.end(),
                      [&](const Record& r) { return r.op == op && r.result == result; }));
  }
  // The result of the last completion of that kind.
  std::optional<int32_t> Last(Op op) const {
    for (auto record = records_.rbegin(); record != records_.rend(); ++record) {
      if (record->op == op) return record->result;
    }
    return std::nullopt;
  }
  bool ended() const {
    const std::optional<int32_t> last = Last(Op::kRecv);
    return last.has_value() && *last <= 0;
  }
  bool closed() const { return Count(Op::kClosed) > 0; }
  void Clear() {
    records_.clear();
    received_.clear();
  }

  void OnCompletion(const Completion& completion) override {
    records_.push_back({completion.op, completion.result});
    if (completion.op == Op::kRecv && completion.result > 0) {
      received_.append(reinterpret_cast<const char*>(completion.data.data()),
                       completion.data.size());
    }
    if (completion.op == Op::kAccept && completion.result >= 0) {
      accepted_.emplace_back(completion.result);
    }
    if (then) then(completion);
  }

 private:
  std::vector<Record> records_;
  std::string received_;
  std::vector<Fd> accepted_;
};

}  // namespace quintet::testing

#endif  // QUINTET_TESTS_SUPPORT_RECORDING_SOURCE_H_
