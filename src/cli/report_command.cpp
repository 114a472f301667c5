#include <CLI/CLI.hpp>
#include <algorithm>
#include <filesystem>
#include <iostream>
#include <memory>
#include <set>
#include <stdexcept>
#include <string_view>

#include "cli/commands.h"
#include "cli/run_report.h"
#include "report/shaded_text.h"
#include "text/utf8.h"

namespace lighthouse::cli {
namespace {

namespace fs = std::filesystem;

struct ReportArguments {
  std::vector<std::string> runs;
  std::string html;
};

/// The shortest ends of the folders' paths that tell the runs apart.
std::vector<std::string> names_of(const std::vector<std::string>& folders) {
  for (int depth = 1; depth < 20; ++depth) {
    std::vector<std::string> names;
    for (const auto& folder : folders) {
      fs::path path = fs::absolute(folder).lexically_normal();
      if (!path.has_filename()) path = path.parent_path();
      fs::path name = path.filename();
      for (int i = 1; i < depth && path.has_relative_path(); ++i) {
        path = path.parent_path();
        name = path.filename() / name;
      }
      names.push_back(name.string());
    }
    if (std::set<std::string>(names.begin(), names.end()).size() == names.size()) return names;
  }
  return folders;
}

ReportedRun read_run(const std::string& folder, const std::string& name) {
  if (!fs::exists(fs::path(folder) / "metrics.jsonl")) {
    throw std::runtime_error(folder + " is not a run's folder: expected config.toml and metrics.jsonl in it");
  }
  ReportedRun run{name, train::load_config(fs::path(folder) / "config.toml"),
                  train::read_metrics(fs::path(folder) / "metrics.jsonl")};
  if (run.metrics.steps.empty()) throw std::runtime_error(folder + " holds no step yet; report it once it has run");
  return run;
}

/// A name for legends and columns: printable, and the middle of a long one left out.
std::string shown_name(const std::string& name) {
  constexpr size_t kLongest = 64;  // letters
  std::vector<std::string_view> letters;
  for (std::string_view rest = name; !rest.empty(); rest.remove_prefix(letters.back().size()))
    letters.push_back(rest.substr(0, std::max<size_t>(1, text::letter_size(rest))));
  if (letters.size() <= kLongest) return report::escape_bytes(name, /*utf8=*/true);
  const auto joined = [&](size_t begin, size_t end) {
    std::string part;
    for (size_t i = begin; i < end; ++i) part += letters[i];
    return report::escape_bytes(part, /*utf8=*/true);
  };
  return joined(0, kLongest / 2) + "…" + joined(letters.size() - kLongest / 2, letters.size());
}

/// Of the runs' names. Where they would be the same without their middles, whole.
std::vector<std::string> shown_names(const std::vector<std::string>& names) {
  std::vector<std::string> shown;
  for (const auto& name : names) shown.push_back(shown_name(name));
  if (std::set<std::string>(shown.begin(), shown.end()).size() == names.size()) return shown;
  shown.clear();
  for (const auto& name : names) shown.push_back(report::escape_bytes(name, /*utf8=*/true));
  return shown;
}

/// A few names, and how many more.
std::string title_of(const std::vector<std::string>& names) {
  constexpr size_t kNamed = 3;
  std::string title = names.size() > 1 ? "Training runs: " : "Training run: ";
  for (size_t i = 0; i < std::min(names.size(), kNamed); ++i) title += (i == 0 ? "" : ", ") + names[i];
  return names.size() > kNamed ? title + " and " + std::to_string(names.size() - kNamed) + " more" : title;
}

void write_report(const ReportArguments& arguments) {
  std::set<fs::path> different;
  for (const auto& folder : arguments.runs) {
    // "runs/a" and "runs/a/" are one folder.
    if (!different.insert(fs::weakly_canonical(fs::path(folder) / ".")).second)
      throw std::runtime_error("a run is named twice: " + folder);
  }
  const auto names = shown_names(names_of(arguments.runs));
  std::vector<ReportedRun> runs;
  for (size_t i = 0; i < names.size(); ++i) runs.push_back(read_run(arguments.runs[i], names[i]));

  report::HtmlPage page(title_of(names));
  add_runs(page, runs);
  page.heading(runs.size() > 1 ? "Configurations" : "Configuration");
  for (size_t i = 0; i < runs.size(); ++i) {
    if (runs.size() > 1) page.paragraph(arguments.runs[i]);
    page.preformatted(train::to_toml(runs[i].config));
  }
  const fs::path path = !arguments.html.empty() ? fs::path(arguments.html)
                        : runs.size() == 1      ? fs::path(arguments.runs.front()) / "report.html"
                                                : fs::path("report.html");
  page.write(path);
  for (const auto& sentence : result_sentences(runs)) std::cout << sentence << "\n";
  std::cout << "\n" << report::to_text(stage_table(runs)) << "\n";
  for (const auto& note : skipped_notes(runs)) std::cout << note << "\n";
  if (runs.size() > 1) std::cout << report::to_text(comparison_table(runs)) << "\n";
  std::cout << "Curves: " << path.string() << "\n";
}

}  // namespace

void add_report_command(CLI::App& program) {
  auto arguments = std::make_shared<ReportArguments>();
  CLI::App* command = program.add_subcommand(
      "report",
      "Show training runs, one or several over each other: tables here, curves on a page.\n\n"
      "The page has no script and needs no network: the result in a sentence, loss over time and over tokens with the "
      "switch\n"
      "between stages, speed, share of the sequence that attention sees, learning rate, tables and configurations. "
      "Runs "
      "that\n"
      "still train can be shown too.");
  command->footer(
      "Examples:\n"
      "  lighthouse report runs/example-cpu\n"
      "  lighthouse report runs/demo/dense runs/demo/lighthouse --html comparison.html");
  command->add_option("runs", arguments->runs, "Folders of runs")->required()->type_name("RUN...");
  command
      ->add_option("--html", arguments->html,
                   "The page (default: report.html, in the run's folder where there is one run)")
      ->type_name("FILE");
  command->callback([arguments] { write_report(*arguments); });
}

}  // namespace lighthouse::cli
