// The lock-free part of TaskQueue: many threads put, one takes, and sleeps while there is nothing.
//
// A stack with atomic push and take-all (Treiber, IBM RJ 5118, 1986), whose one word tells three
// things: the newest node, nothing, or nothing and the owner sleeps. Because "there is something"
// and "the owner sleeps" share that word, every step is one read-modify-write of one location, and
// there is no order of two locations to get wrong: the owner falls asleep only over an empty stack,
// and the first node pushed onto a sleeping owner takes the mark away, so that exactly its producer
// learns that it must wake. (The same with a flag beside the queue needs a full fence on both sides
// and a second look at the queue after raising the flag.)
//
//     word      Push            TakeAll      TrySleep           EndSleep
//     empty     -> node         -            -> asleep, true    -
//     node      -> node         -> empty     -, false           -
//     asleep    -> node, true   -> empty     (not called)       -> empty
//
// tests/reactor/sleep_wake_model_test.cc runs this code through every interleaving, which is why
// the atomic is a parameter.
#ifndef QUINTET_REACTOR_INBOX_H_
#define QUINTET_REACTOR_INBOX_H_

#include <atomic>

namespace quintet {

// `Node` has a member `Node* next`. Nodes stay the caller's.
template <typename Node, template <typename> class Atomic = std::atomic>
class Inbox {
 public:
  Inbox() = default;
  Inbox(const Inbox&) = delete;
  Inbox& operator=(const Inbox&) = delete;

  // Any thread. True when the owner sleeps and the caller has to wake it.
  [[nodiscard]] bool Push(Node* node) {
    Node* top = top_.load(std::memory_order_relaxed);
    do {
      node->next = top == Asleep() ? nullptr : top;
      // Release: who takes the node sees its content. Later pushes are read-modify-writes and so
      // continue the release sequence of this one.
    } while (!top_.compare_exchange_weak(top, node, std::memory_order_release,
                                         std::memory_order_relaxed));
    return top == Asleep();
  }

  // Owner, awake.
  bool empty() const { return top_.load(std::memory_order_relaxed) == nullptr; }

  // Owner: empties the inbox. A list linked by `next`, newest first; null when there was nothing.
  Node* TakeAll() {
    if (empty()) return nullptr;
    Node* const top = top_.exchange(nullptr, std::memory_order_acquire);
    return top == Asleep() ? nullptr : top;
  }

  // Owner, before it blocks. False when there is something to take: it must not block then.
  [[nodiscard]] bool TrySleep() {
    Node* expected = nullptr;
    return top_.compare_exchange_strong(expected, Asleep(), std::memory_order_relaxed,
                                        std::memory_order_relaxed);
  }

  // Owner, after it blocked, whatever woke it: spares producers the waking of one who is awake.
  void EndSleep() {
    Node* expected = Asleep();
    top_.compare_exchange_strong(expected, nullptr, std::memory_order_relaxed,
                                 std::memory_order_relaxed);
  }

 private:
  // An address that is no node's. Never dereferenced.
  Node* Asleep() { return static_cast<Node*>(static_cast<void*>(this)); }

  Atomic<Node*> top_{nullptr};
};

}  // namespace quintet

#endif  // QUINTET_REACTOR_INBOX_H_
