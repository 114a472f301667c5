#include "report/html_page.h"

#include <algorithm>

#include "io/atomic_file.h"

namespace lighthouse::report {
namespace {

constexpr const char* kStyle = R"css(
:root { color-scheme: light; }
body { font: 16px/1.5 system-ui, -apple-system, "Segoe UI", sans-serif; color: #1c2733; background: #fff;
       max-width: 1120px; margin: 2rem auto; padding: 0 1.25rem; }
h1 { font-size: 1.7rem; margin: 0 0 .25rem; } h2 { font-size: 1.2rem; margin: 2rem 0 .5rem; }
h3 { font-size: 1rem; margin: 0 0 .25rem; font-weight: 600; }
p { max-width: 46rem; margin: .5rem 0; }
.charts { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(480px, 100%), 1fr)); gap: 1.5rem; }
figure { margin: 1rem 0; break-inside: avoid; }
svg.chart { width: 100%; height: auto; }
figcaption { font-size: .9rem; color: #333; } .key { margin-right: 1.1rem; white-space: nowrap; } .key svg { margin-right: .35rem; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; margin: .5rem 0; }
th, td { padding: .35rem .6rem; text-align: right; border-bottom: 1px solid #e4e8ec; white-space: nowrap; }
th:first-child, td:first-child, .text th, .text td { text-align: left; } thead th { border-bottom: 2px solid #6b7783; font-weight: 600; }
pre { background: #f5f7f9; padding: .8rem 1rem; overflow-x: auto; font-size: .85rem; white-space: pre-wrap; }
.matrices { display: flex; flex-wrap: wrap; gap: .5rem 2.5rem; } .legend { max-width: none; font-size: .9rem; color: #333; }
pre.shaded { background: #fff; border: 1px solid #e4e8ec; line-height: 1.55; overflow-wrap: anywhere; }
.passages code { white-space: pre; font-size: .8rem; color: #4a5560; } .passages td { padding: .2rem .8rem; }
mark { background: #b6d1e8; color: #1c2733; }
pre.shaded span, mark, svg { -webkit-print-color-adjust: exact; print-color-adjust: exact; }
@media print { th, td { padding: .2rem .4rem; font-size: 9pt; white-space: normal; } .passages code { font-size: 7.5pt; } }
@media print { body { max-width: none; margin: 0; font-size: 11pt; } .charts { grid-template-columns: 1fr 1fr; } }
)css";

/// Columns that a UTF-8 text takes in a terminal, near enough: one per character.
size_t columns(const std::string& text) {
  return static_cast<size_t>(std::count_if(text.begin(), text.end(), [](char c) { return (c & 0xC0) != 0x80; }));
}

}  // namespace

size_t utf8_length(const std::string& text, size_t at) {
  const auto byte = [&](size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char first = byte(at);
  const size_t length = first < 0x80                    ? 1
                        : first >= 0xC2 && first < 0xE0 ? 2
                        : (first & 0xF0) == 0xE0        ? 3
                        : first >= 0xF0 && first < 0xF5 ? 4
                                                        : 0;
  if (length == 0 || at + length > text.size()) return 0;
  for (size_t i = at + 1; i < at + length; ++i) {
    if ((byte(i) & 0xC0) != 0x80) return 0;
  }
  return length;
}

std::string escape_html(const std::string& text) {
  std::string out;
  out.reserve(text.size());
  for (size_t at = 0; at < text.size(); ++at) {
    // A model may generate any bytes; a page must be UTF-8.
    const size_t length = utf8_length(text, at);
    if (length == 0) out += "\xEF\xBF\xBD";
    if (length > 1) {
      out += text.substr(at, length);
      at += length - 1;
    }
    if (length != 1) continue;
    const char c = text[at];
    switch (c) {
      case '&': out += "&amp;"; break;
      case '<': out += "&lt;"; break;
      case '>': out += "&gt;"; break;
      case '"': out += "&quot;"; break;
      case '\'': out += "&#39;"; break;
      default: out += c;
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

HtmlPage::HtmlPage(std::string title) : title_(std::move(title)) {}

void HtmlPage::heading(const std::string& text) { body_ += "<h2>" + escape_html(text) + "</h2>\n"; }

void HtmlPage::paragraph(const std::string& text) { body_ += "<p>" + escape_html(text) + "</p>\n"; }

void HtmlPage::preformatted(const std::string& text) { body_ += "<pre>" + escape_html(text) + "</pre>\n"; }

void HtmlPage::table(const Table& table) {
  const auto append = [&](const std::vector<std::string>& row, const char* cell) {
    body_ += "<tr>";
    for (const auto& text : row) body_ += std::string("<") + cell + ">" + escape_html(text) + "</" + cell + ">";
    body_ += "</tr>\n";
  };
  body_ += std::string("<div class='wide'><table") + (table.of_text ? " class='text'" : "") + "><thead>";
  append(table.header, "th");
  body_ += "</thead><tbody>\n";
  for (const auto& row : table.rows) append(row, "td");
  body_ += "</tbody></table></div>\n";
}

void HtmlPage::chart(const LineChart& chart) { body_ += to_svg(chart); }

void HtmlPage::html(const std::string& fragment) { body_ += fragment; }

void HtmlPage::charts(const std::vector<LineChart>& charts) {
  body_ += "<div class='charts'>\n";
  for (const auto& chart : charts) body_ += to_svg(chart);
  body_ += "</div>\n";
}

std::string HtmlPage::to_string() const {
  const std::string title = escape_html(title_);
  return "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">"
         "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>" +
         title + "</title>\n<style>" + kStyle + chart_style() + "</style></head>\n<body>\n<h1>" + title + "</h1>\n" +
         body_ + "</body></html>\n";
}

void HtmlPage::write(const std::filesystem::path& path) const { io::write_file(path, to_string()); }

}  // namespace lighthouse::report
