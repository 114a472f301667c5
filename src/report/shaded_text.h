// Text whose characters are shaded by a value each.
#pragma once

#include <string>
#include <vector>

namespace lighthouse::report {

/// `values` has one per byte, from 0 (no shade) to 1; a character of several bytes takes its largest. Line breaks and
/// spaces are kept, what text::visible() escapes is escaped. An HTML fragment, one element per run of equal shades.
std::string to_shaded_html(const std::string& text, const std::vector<double>& values);

/// Bytes for one line of a terminal or a table: printable characters as they are (those beyond ASCII only with `utf8`),
/// the rest as \n, \t, \\ or \xNN.
std::string escape_bytes(const std::string& text, bool utf8);

}  // namespace lighthouse::report
