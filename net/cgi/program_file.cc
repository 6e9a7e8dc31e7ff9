#include "net/cgi/program_file.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <optional>

#include "reactor/errno_text.h"

namespace quintet::cgi {
namespace {

// Folders below the directory are few; each costs a system call.
constexpr int kMaxDepth = 16;

ProgramFile Refusal(int status, std::string_view error) {
  ProgramFile refused;
  refused.status = status;
  refused.error = std::string(error);
  return refused;
}

int HexValue(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  return (c | 0x20) - 'a' + 10;
}

// A path whose percent-encoding is known to be right. None: a character that a path must not hide.
std::optional<std::string> Decode(std::string_view text) {
  std::string decoded;
  for (size_t i = 0; i < text.size(); ++i) {
    char c = text[i];
    if (c == '%') {
      if (i + 2 >= text.size()) return std::nullopt;
      c = static_cast<char>(HexValue(text[i + 1]) * 16 + HexValue(text[i + 2]));
      i += 2;
      if (c == '/') return std::nullopt;
    }
    const auto octet = static_cast<unsigned char>(c);
    if (octet < 0x20 || octet == 0x7f || c == '\\') return std::nullopt;
    decoded += c;
  }
  return decoded;
}

bool HasDotSegment(std::string_view path) {
  while (true) {
    const size_t slash = path.find('/');
    const std::string_view segment = path.substr(0, slash);
    if (segment == "." || segment == "..") return true;
    if (slash == std::string_view::npos) return false;
    path.remove_prefix(slash + 1);
  }
}

// `name` below `root`, O_PATH, which is `segment` in `folder`. -1 with errno.
int OpenBelow(int root, const std::string& name, int folder, const std::string& segment) {
  open_how how{};
  how.flags = O_PATH | O_CLOEXEC;
  how.resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS;
  const auto fd = static_cast<int>(::syscall(SYS_openat2, root, name.c_str(), &how, sizeof(how)));
  if (fd >= 0) return fd;
  // EPERM: filters that do not know the call.
  if (errno != ENOSYS && errno != EPERM) return -1;
  const int plain = ::openat(folder, segment.c_str(), O_PATH | O_NOFOLLOW | O_CLOEXEC);
  struct stat status {};
  if (plain < 0 || ::fstat(plain, &status) != 0 || !S_ISLNK(status.st_mode)) return plain;
  ::close(plain);
  errno = ELOOP;
  return -1;
}

ProgramFile RefusalOf(int error) {
  const bool exhausted = error == EMFILE || error == ENFILE || error == ENOMEM;
  return Refusal(exhausted ? 503 : 404, "not found: " + ErrnoText(error));
}

}  // namespace

ProgramFile FindProgram(const std::string& directory, std::string_view path) {
  const std::optional<std::string> decoded = Decode(path);
  if (!decoded.has_value()) return Refusal(404, "not found: a character that no path may hide");
  if (HasDotSegment(*decoded)) return Refusal(404, "not found: a dot segment");

  const UniqueFd root(::open(directory.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  UniqueFd folder(::fcntl(root.get(), F_DUPFD_CLOEXEC, 0));
  if (!folder.valid()) return RefusalOf(errno);
  ProgramFile found;
  std::string_view rest = *decoded;
  for (int depth = 0; depth < kMaxDepth; ++depth) {
    const size_t slash = rest.find('/');
    const std::string segment(rest.substr(0, slash));
    if (segment.empty()) return Refusal(404, "not found: a folder");
    if (segment.starts_with('.')) return Refusal(404, "not found: a hidden file");
    found.name += segment;
    UniqueFd next(OpenBelow(root.get(), found.name, folder.get(), segment));
    struct stat status {};
    if (!next.valid() || ::fstat(next.get(), &status) != 0) {
      return errno == EXDEV ? Refusal(404, "not found: it leads out of the directory")
                            : RefusalOf(errno);
    }
    if (S_ISREG(status.st_mode)) {
      if (segment.starts_with("nph-")) return Refusal(403, "nph- programs are not supported");
      if (::faccessat(folder.get(), segment.c_str(), X_OK, AT_EACCESS) != 0) {
        return Refusal(403, "not executable: " + ErrnoText(errno));
      }
      found.path_info = slash == std::string_view::npos ? "" : std::string(rest.substr(slash));
      found.folder = std::move(folder);
      found.base_name = segment;
      return found;
    }
    if (!S_ISDIR(status.st_mode)) return Refusal(404, "not found: no regular file");
    if (slash == std::string_view::npos) return Refusal(404, "not found: a folder");
    found.name += '/';
    rest.remove_prefix(slash + 1);
    folder = std::move(next);
  }
  return Refusal(404, "not found: too many folders");
}

}  // namespace quintet::cgi
