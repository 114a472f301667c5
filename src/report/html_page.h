// One self-contained HTML page: styles inside, charts as inline SVG, no script, no network. It reads on a telephone and
// in print, and follows the reader's choice of a light or a dark page.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "report/line_chart.h"

namespace lighthouse::report {

/// Text for HTML: markup escaped, bytes that are not UTF-8 replaced by U+FFFD, control characters as text::visible()
/// writes them.
std::string escape_html(const std::string& text);

struct Table {
  std::vector<std::string> header;
  std::vector<std::vector<std::string>> rows;  ///< The first cell of a row is its name; the rest are numbers.
  bool of_text = false;                        ///< The rest are texts: aligned to the left.
  std::vector<double> bars = {};               ///< In a page, a bar at the end of each row: 0 to 1 of the full length.
};

/// The table as aligned plain text, for terminals.
std::string to_text(const Table& table);

/// The table as an HTML fragment. Where the page is too narrow it scrolls by itself, and its edges say so.
std::string to_html(const Table& table, const std::string& name);

/// A fragment that scrolls by itself where the page is too narrow for it; `name` is what a screen reader calls it.
/// `is_long`: print may break it between two sheets.
std::string scrolling(const std::string& fragment, const std::string& name, bool is_long = false);

class HtmlPage {
 public:
  explicit HtmlPage(std::string title);

  /// What the page has to say, in a sentence or two under its title.
  void lead(const std::string& text);
  void heading(const std::string& text);
  void paragraph(const std::string& text);
  /// Lines as they are, apart from what text::visible() escapes.
  void preformatted(const std::string& text);
  /// `name`: for screen readers; the heading above where it is empty.
  void table(const Table& table, const std::string& name = "");
  void chart(const LineChart& chart);
  /// Charts side by side where the page is wide enough. Those that have no series are left out.
  void charts(const std::vector<LineChart>& charts);
  /// A fragment that is HTML already.
  void html(const std::string& fragment);

  std::string to_string() const;
  /// Written beside and renamed, so that a reader never meets half a page. Throws std::runtime_error with the reason.
  void write(const std::filesystem::path& path) const;

 private:
  std::string title_;
  std::string section_;  ///< The last heading, or the title.
  std::string body_;
};

}  // namespace lighthouse::report
