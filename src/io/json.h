// JSON, read with a limit of depth and written whatever bytes its texts have.
#pragma once

#include <cstddef>
#include <filesystem>
#include <nlohmann/json_fwd.hpp>
#include <stdexcept>
#include <string>
#include <string_view>

namespace lighthouse::io {

/// Keys stay in their order.
using Json = nlohmann::ordered_json;

/// Objects and lists within each other. No file that we know has 20; some thousands end a process, because JSON's own
/// functions call themselves for each.
inline constexpr size_t kMostJsonDepth = 200;

/// "SOURCE:LINE: expected JSON; REASON".
class JsonError : public std::runtime_error {
 public:
  JsonError(const std::string& source, size_t line, const std::string& reason)
      : std::runtime_error(source + ":" + std::to_string(line) + ": expected JSON; " + reason), reason_(reason) {}
  const std::string& reason() const { return reason_; }

 private:
  std::string reason_;
};

/// Throws JsonError; `source` names the text in it.
Json parse_json(std::string_view text, const std::string& source);

/// A file's. Throws SystemError where it cannot be read, JsonError where it is no JSON.
Json read_json(const std::filesystem::path& path);

/// The same with keys in the order of the alphabet: quick where an object has very many, as a vocabulary has.
nlohmann::json read_sorted_json(const std::filesystem::path& path);

/// JSON on one line, or with `indent` spaces a level. Bytes of a text that are not UTF-8, as names of files may have,
/// become U+FFFD: a result is not lost to them.
std::string json_text(const Json& value, int indent = -1);

}  // namespace lighthouse::io
