#include "report/shaded_text.h"

#include <algorithm>
#include <array>
#include <cstdio>

#include "report/heat_color.h"
#include "report/html_page.h"

namespace lighthouse::report {
namespace {

constexpr double kShades = 8;  // fewer than kHeatSteps: runs are longer and pages smaller

bool is_control(const std::string& character) {
  const auto first = static_cast<unsigned char>(character[0]);
  if (character.size() == 1) return first < 0x20 || first == 0x7F;
  // U+0080 to U+009F: terminals may take them as commands.
  return character.size() == 2 && first == 0xC2 && static_cast<unsigned char>(character[1]) < 0xA0;
}

std::string visible(const std::string& character) {
  if (character == "\n" || character == "\t") return character;
  return is_control(character) ? "·" : character;
}

std::string span(const std::string& text, double value) {
  if (value == 0) return escape_html(text);
  return "<span style='background:" + heat_color(value) + (heat_text_color(value) == "#fff" ? ";color:#fff" : "") +
         "'>" + escape_html(text) + "</span>";
}

std::string hex(char byte) {
  std::array<char, 8> text{};
  std::snprintf(text.data(), text.size(), "\\x%02x", static_cast<unsigned char>(byte));
  return text.data();
}

}  // namespace

std::string to_shaded_html(const std::string& text, const std::vector<double>& values) {
  // A line break right after <pre> would be dropped: this one is.
  std::string html = "<pre class='shaded'>\n";
  std::string run;
  double run_shade = 0;
  for (size_t at = 0; at < text.size();) {
    const size_t length = std::max<size_t>(1, utf8_length(text, at));
    const auto first = values.begin() + static_cast<std::ptrdiff_t>(at);
    const double value = *std::max_element(first, first + static_cast<std::ptrdiff_t>(length));
    const double shade = static_cast<double>(static_cast<int>(value * kShades + 0.5)) / kShades;
    if (shade != run_shade) {
      html += span(run, run_shade);
      run.clear();
      run_shade = shade;
    }
    run += visible(text.substr(at, length));
    at += length;
  }
  return html + span(run, run_shade) + "</pre>\n";
}

std::string escape_bytes(const std::string& text, bool utf8) {
  std::string out;
  for (size_t at = 0; at < text.size();) {
    const size_t length = utf8_length(text, at);
    const std::string character = text.substr(at, std::max<size_t>(1, length));
    const bool printable = length > 0 && (length == 1 || utf8) && !is_control(character);
    at += character.size();
    if (character == "\n") {
      out += "\\n";
    } else if (character == "\t") {
      out += "\\t";
    } else if (character == "\\") {
      out += "\\\\";
    } else if (printable) {
      out += character;
    } else {
      for (const char byte : character) out += hex(byte);
    }
  }
  return out;
}

}  // namespace lighthouse::report
