#include "report/html_page.h"

#include <algorithm>
#include <string_view>

#include "io/atomic_file.h"
#include "report/axis.h"
#include "report/heat_color.h"
#include "text/utf8.h"

namespace lighthouse::report {
namespace {

constexpr const char* kStyle = R"css(
:root { color-scheme: light dark; --page: #fff; --ink: #1b2430; --quiet: #55606d; --line: #dfe5ea; --axis: #77828e;
        --shade: #1b243066; --well: #f4f6f8; --mark: #b6d1e8; }
@media screen and (prefers-color-scheme: dark) {
  :root { --page: #12171d; --ink: #e4e9ee; --quiet: #a4b0bc; --line: #2b343d; --axis: #77828e; --shade: #9fb4c866;
          --well: #1b222a; --mark: #2c5580; } }
* { box-sizing: border-box; }
body { margin: 0; font: 1rem/1.55 system-ui, -apple-system, "Segoe UI", sans-serif; color: var(--ink);
       background: var(--page); overflow-wrap: anywhere; }
main { max-width: 72rem; margin: 0 auto; padding: 2rem 1.25rem 3rem; }
h1 { font-size: 1.75rem; line-height: 1.2; margin: 0 0 .75rem; } h2 { font-size: 1.2rem; margin: 2.5rem 0 .5rem; }
p { max-width: 46rem; margin: .5rem 0; } .lead { font-size: 1.2rem; line-height: 1.5; margin-bottom: 1.5rem; }
.quiet, figcaption p { font-size: .875rem; color: var(--quiet); margin: 0; }
.charts { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(26rem, 100%), 1fr)); gap: 1.5rem 2.5rem; }
figure { margin: 1rem 0; min-width: 0; container-type: inline-size; } .charts figure { margin: 0; }
.charts > :only-child { max-width: 44rem; } .charts + .wide, .charts + p { margin-top: 1.5rem; }
.keys { display: flex; flex-wrap: wrap; gap: .1rem 1.1rem; font-size: .875rem; margin: .15rem 0; max-width: none; }
.key svg, .swatch { display: inline-block; width: 1.6rem; height: .7rem; margin-right: .4rem; }
.plot { display: block; overflow: visible; width: calc(100% - var(--left) - 1.3rem);
        margin: .7rem 1.3rem 1.7rem var(--left); }
@container (max-width: 30rem) { .wide-only { display: none; } }
.wide { overflow-x: auto; margin: .5rem 0 1rem; background-repeat: no-repeat; background-image:
          linear-gradient(to right, var(--page) 40%, transparent), linear-gradient(to left, var(--page) 40%, transparent),
          linear-gradient(to right, var(--shade), transparent), linear-gradient(to left, var(--shade), transparent);
        background-position: left, right, left, right; background-attachment: local, local, scroll, scroll;
        background-size: 2.5rem 100%, 2.5rem 100%, 1rem 100%, 1rem 100%; }
.wide:focus-visible { outline: 2px solid var(--axis); outline-offset: 2px; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { padding: .35rem .7rem; text-align: right; border-bottom: 1px solid var(--line); white-space: nowrap; }
thead th { font-weight: 600; font-size: .875rem; color: var(--quiet); white-space: normal; overflow-wrap: break-word;
           vertical-align: bottom; max-width: 14rem; }
thead > tr > * { border-bottom: 1px solid var(--axis); }
tbody th { font-weight: 400; } .named tbody th { white-space: normal; min-width: 9rem; max-width: 26rem; }
.bar { width: 40%; min-width: 6rem; } .bar i { display: block; height: .75rem; background: currentColor; min-width: 1px; }
tr > :first-child { text-align: left; padding-left: 0; position: sticky; left: 0; background: var(--page); }
.text th, .text td { text-align: left; } .text td { white-space: normal; } .text td:last-child { min-width: 12rem; }
.text .figure { white-space: nowrap; }
.heat td { text-align: center; min-width: 2.9rem; border: 1px solid var(--page); padding: .4rem; }
.heat th { border: 0; min-width: 2.9rem; } .heat thead th { text-align: center; }
.matrices { display: flex; flex-wrap: wrap; gap: .5rem 2.5rem; } .matrices figure { container-type: normal; max-width: 100%; }
pre { background: var(--well); padding: .8rem 1rem; font-size: .85rem; white-space: pre-wrap; border-radius: 4px; }
code { font-size: .85rem; white-space: pre-wrap; } mark { background: var(--mark); color: inherit; }
pre.shaded { background: none; border: 1px solid var(--line); line-height: 1.55; }
@media (max-width: 40rem) {
  main { padding: 1.25rem 1rem 2rem; } h1 { font-size: 1.45rem; } .lead { font-size: 1.1rem; }
  th, td { padding: .35rem .4rem; font-size: .9rem; } tr > :first-child { max-width: 42vw; }
  .named tbody th { min-width: 6.5rem; } .bar { min-width: 2.5rem; } }
@media print {
  :root { color-scheme: light; --shade: transparent; --ink: #000; --quiet: #333; } @page { margin: 14mm; }
  body { font-size: 10.5pt; } main { max-width: none; padding: 0; } .charts { grid-template-columns: 1fr 1fr; }
  h1, h2, .lead, figcaption { break-after: avoid; } h2 + p { break-after: avoid; } figure, tr, pre { break-inside: avoid; }
  pre.long { break-inside: auto; } .wide { overflow: visible; break-inside: avoid; background: none; }
  .wide.long { break-inside: auto; } th, td { white-space: normal; font-size: 8pt; padding: .15rem .3rem; }
  .many th, .many td { font-size: 6.5pt; padding: .1rem .15rem; } .heat th, .heat td { min-width: 0; padding: .15rem; }
  .named tbody th, .text td:last-child { min-width: 0; } th { overflow-wrap: anywhere !important; }
  svg, mark, .heat td, .swatch, pre.shaded span { -webkit-print-color-adjust: exact; print-color-adjust: exact; } }
)css";

// No script and no network, whatever a name or a text in the page may hold; the icon keeps browsers from asking for
// one.
constexpr const char* kHead =
    "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">"
    "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
    "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'; "
    "img-src data:\">\n<link rel=\"icon\" href=\"data:,\">\n";

constexpr size_t kLongestNumber = 12;   // characters
constexpr size_t kColumnsOfASheet = 9;  // more are printed smaller

// Longer than this, a table or a text may be cut between two pages of print.
constexpr size_t kRowsOnOnePage = 30;

/// Columns that a UTF-8 text takes in a terminal, near enough: one per character.
size_t columns(const std::string& text) {
  return static_cast<size_t>(std::count_if(text.begin(), text.end(), [](char c) { return (c & 0xC0) != 0x80; }));
}

}  // namespace

std::string escape_html(const std::string& text) {
  std::string out;
  out.reserve(text.size());
  for (std::string_view rest = text; !rest.empty();) {
    const size_t size = text::letter_size(rest);
    const std::string_view letter = rest.substr(0, std::max<size_t>(1, size));
    rest.remove_prefix(letter.size());
    // A model may generate any bytes; a page must be UTF-8.
    if (size == 0) {
      out += "\xEF\xBF\xBD";
      continue;
    }
    switch (letter.front()) {
      case '&': out += "&amp;"; break;
      case '<': out += "&lt;"; break;
      case '>': out += "&gt;"; break;
      case '"': out += "&quot;"; break;
      case '\'': out += "&#39;"; break;
      default: out += text::visible(letter);
    }
  }
  return out;
}

std::string to_text(const Table& table) {
  std::vector<size_t> widths;
  const auto measure = [&](const std::vector<std::string>& row) {
    widths.resize(std::max(widths.size(), row.size()));
    for (size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], columns(row[i]));
  };
  measure(table.header);
  for (const auto& row : table.rows) measure(row);

  std::string out;
  const auto append = [&](const std::vector<std::string>& row) {
    for (size_t i = 0; i < row.size(); ++i) {
      const std::string padding(widths[i] - columns(row[i]), ' ');
      const bool left = i == 0 || table.of_text;
      const bool last = i + 1 == row.size();
      out += (i == 0 ? "" : "  ") + (left ? row[i] + (last ? "" : padding) : padding + row[i]);
    }
    out += '\n';
  };
  append(table.header);
  for (size_t i = 0; i < widths.size(); ++i) out += (i == 0 ? "" : "  ") + std::string(widths[i], '-');
  out += '\n';
  for (const auto& row : table.rows) append(row);
  return out;
}

std::string scrolling(const std::string& fragment, const std::string& name, bool is_long) {
  return std::string("<div class='wide") + (is_long ? " long" : "") + "' role='region' tabindex='0' aria-label='" +
         escape_html(name) + "'>" + fragment + "</div>\n";
}

std::string to_html(const Table& table, const std::string& name) {
  // Where the first column's cells are words they may take several lines; numbers stay in one.
  const bool words = std::any_of(table.rows.begin(), table.rows.end(),
                                 [](const auto& row) { return !row.empty() && row.front().size() > kLongestNumber; });
  std::string kind = table.of_text ? "text" : words ? "named" : "plain";
  if (table.header.size() > kColumnsOfASheet) kind += " many";
  std::string html = "<table class='" + kind + "'><thead><tr>";
  for (const auto& text : table.header)
    html += text.empty() ? "<td></td>" : "<th scope='col'>" + escape_html(text) + "</th>";
  html += std::string(table.bars.empty() ? "" : "<td></td>") + "</tr></thead><tbody>\n";
  for (size_t r = 0; r < table.rows.size(); ++r) {
    const auto& row = table.rows[r];
    html += "<tr>";
    for (size_t i = 0; i < row.size(); ++i)
      html += (i == 0 ? "<th scope='row'>" : "<td>") + escape_html(row[i]) + (i == 0 ? "</th>" : "</td>");
    if (r < table.bars.size())
      html += "<td class='bar'><i class='c0' style='width:" +
              coordinate(100 * (table.bars[r] > 0 ? std::min(table.bars[r], 1.0) : 0)) + "%'></i></td>";
    html += "</tr>\n";
  }
  const bool is_long = table.rows.size() > kRowsOnOnePage;
  return scrolling(html + "</tbody></table>", name, is_long);
}

HtmlPage::HtmlPage(std::string title) : title_(std::move(title)), section_(title_) {}

void HtmlPage::lead(const std::string& text) { body_ += "<p class='lead'>" + escape_html(text) + "</p>\n"; }

void HtmlPage::heading(const std::string& text) {
  section_ = text;
  body_ += "<h2>" + escape_html(text) + "</h2>\n";
}

void HtmlPage::paragraph(const std::string& text) { body_ += "<p>" + escape_html(text) + "</p>\n"; }

void HtmlPage::preformatted(const std::string& text) {
  const bool is_long = std::count(text.begin(), text.end(), '\n') > static_cast<std::ptrdiff_t>(kRowsOnOnePage);
  body_ +=
      std::string("<pre") + (is_long ? " class='long'" : "") + ">\n" + escape_html(text::visible(text)) + "</pre>\n";
}

void HtmlPage::table(const Table& table, const std::string& name) {
  body_ += to_html(table, name.empty() ? section_ : name);
}

void HtmlPage::chart(const LineChart& chart) { body_ += to_figure(chart); }

void HtmlPage::html(const std::string& fragment) { body_ += fragment; }

void HtmlPage::charts(const std::vector<LineChart>& charts) {
  std::string figures;
  for (const auto& chart : charts) {
    if (!chart.series.empty()) figures += to_figure(chart);
  }
  if (!figures.empty()) body_ += "<div class='charts'>\n" + figures + "</div>\n";
}

std::string HtmlPage::to_string() const {
  const std::string title = escape_html(title_);
  return kHead + ("<title>" + title + "</title>\n<style>") + kStyle + chart_style() + heat_style() +
         "</style></head>\n<body><main>\n<h1>" + title + "</h1>\n" + body_ + "</main></body></html>\n";
}

void HtmlPage::write(const std::filesystem::path& path) const { io::write_file(path, to_string()); }

}  // namespace lighthouse::report
