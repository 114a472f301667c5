#include "report/passages.h"

#include "report/html_page.h"

namespace lighthouse::report {

std::string to_html(const std::vector<std::string>& header, const std::vector<Passage>& passages) {
  std::string html = "<div class='wide'><table class='passages'><thead><tr><th>text</th>";
  for (const auto& name : header) html += "<th>" + escape_html(name) + "</th>";
  html += "</tr></thead><tbody>\n";
  for (const auto& passage : passages) {
    html += "<tr><td><code>" + escape_html(passage.before) + "<mark>" + escape_html(passage.inside) + "</mark>" +
            escape_html(passage.after) + "</code></td>";
    for (const auto& figure : passage.figures) html += "<td>" + escape_html(figure) + "</td>";
    html += "</tr>\n";
  }
  return html + "</tbody></table></div>\n";
}

}  // namespace lighthouse::report
