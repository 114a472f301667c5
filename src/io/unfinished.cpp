#include "io/unfinished.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <climits>
#include <cstring>
#include <string_view>

namespace lighthouse::io {
namespace {

enum State { kFree, kChanging, kTaken };

struct Slot {
  std::atomic<int> state{kFree};
  std::array<char, PATH_MAX> path{};
};
static_assert(std::atomic<int>::is_always_lock_free, "signal handlers read it");

std::array<Slot, 16> slots;

/// A folder in a folder, at most: models have no more.
constexpr int kMostFolders = 3;

void remove_at(int parent, const char* name, int depth) noexcept {
  if (::unlinkat(parent, name, 0) == 0 || (errno != EISDIR && errno != EPERM) || depth == kMostFolders) return;
  const int folder = ::openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  if (folder < 0) return;
  alignas(dirent64) std::array<char, 4096> buffer;  // readdir() would ask for memory
  for (long count = 0; (count = ::syscall(SYS_getdents64, folder, buffer.data(), buffer.size())) > 0;) {
    for (long at = 0; at < count;) {
      const auto* const entry = reinterpret_cast<const dirent64*>(buffer.data() + at);
      const std::string_view found = entry->d_name;
      if (found != "." && found != "..") remove_at(folder, entry->d_name, depth + 1);
      at += entry->d_reclen;
    }
  }
  ::close(folder);
  ::unlinkat(parent, name, AT_REMOVEDIR);
}

}  // namespace

Unfinished::Unfinished(const std::filesystem::path& path) : slot_(-1) {
  const std::string& text = path.native();
  for (size_t i = 0; i < slots.size() && text.size() < PATH_MAX; ++i) {
    int expected = kFree;
    if (!slots[i].state.compare_exchange_strong(expected, kChanging)) continue;
    std::memcpy(slots[i].path.data(), text.c_str(), text.size() + 1);
    slots[i].state = kTaken;
    slot_ = static_cast<int>(i);
    return;
  }
}

Unfinished::~Unfinished() {
  if (slot_ >= 0) slots[static_cast<size_t>(slot_)].state = kFree;
}

void remove_unfinished() noexcept {
  for (Slot& slot : slots) {
    if (slot.state == kTaken) remove_at(AT_FDCWD, slot.path.data(), 0);
  }
}

}  // namespace lighthouse::io
