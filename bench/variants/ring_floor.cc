// The floor of io_uring(7) with one thing changed at a time, to see what each pays: ring_floor
// VARIANT PORT. `base` does what bench/floors/io_uring.cc does. What the kernel refuses ends the
// program.
#include <linux/io_uring.h>
#include <poll.h>
#include <sys/resource.h>
#include <sys/uio.h>

#include <algorithm>
#include <array>
#include <vector>

#include "bench/floors/floor.h"
#include "bench/variants/buffers.h"
#include "bench/variants/ring.h"
#include "bench/variants/variant.h"

namespace quintet::variants {
namespace {

constexpr uint32_t kMaxDirect = 4096;  // direct descriptors
constexpr uint32_t kNapiBusyPollUs = 50;

enum class Op : uint32_t { kAccept, kReceive, kPoll, kSend, kRelease };

uint64_t Tag(Op op, int fd) { return static_cast<uint64_t>(op) << 32 | static_cast<uint32_t>(fd); }

bool IsRefusal(int result) { return result == -EINVAL || result == -EOPNOTSUPP; }

class Server {
 public:
  explicit Server(Variant variant)
      : variant_(variant), ring_(variant), buffers_(ring_, variant), replies_(floors::Replies()) {
    if (variant == Variant::kBundle) Demand(kFeatureBundle, "receive bundles (Linux 6.10)");
    if (variant == Variant::kMinWait) Demand(kFeatureMinTimeout, "a minimum wait (Linux 6.12)");
    if (variant == Variant::kDirect) RegisterDescriptors();
    if (variant == Variant::kNapi) RegisterNapi();
    if (variant == Variant::kZeroCopy) RegisterReplies();
  }

  [[noreturn]] void Run(int listener) {
    ArmAccept(listener);
    for (;;) {
      ring_.SubmitAndWait();
      ring_.Reap([this](const io_uring_cqe& cqe) { Handle(cqe); });
      buffers_.Publish();
      // Behind Publish(): a receive that finds no buffer ends at once.
      for (const int fd : to_arm_) ArmReceive(fd);
      to_arm_.clear();
    }
  }

 private:
  // ---- Set-up ----

  void Demand(uint32_t feature, const char* what) {
    if ((ring_.features() & feature) == 0) Refuse(what, EOPNOTSUPP);
  }

  void RegisterDescriptors() {
    rlimit limit{};
    ::getrlimit(RLIMIT_NOFILE, &limit);
    io_uring_rsrc_register table{};
    table.nr = static_cast<uint32_t>(std::min<rlim_t>(kMaxDirect, limit.rlim_cur));
    table.flags = IORING_RSRC_REGISTER_SPARSE;
    if (ring_.Register(IORING_REGISTER_FILES2, &table, sizeof(table)) < 0) {
      Refuse("direct descriptors", errno);
    }
  }

  void RegisterNapi() {
    Napi napi{};
    napi.busy_poll_us = kNapiBusyPollUs;
    napi.prefer_busy_poll = 1;
    if (ring_.Register(kRegisterNapi, &napi, 1) < 0) Refuse("NAPI busy polling", errno);
  }

  // Zero copies are cheapest from registered memory, which must be writable.
  void RegisterReplies() {
    std::memcpy(registered_.data(), floors::Replies(), registered_.size());
    replies_ = registered_.data();
    iovec memory{registered_.data(), registered_.size()};
    if (ring_.Register(IORING_REGISTER_BUFFERS, &memory, 1) < 0) {
      Refuse("registered memory", errno);
    }
    constexpr size_t kOperations = 256;
    alignas(io_uring_probe)
        std::array<char, sizeof(io_uring_probe) + kOperations * sizeof(io_uring_probe_op)>
            room{};
    auto* const probe = reinterpret_cast<io_uring_probe*>(room.data());
    if (ring_.Register(IORING_REGISTER_PROBE, probe, kOperations) < 0) {
      Refuse("a probe of its operations", errno);
    }
    if ((probe->ops[IORING_OP_SEND_ZC].flags & IO_URING_OP_SUPPORTED) == 0) {
      Refuse("zero-copy sends (Linux 6.0)", EOPNOTSUPP);
    }
  }

  // ---- Submitting ----

  // An operation on a connection.
  io_uring_sqe& Submit(uint8_t opcode, Op op, int fd) {
    io_uring_sqe& sqe = ring_.NextSqe();
    sqe.opcode = opcode;
    sqe.fd = fd;
    if (variant_ == Variant::kDirect) sqe.flags = IOSQE_FIXED_FILE;
    sqe.user_data = Tag(op, fd);
    return sqe;
  }

  void ArmAccept(int listener) {
    io_uring_sqe& sqe = ring_.NextSqe();
    sqe.opcode = IORING_OP_ACCEPT;
    sqe.fd = listener;
    sqe.ioprio = IORING_ACCEPT_MULTISHOT;
    if (variant_ == Variant::kDirect) {
      sqe.accept_flags = SOCK_NONBLOCK;  // a direct descriptor is never inherited
      sqe.file_index = IORING_FILE_INDEX_ALLOC;
    } else {
      sqe.accept_flags = SOCK_NONBLOCK | SOCK_CLOEXEC;
    }
    sqe.user_data = Tag(Op::kAccept, listener);
  }

  void ArmReceive(int fd) {
    if (variant_ == Variant::kPollOnly) return ArmPoll(fd);
    io_uring_sqe& sqe = Submit(IORING_OP_RECV, Op::kReceive, fd);
    if (variant_ != Variant::kOneShot) sqe.ioprio = IORING_RECV_MULTISHOT;
    if (variant_ == Variant::kBundle) sqe.ioprio |= kReceiveBundle;
    sqe.flags |= IOSQE_BUFFER_SELECT;
    sqe.buf_group = Buffers::kGroup;
  }

  void ArmPoll(int fd) {
    io_uring_sqe& sqe = Submit(IORING_OP_POLL_ADD, Op::kPoll, fd);
    sqe.len = IORING_POLL_ADD_MULTI;
    sqe.poll32_events = POLLIN | POLLRDHUP;
  }

  void Send(int fd, size_t count) {
    if (variant_ == Variant::kInlineSend) {
      // The receive then ends, and with it the connection.
      if (!floors::Reply(fd, count)) ::shutdown(fd, SHUT_RDWR);
      return;
    }
    while (count > 0) {
      const size_t now = std::min(count, floors::kMaxReplies);
      const bool zero_copy = variant_ == Variant::kZeroCopy;
      io_uring_sqe& sqe = Submit(zero_copy ? IORING_OP_SEND_ZC : IORING_OP_SEND, Op::kSend, fd);
      sqe.addr = reinterpret_cast<uintptr_t>(replies_);
      sqe.len = static_cast<uint32_t>(now * floors::kReply.size());
      // The kernel finishes a short send, so success needs no completion.
      sqe.msg_flags = MSG_NOSIGNAL | MSG_WAITALL;
      if (zero_copy) {
        sqe.ioprio = IORING_RECVSEND_FIXED_BUF;  // and there is no zero copy without completions
      } else if (variant_ != Variant::kSendCompletions) {
        sqe.flags |= IOSQE_CQE_SKIP_SUCCESS;
      }
      count -= now;
    }
  }

  // By the ring, behind the replies that were not submitted yet.
  void Close(int fd) {
    floors::head_counters[static_cast<size_t>(fd)].Reset();
    io_uring_sqe& sqe = ring_.NextSqe();
    sqe.opcode = IORING_OP_CLOSE;
    if (variant_ == Variant::kDirect) {
      sqe.file_index = static_cast<uint32_t>(fd) + 1;  // 0 means an ordinary descriptor
    } else {
      sqe.fd = fd;
    }
    sqe.flags = IOSQE_CQE_SKIP_SUCCESS;
    sqe.user_data = Tag(Op::kRelease, fd);
  }

  // A poll holds its socket open. It is gone before the number can come back from an accept: what
  // is submitted comes first in each turn.
  void RemovePoll(int fd) {
    io_uring_sqe& sqe = ring_.NextSqe();
    sqe.opcode = IORING_OP_POLL_REMOVE;
    sqe.fd = -1;
    sqe.addr = Tag(Op::kPoll, fd);
    sqe.flags = IOSQE_CQE_SKIP_SUCCESS;
    sqe.user_data = Tag(Op::kRelease, fd);
  }

  // ---- Completions ----

  void Handle(const io_uring_cqe& cqe) {
    const auto fd = static_cast<int>(cqe.user_data & UINT32_MAX);
    switch (static_cast<Op>(cqe.user_data >> 32)) {
      case Op::kAccept:
        return Accepted(fd, cqe);
      case Op::kReceive:
        return Received(fd, cqe);
      case Op::kPoll:
        return Polled(fd, cqe);
      case Op::kSend:  // failed: the connection is broken, and its receive ends
        if (IsRefusal(cqe.res)) floors::Die("send", -cqe.res);
        return;
      case Op::kRelease:
        return;
    }
  }

  void Accepted(int listener, const io_uring_cqe& cqe) {
    if (IsRefusal(cqe.res)) floors::Die("accept", -cqe.res);
    if (cqe.res >= floors::kMaxDescriptors) {
      ::close(cqe.res);
    } else if (cqe.res >= 0) {
      ArmReceive(cqe.res);
    }
    if ((cqe.flags & IORING_CQE_F_MORE) == 0) ArmAccept(listener);
  }

  void Received(int fd, const io_uring_cqe& cqe) {
    size_t requests = 0;
    if ((cqe.flags & IORING_CQE_F_BUFFER) != 0) {
      auto& counter = floors::head_counters[static_cast<size_t>(fd)];
      buffers_.Take(
          cqe, [&](const char* data, size_t bytes) { requests += counter.Count(data, bytes); });
    }
    if (cqe.res > 0) {
      Send(fd, requests);
      if ((cqe.flags & IORING_CQE_F_MORE) == 0) to_arm_.push_back(fd);
    } else if (cqe.res == -ENOBUFS) {
      to_arm_.push_back(fd);
    } else {
      if (IsRefusal(cqe.res)) floors::Die("receive", -cqe.res);
      Close(fd);
    }
  }

  // One completion for each wake-up, as an edge of epoll.
  void Polled(int fd, const io_uring_cqe& cqe) {
    if (cqe.res == -ECANCELED) return;  // removed with its connection
    const bool more = (cqe.flags & IORING_CQE_F_MORE) != 0;
    const bool hangs_up = cqe.res < 0 || (cqe.res & (POLLRDHUP | POLLHUP | POLLERR)) != 0;
    floors::Outcome outcome = floors::Serve(fd);
    while (outcome == floors::Outcome::kFull || (hangs_up && outcome != floors::Outcome::kEnded)) {
      outcome = floors::Serve(fd);
    }
    if (outcome == floors::Outcome::kEnded) {
      if (more) RemovePoll(fd);
      Close(fd);
    } else if (!more) {
      to_arm_.push_back(fd);
    }
  }

  const Variant variant_;
  Ring ring_;
  Buffers buffers_;
  std::vector<int> to_arm_;
  const char* replies_;
  std::array<char, floors::kMaxReplies * floors::kReply.size()> registered_;
};

}  // namespace
}  // namespace quintet::variants

int main(int argc, char** argv) {
  using quintet::variants::kVariants;
  const auto* const found = std::find_if(kVariants.begin(), kVariants.end(), [&](const auto& each) {
    return argc == 3 && each.first == argv[1];
  });
  if (found == kVariants.end()) {
    std::fprintf(stderr, "usage: %s VARIANT PORT\nvariants:", argv[0]);
    for (const auto& [name, variant] : kVariants) std::fprintf(stderr, " %s", name.data());
    std::fputc('\n', stderr);
    return 2;
  }
  // Before it listens: nobody connects to a variant that the kernel refuses.
  quintet::variants::Server server(found->second);
  server.Run(quintet::floors::Listen(argc - 1, argv + 1, argv[1]));
}
