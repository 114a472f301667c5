#include "cli/status_line.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <cstdio>

#include "text/utf8.h"

namespace lighthouse::cli {
namespace {

constexpr auto kQuietInterval = std::chrono::seconds(5);
constexpr const char* kToTheStart = "\r\033[K";

/// A row of the terminal: a longer line would wrap, and its first rows could not be written over.
std::string one_row(const std::string& text) {
  winsize size{};
  if (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_col == 0) return text;
  std::string row;
  std::string_view left = text;
  for (int columns = 1; columns < size.ws_col && !left.empty(); ++columns) {
    const size_t letter = text::letter_size(left);
    row += left.substr(0, letter == 0 ? 1 : letter);
    left.remove_prefix(letter == 0 ? 1 : letter);
  }
  return row;
}

}  // namespace

StatusLine::StatusLine() : terminal_(isatty(STDERR_FILENO) == 1) {}

bool StatusLine::is_due() const { return terminal_ || std::chrono::steady_clock::now() - last_ >= kQuietInterval; }

void StatusLine::show(const std::string& text) {
  last_ = std::chrono::steady_clock::now();
  if (!terminal_) {
    print(text);
    return;
  }
  std::fprintf(stderr, "%s%s", kToTheStart, one_row(text::visible(text)).c_str());
  std::fflush(stderr);
  open_ = true;
}

void StatusLine::print(const std::string& text) {
  std::fprintf(stderr, "%s%s\n", open_ ? kToTheStart : "", text::visible(text).c_str());
  std::fflush(stderr);
  open_ = false;
}

void StatusLine::finish() {
  if (open_) std::fprintf(stderr, "\n");
  open_ = false;
}

}  // namespace lighthouse::cli
