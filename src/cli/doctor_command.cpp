#include <CLI/CLI.hpp>
#include <iostream>
#include <memory>

#include "analysis/doctor.h"
#include "cli/commands.h"
#include "cli/stop_signal.h"
#include "report/html_page.h"

namespace lighthouse::cli {
namespace {

void print_findings() {
  const auto findings = analysis::examine();
  report::Table table{{"", "", "found"}, {}, /*of_text=*/true};
  std::string advice;
  bool problem = false;
  for (const auto& finding : findings) {
    const char* const mark = finding.verdict == analysis::Verdict::kFine      ? "ok"
                             : finding.verdict == analysis::Verdict::kWarning ? "look"
                                                                              : "PROBLEM";
    table.rows.push_back({mark, finding.subject, finding.found});
    if (!finding.advice.empty()) advice += "\n" + std::string(mark) + ", " + finding.subject + ": " + finding.advice;
    problem |= finding.verdict == analysis::Verdict::kProblem;
  }
  std::cout << report::to_text(table) << (advice.empty() ? "\nNothing to do." : advice) << "\n";
  if (problem) throw ExitWith{1};
}

}  // namespace

void add_doctor_command(CLI::App& program) {
  CLI::App* command = program.add_subcommand(
      "doctor",
      "Print versions, devices, back ends and instruction sets, try the layer, and say what does not match and what "
      "to\n"
      "do about it. The exit status is 1 where something is wrong. Worth pasting into a bug report.");
  command->footer("Example:\n  lighthouse doctor");
  command->callback([] { print_findings(); });
}

}  // namespace lighthouse::cli
