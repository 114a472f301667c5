// What a configuration's text may hold, looked at before TOML's parser does.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace lighthouse::train {

/// The line, from 1, of the first byte above 127 that is outside comments and one-line strings; a byte order mark at
/// the beginning is let pass. Keys and values need none, and toml++ 3.3 has undefined behaviour where it meets letters
/// such as é or の in place of white space. On text that is not TOML it looks as far as a parser would get.
std::optional<int64_t> line_of_stray_letter(std::string_view text);

}  // namespace lighthouse::train
