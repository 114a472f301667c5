#include "report/passages.h"

#include "report/html_page.h"

namespace lighthouse::report {

std::string to_html(const std::string& name, const std::vector<std::string>& header,
                    const std::vector<Passage>& passages) {
  std::string html = "<table class='text'><thead><tr>";
  for (const auto& figure : header) html += "<th scope='col'>" + escape_html(figure) + "</th>";
  html += "<th scope='col'>text</th></tr></thead><tbody>\n";
  for (const auto& passage : passages) {
    html += "<tr>";
    for (size_t i = 0; i < passage.figures.size(); ++i)
      html += (i == 0 ? "<th scope='row'>" : "<td class='figure'>") + escape_html(passage.figures[i]) +
              (i == 0 ? "</th>" : "</td>");
    html += "<td><code>" + escape_html(passage.before) + "<mark>" + escape_html(passage.inside) + "</mark>" +
            escape_html(passage.after) + "</code></td></tr>\n";
  }
  return scrolling(html + "</tbody></table>", name);
}

}  // namespace lighthouse::report
