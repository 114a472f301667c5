#include "report/shaded_text.h"

#include <algorithm>
#include <string_view>

#include "report/heat_color.h"
#include "report/html_page.h"
#include "text/utf8.h"

namespace lighthouse::report {
namespace {

constexpr double kShades = 8;  // fewer than kHeatSteps: runs are longer and pages smaller

std::string span(const std::string& text, double value) {
  if (value == 0) return escape_html(text);
  return "<span class='" + heat_class(heat_step(value)) + "'>" + escape_html(text) + "</span>";
}

}  // namespace

std::string to_shaded_html(const std::string& text, const std::vector<double>& values) {
  // A line break right after <pre> would be dropped: this one is.
  std::string html = "<pre class='shaded'>\n";
  std::string run;
  double run_shade = 0;
  for (size_t at = 0; at < text.size();) {
    const size_t length = std::max<size_t>(1, text::letter_size(std::string_view(text).substr(at)));
    const auto first = values.begin() + static_cast<std::ptrdiff_t>(at);
    const double value = *std::max_element(first, first + static_cast<std::ptrdiff_t>(length));
    const double shade = static_cast<double>(static_cast<int>(value * kShades + 0.5)) / kShades;
    if (shade != run_shade) {
      html += span(run, run_shade);
      run.clear();
      run_shade = shade;
    }
    run += text::visible(std::string_view(text).substr(at, length));
    at += length;
  }
  return html + span(run, run_shade) + "</pre>\n";
}

std::string escape_bytes(const std::string& text, bool utf8) {
  std::string out;
  for (std::string_view rest = text; !rest.empty();) {
    const std::string_view letter = rest.substr(0, std::max<size_t>(1, text::letter_size(rest)));
    rest.remove_prefix(letter.size());
    if (letter == "\n") {
      out += "\\n";
    } else if (letter == "\t") {
      out += "\\t";
    } else if (letter == "\\") {
      out += "\\\\";
    } else if (utf8 || letter.size() == 1) {
      out += text::visible(letter);
    } else {
      for (const char byte : letter) out += text::visible(std::string_view(&byte, 1));
    }
  }
  return out;
}

}  // namespace lighthouse::report
