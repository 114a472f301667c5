#include "cli/demo_page.h"

namespace lighthouse::cli {

void write_demo_page(const std::filesystem::path& path, const std::vector<ReportedRun>& runs,
                     const std::string& setting, const std::string& sample) {
  report::HtmlPage page("The demo: a small model, trained dense and with Lighthouse");
  add_runs(page, runs);
  page.heading("A few lines from the recovered model, under dense attention");
  page.preformatted(sample);
  page.heading("What was trained");
  page.paragraph(setting);
  page.paragraph(
      "Few tokens were trained on: these curves show speed and how the switch goes, not where long training ends.");
  page.write(path);
}

}  // namespace lighthouse::cli
