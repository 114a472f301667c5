#include "train/config_text.h"

#include <algorithm>

namespace lighthouse::train {
namespace {

bool starts(std::string_view text, size_t at, std::string_view with) { return text.substr(at, with.size()) == with; }

/// The place after a one-line string that begins at `at`, or of the line's end where it does not end.
size_t after_string(std::string_view text, size_t at) {
  const char quote = text[at];
  for (++at; at < text.size() && text[at] != '\n'; ++at) {
    if (text[at] == quote) return at + 1;
    if (text[at] == '\\' && quote == '"' && at + 1 < text.size() && text[at + 1] != '\n') ++at;
  }
  return at;
}

}  // namespace

std::optional<int64_t> line_of_stray_letter(std::string_view text) {
  int64_t line = 1;
  char long_string = 0;  // the quote of the string of several lines that `at` is in
  for (size_t at = starts(text, 0, "\xEF\xBB\xBF") ? 3 : 0; at < text.size();) {
    const char c = text[at];
    if (static_cast<unsigned char>(c) > 127) return line;
    if (c == '\n') line += 1;
    const bool triple = starts(text, at, "\"\"\"") || starts(text, at, "\'\'\'");
    if (long_string != 0) {
      if (c == '\\' && long_string == '"' && at + 1 < text.size() && text[at + 1] != '\n') {
        at += static_cast<unsigned char>(text[at + 1]) > 127 ? 1 : 2;
      } else if (triple && c == long_string) {
        long_string = 0;
        at += 3;
      } else {
        at += 1;
      }
    } else if (triple) {
      long_string = c;
      at += 3;
    } else if (c == '"' || c == '\'') {
      at = after_string(text, at);
    } else if (c == '#') {
      at = std::min(text.find('\n', at), text.size());
    } else {
      at += 1;
    }
  }
  return std::nullopt;
}

}  // namespace lighthouse::train
