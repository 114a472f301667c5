#include "io/json.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "io/input_file.h"

namespace lighthouse::io {
namespace {

size_t line_of(std::string_view text, size_t offset) {
  const auto end = text.begin() + static_cast<std::ptrdiff_t>(std::min(offset, text.size()));
  return 1 + static_cast<size_t>(std::count(text.begin(), end, '\n'));
}

/// Looks at brackets alone, before anything is built: what is built must be taken down again level by level.
void check_depth(std::string_view text, const std::string& source) {
  size_t depth = 0;
  bool quoted = false;
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (quoted) {
      if (c == '\\') ++i;
      quoted = c != '"';
    } else if (c == '"') {
      quoted = true;
    } else if (c == '[' || c == '{') {
      if (++depth > kMostJsonDepth) {
        throw JsonError(source, line_of(text, i),
                        "it has more than " + std::to_string(kMostJsonDepth) +
                            " lists and objects within each other, the next one at byte " + std::to_string(i));
      }
    } else if ((c == ']' || c == '}') && depth > 0) {
      --depth;
    }
  }
}

/// What people write that JSON does not have.
std::string hint_for(std::string_view text, size_t offset) {
  if (offset >= text.size()) return "";
  const char c = text[offset];
  const char before = offset > 0 ? text[offset - 1] : ' ';
  if (c == '/' || c == '#') return " (JSON has no comments)";
  if (c == 'N' || c == 'I' || before == 'N' || before == 'I') return " (JSON has no NaN and no Infinity)";
  if (c == '\'') return " (JSON's texts stand in double quotes)";
  if (c != '}' && c != ']') return "";
  const size_t last = text.substr(0, offset).find_last_not_of(" \t\r\n");
  return last != std::string_view::npos && text[last] == ',' ? " (JSON has no comma after the last item)" : "";
}

/// The parser's words, after its own name for the error and the place.
std::string reason_of(const std::string& what) {
  std::string reason = what.substr(what.find("] ") + 2);
  if (const size_t place = reason.find(": "); reason.starts_with("parse error") && place != std::string::npos) {
    reason.erase(0, place + 2);
  }
  constexpr size_t kMostShown = 160;
  if (reason.size() > kMostShown) reason = reason.substr(0, kMostShown) + "...";
  return reason;
}

template <typename Value>
Value parse(std::string_view text, const std::string& source) {
  if (const std::string pointer = describe_pointer(text); !pointer.empty()) throw std::runtime_error(source + pointer);
  check_depth(text, source);
  try {
    return Value::parse(text.begin(), text.end());
  } catch (const nlohmann::json::parse_error& error) {
    const size_t offset = error.byte > 0 ? error.byte - 1 : 0;
    throw JsonError(source, line_of(text, offset), "got " + reason_of(error.what()) + hint_for(text, offset));
  } catch (const nlohmann::json::exception& error) {  // a number that no double holds
    throw JsonError(source, 1, "got " + reason_of(error.what()));
  }
}

}  // namespace

Json parse_json(std::string_view text, const std::string& source) { return parse<Json>(text, source); }

Json read_json(const std::filesystem::path& path) { return parse<Json>(read_file(path), path.string()); }

nlohmann::json read_sorted_json(const std::filesystem::path& path) {
  return parse<nlohmann::json>(read_file(path), path.string());
}

std::string json_text(const Json& value, int indent) {
  return value.dump(indent, ' ', /*ensure_ascii=*/false, Json::error_handler_t::replace);
}

}  // namespace lighthouse::io
