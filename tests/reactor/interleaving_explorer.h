// Runs a few small threads through every order in which their memory accesses can take effect.
//
// The threads are ordinary functions that use Atomic<T> and Plain<T> below in place of std::atomic
// and of plain variables, so the code explored is the code shipped. There is one real thread. To
// take a step of a thread its function is run again from its start, with the results of its earlier
// accesses played back; it then makes one new access and is left, by an exception, at the next. A
// state (memory, store buffers, what each thread has seen) met before is not explored again.
//
// Memory models, from strict to loose:
//   kSequential  every access takes effect at once
//   kTotalStore  stores wait in a buffer per thread, in order; a read-modify-write empties it (x86)
//   kPartialStore  a buffer per thread and variable: stores to different variables overtake each
//                other; only a release empties the buffers of the other variables (Arm, as far as
//                stores go). Loads are never delayed.
#ifndef QUINTET_TESTS_REACTOR_INTERLEAVING_EXPLORER_H_
#define QUINTET_TESTS_REACTOR_INTERLEAVING_EXPLORER_H_

#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <unordered_set>
#include <utility>
#include <vector>

namespace quintet::interleaving {

enum class MemoryModel { kSequential, kTotalStore, kPartialStore };

// What is taken away from the code under test, to see whether that is noticed.
struct Weakening {
  bool no_release = false;              // release orders are treated as relaxed
  std::vector<int> split_threads = {};  // these threads' read-modify-writes are not atomic
};

class InterleavingExplorer {
 public:
  struct Result {
    size_t states = 0;
    std::string failure;  // empty when there was none; otherwise what, and after which steps
  };

  InterleavingExplorer(MemoryModel model, Weakening weakening)
      : model_(model), weakening_(std::move(weakening)) {
    current = this;
  }
  ~InterleavingExplorer() { current = nullptr; }
  InterleavingExplorer(const InterleavingExplorer&) = delete;
  InterleavingExplorer& operator=(const InterleavingExplorer&) = delete;

  // The explorer whose variables are being made and whose threads run.
  static inline InterleavingExplorer* current = nullptr;

  // `thread` must be a function of what it reads alone.
  void AddThread(std::function<void()> thread) { threads_.push_back(std::move(thread)); }

  // Explores until everything was seen or something failed: a thread called Fail(), or threads are
  // left of which none can go on.
  Result Run();

  // For threads and variables.
  int NewVariable(uint64_t value);
  uint64_t Load(int variable);
  void Store(int variable, uint64_t value, bool release);
  // Stores `desired` if the value is `expected`, or always if `any`; returns the value before.
  uint64_t Exchange(int variable, uint64_t expected, bool any, uint64_t desired, bool release);
  void Add(int variable, uint64_t amount);
  // Waits until the variable is above zero and sets it to zero, as reading an eventfd does.
  void AwaitAndReset(int variable);
  // Between two accesses of a thread: says that what it does from here on follows from `locals` and
  // from what it will read, whatever it read before. Ways that lead to the same are joined.
  void Checkpoint(const std::vector<uint64_t>& locals);
  void Fail(std::string what) { failure_ = std::move(what); }

 private:
  struct Buffered {
    int variable;
    uint64_t value;
  };
  struct ThreadState {
    std::vector<uint64_t> seen;     // results of its accesses so far
    std::vector<uint64_t> locals;   // of its last Checkpoint()
    size_t seen_before_locals = 0;  // how many accesses came before that
    std::vector<Buffered> buffer;   // stores that have not taken effect, oldest first
    int awaited = -1;               // the variable it waits for before it can go on
    bool done = false;
  };
  struct State {
    std::vector<uint64_t> memory;
    std::vector<ThreadState> threads;
  };
  struct Left {};  // thrown to leave a thread at its next access

  void Explore(const State& state);
  State Step(const State& from, int thread);
  void Visit(State next, const std::string& step);
  void Flush(State& state, int thread, size_t index) const;
  void FlushVariable(int variable);
  void FlushAll();
  uint64_t Newest(int variable) const;
  bool CanOvertake(const std::vector<Buffered>& buffer, size_t index) const;
  bool BeginAccess(uint64_t* seen, int awaited = -1);
  void EndAccess(uint64_t seen);
  static std::string Key(const State& state);

  const MemoryModel model_;
  const Weakening weakening_;
  std::vector<std::function<void()>> threads_;
  std::vector<uint64_t> initial_;
  std::unordered_set<std::string> visited_;
  std::vector<std::string> path_;
  Result result_;
  std::string failure_;

  // While a thread runs:
  State* state_ = nullptr;
  int thread_ = 0;
  size_t replayed_ = 0;
  bool stepped_ = false;
};

namespace explorer_internal {
template <typename T>
uint64_t ToBits(T value) {
  if constexpr (std::is_pointer_v<T>) {
    return reinterpret_cast<uintptr_t>(value);
  } else {
    return static_cast<uint64_t>(value);
  }
}
template <typename T>
T FromBits(uint64_t bits) {
  if constexpr (std::is_pointer_v<T>) {
    return std::bit_cast<T>(static_cast<uintptr_t>(bits));
  } else {
    return static_cast<T>(bits);
  }
}
inline bool Releases(std::memory_order order) {
  return order == std::memory_order_release || order == std::memory_order_acq_rel ||
         order == std::memory_order_seq_cst;
}
}  // namespace explorer_internal

// Stands for std::atomic<T>: what Inbox uses of it.
template <typename T>
class Atomic {
 public:
  Atomic(T value)  // NOLINT(google-explicit-constructor): as std::atomic
      : variable_(explorer().NewVariable(explorer_internal::ToBits(value))) {}

  T load(std::memory_order) const {
    return explorer_internal::FromBits<T>(explorer().Load(variable_));
  }
  T exchange(T desired, std::memory_order order) {
    return explorer_internal::FromBits<T>(explorer().Exchange(variable_, 0, true,
                                                              explorer_internal::ToBits(desired),
                                                              explorer_internal::Releases(order)));
  }
  bool compare_exchange_strong(T& expected, T desired, std::memory_order order, std::memory_order) {
    const uint64_t before =
        explorer().Exchange(variable_, explorer_internal::ToBits(expected), false,
                            explorer_internal::ToBits(desired), explorer_internal::Releases(order));
    if (before == explorer_internal::ToBits(expected)) return true;
    expected = explorer_internal::FromBits<T>(before);
    return false;
  }
  bool compare_exchange_weak(T& expected, T desired, std::memory_order order,
                             std::memory_order failure) {
    return compare_exchange_strong(expected, desired, order, failure);
  }

 private:
  static InterleavingExplorer& explorer() { return *InterleavingExplorer::current; }
  int variable_;
};

// Stands for a plain variable of type T that several threads use.
template <typename T>
class Plain {
 public:
  Plain() : variable_(explorer().NewVariable(0)) {}
  Plain& operator=(T value) {
    explorer().Store(variable_, explorer_internal::ToBits(value), false);
    return *this;
  }
  operator T() const {  // NOLINT(google-explicit-constructor): reads like a T
    return explorer_internal::FromBits<T>(explorer().Load(variable_));
  }

 private:
  static InterleavingExplorer& explorer() { return *InterleavingExplorer::current; }
  int variable_;
};

}  // namespace quintet::interleaving

#endif  // QUINTET_TESTS_REACTOR_INTERLEAVING_EXPLORER_H_
