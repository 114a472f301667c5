// Bytes that may be UTF-8: its letters, and what a terminal or a page may show of any bytes.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace lighthouse::text {

/// Bytes of the UTF-8 letter that `text` begins with; 0 where it is none: a stray byte, an overlong form, half of a
/// pair.
size_t letter_size(std::string_view text);

bool is_utf8(std::string_view text);

/// Whether a letter is printed as itself. Not so for control characters (terminals act on them; those of U+0080 to
/// U+009F too) and for marks that turn the direction of what follows. Line breaks and tabs are control characters here.
bool is_printable(std::string_view letter);

/// The text as it may stand on a terminal or a page whatever its bytes are: line breaks, tabs and printable letters as
/// they are, every other byte as \xNN.
std::string visible(std::string_view text);

/// The same for bytes that come one after the other.
class VisibleStream {
 public:
  /// What can be shown now: nothing while a letter is incomplete.
  std::string add(char byte);
  /// What is left at the end.
  std::string finish();

 private:
  std::string pending_;
};

}  // namespace lighthouse::text
