// One self-contained HTML page: styles inside, charts as inline SVG, no script, no network.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "report/line_chart.h"

namespace lighthouse::report {

/// Text for HTML: markup escaped, bytes that are not UTF-8 replaced by U+FFFD.
std::string escape_html(const std::string& text);

/// Length of the UTF-8 character that starts at byte `at`, 0 where none does.
size_t utf8_length(const std::string& text, size_t at);

struct Table {
  std::vector<std::string> header;
  std::vector<std::vector<std::string>> rows;  ///< The first cell of a row is its name; the rest are numbers.
  bool of_text = false;                        ///< The rest are texts: aligned to the left.
};

/// The table as aligned plain text, for terminals.
std::string to_text(const Table& table);

class HtmlPage {
 public:
  explicit HtmlPage(std::string title);

  void heading(const std::string& text);
  void paragraph(const std::string& text);
  void preformatted(const std::string& text);
  void table(const Table& table);
  void chart(const LineChart& chart);
  /// Charts side by side where the page is wide enough.
  void charts(const std::vector<LineChart>& charts);
  /// A fragment that is HTML already.
  void html(const std::string& fragment);

  std::string to_string() const;
  /// Written beside and renamed, so that a reader never meets half a page. Throws std::runtime_error with the reason.
  void write(const std::filesystem::path& path) const;

 private:
  std::string title_;
  std::string body_;
};

}  // namespace lighthouse::report
