#include "text/command_name.h"

#include <algorithm>
#include <cctype>
#include <cstdlib>
#include <string_view>

namespace lighthouse::text {
namespace {

std::string& started_as() {
  static std::string name = "lighthouse";
  return name;
}

}  // namespace

void set_command(const std::string& argv0) {
  if (!argv0.empty()) started_as() = argv0;
}

std::string command() {
  const char* const named = std::getenv("LIGHTHOUSE_COMMAND");
  return named != nullptr && *named != '\0' ? named : shell_word(started_as());
}

std::string shell_word(const std::string& word) {
  constexpr std::string_view kPlain = "-_./=:,+@%";
  const auto plain = [&](char c) {
    return std::isalnum(static_cast<unsigned char>(c)) != 0 || kPlain.find(c) != std::string_view::npos ||
           static_cast<unsigned char>(c) >= 0x80;
  };
  if (!word.empty() && std::all_of(word.begin(), word.end(), plain)) return word;
  std::string quoted = "'";
  for (const char c : word) quoted += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return quoted + "'";
}

}  // namespace lighthouse::text
