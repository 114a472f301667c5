#include <ATen/Parallel.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <iostream>
#include <memory>
#include <optional>

#include "analysis/benchmark.h"
#include "cli/bench_charts.h"
#include "cli/bench_report.h"
#include "cli/commands.h"
#include "cli/progress.h"
#include "io/atomic_file.h"

namespace lighthouse::cli {
namespace {

struct BenchArguments {
  std::vector<int64_t> lengths = {4096, 8192, 16384, 32768, 65536};
  std::vector<int64_t> num_levels = {3};
  std::vector<int64_t> pooling_factors = {4};
  std::vector<int64_t> top_ks;
  analysis::BenchmarkSetting setting;
  std::optional<int64_t> kv_heads;
  std::string dtype = "float32";
  bool no_dense = false;
  std::optional<int> threads;
  std::string json;
  std::string html;
  std::string svg;
};

/// What runs, and the time left: rewritten in place on a terminal, a line per length elsewhere.
class BenchProgress {
 public:
  BenchProgress(const analysis::BenchmarkSetting& setting, const analysis::Plan& plan)
      : setting_(setting), plan_(plan), terminal_(isatty(STDERR_FILENO) == 1) {}

  void activity(const std::string& what) {
    if (!terminal_) return;
    std::fprintf(stderr, "\r\033[KN=%lld: %s | %s", static_cast<long long>(plan_.lengths[index_].num_tokens),
                 what.c_str(), clocks().c_str());
    std::fflush(stderr);
  }

  void finished(const analysis::LengthResult& result) {
    measured_ = result;
    index_ += 1;
    length_started_ = Clock::now();
    const double layer = result.layers.front().layer.forward_backward_ms;
    std::fprintf(stderr, "%sN=%lld: Lighthouse %.1f ms", terminal_ ? "\r\033[K" : "",
                 static_cast<long long>(result.num_tokens), layer);
    if (result.dense) std::fprintf(stderr, ", dense %.1f ms", result.dense->times.forward_backward_ms);
    std::fprintf(stderr, " | %s\n", clocks().c_str());
  }

 private:
  using Clock = std::chrono::steady_clock;

  static double seconds_since(Clock::time_point begin) {
    return std::chrono::duration<double>(Clock::now() - begin).count();
  }

  std::string clocks() const {
    std::string text = clock_text(seconds_since(started_)) + " gone";
    if (!measured_) return text + ", time left not known before the first length is done";
    double left = 0;
    for (size_t i = index_; i < plan_.lengths.size(); ++i) {
      const double expected = expected_seconds(setting_, plan_.lengths[i], *measured_);
      left += i == index_ ? std::max(0.0, expected - seconds_since(length_started_)) : expected;
    }
    return text + ", about " + clock_text(left) + " left";
  }

  const analysis::BenchmarkSetting& setting_;
  const analysis::Plan& plan_;
  bool terminal_;
  size_t index_ = 0;
  std::optional<analysis::LengthResult> measured_;
  Clock::time_point started_ = Clock::now();
  Clock::time_point length_started_ = started_;
};

std::vector<analysis::Variant> variants_of(const BenchArguments& arguments) {
  std::vector<std::optional<int64_t>> top_ks(arguments.top_ks.begin(), arguments.top_ks.end());
  if (top_ks.empty()) top_ks.emplace_back();
  std::vector<analysis::Variant> variants;
  for (const int64_t num_levels : arguments.num_levels) {
    for (const int64_t pooling_factor : arguments.pooling_factors) {
      for (const auto& top_k : top_ks) variants.push_back({num_levels, pooling_factor, top_k});
    }
  }
  return variants;
}

/// Minutes of measuring are not to be lost to a misspelt folder.
void check_folder_of(const std::string& option, const std::string& file) {
  if (file.empty()) return;
  const auto folder = std::filesystem::absolute(file).parent_path();
  if (!std::filesystem::is_directory(folder)) {
    throw std::runtime_error(option + " must name a file in a folder that exists; got " + file);
  }
}

void print(const BenchReport& report) {
  std::cout << bench_setting_text(report) << "\n\n" << report::to_text(bench_table(report)) << "\n";
  std::cout << bench_legend_text(report) << "\n";
  std::cout << "\n" << report::to_text(bench_stage_table(report)) << "\n" << bench_stage_legend_text() << std::endl;
}

void run_bench(const BenchArguments& arguments) {
  BenchReport report{.provenance = {}, .setting = arguments.setting, .skipped = {}, .lengths = {}};
  report.setting.kv_heads = arguments.kv_heads.value_or(report.setting.heads);
  report.setting.dtype = analysis::dtype_of(arguments.dtype);
  report.setting.dense = !arguments.no_dense;
  if (arguments.threads && *arguments.threads < 1) {
    throw std::invalid_argument("threads must be at least 1; got " + std::to_string(*arguments.threads));
  }
  const analysis::Plan plan = make_plan(report.setting, arguments.lengths, variants_of(arguments));
  check_folder_of("--json", arguments.json);
  check_folder_of("--html", arguments.html);
  check_folder_of("--svg", arguments.svg);
  if (arguments.threads) at::set_num_threads(*arguments.threads);
  report.provenance = analysis::read_provenance();
  report.skipped = plan.skipped;
  for (const auto& sentence : plan.skipped) std::cerr << sentence << "\n";

  BenchProgress progress(report.setting, plan);
  for (const auto& length : plan.lengths) {
    report.lengths.push_back(
        measure(report.setting, length, [&](const std::string& what) { progress.activity(what); }));
    progress.finished(report.lengths.back());
  }
  // Files first: whoever reads the tables may have left (| head).
  if (!arguments.json.empty()) io::write_file(arguments.json, bench_json(report));
  if (!arguments.html.empty()) write_bench_page(arguments.html, report);
  if (!arguments.svg.empty()) io::write_file(arguments.svg, report::to_standalone_svg(bench_figure(report)));
  print(report);
}

void add_layer_options(CLI::App& command, BenchArguments& arguments) {
  auto& setting = arguments.setting;
  command.add_option("--n", arguments.lengths, "Sequence lengths")->capture_default_str();
  command.add_option("--num-levels", arguments.num_levels, "Levels of the pyramid, L")->capture_default_str();
  command.add_option("--pooling-factor", arguments.pooling_factors, "Pooling factors, p")->capture_default_str();
  command.add_option("--top-k", arguments.top_ks, "Windows expanded per level, k: even. Default: N/64");
  command.add_option("--batch", setting.batch, "Sequences, B")->capture_default_str();
  command.add_option("--heads", setting.heads, "Query heads, H")->capture_default_str();
  command.add_option("--kv-heads", arguments.kv_heads, "Key/value heads, K: divides H. Default: as many");
  command.add_option("--head-dim", setting.head_dim, "Width of a head, D")->capture_default_str();
  command.add_option("--dtype", arguments.dtype, "float32 or bfloat16")->capture_default_str();
  command.add_flag("--causal-selection", setting.causal_selection, "Locally causal selection, not the paper's rule");
}

}  // namespace

void add_bench_command(CLI::App& program) {
  auto arguments = std::make_shared<BenchArguments>();
  CLI::App* command = program.add_subcommand(
      "bench",
      "Time a Lighthouse layer beside dense attention, its inner attention call, and the floors of its stages.\n\n"
      "Every combination of lengths, levels, pooling factors and budgets is a case. Dense and Lighthouse iterations "
      "take\n"
      "turns in one run, so that ratios hold on a machine that is not quiet. The default takes some minutes on two "
      "cores;\n"
      "most of it is dense attention at the longest length.");
  command->footer(
      "Examples:\n"
      "  lighthouse bench\n"
      "  lighthouse bench --n 4096 16384 --json results.json --html results.html --svg figure.svg\n"
      "  lighthouse bench --n 65536 --top-k 512 1024 2048 --no-dense\n"
      "  lighthouse bench --n 16384 --heads 32 --kv-heads 8 --head-dim 128 --dtype bfloat16 --causal-selection");
  add_layer_options(*command, *arguments);
  command
      ->add_option("--repeats", arguments->setting.repeats,
                   "Timed iterations; fewer of dense attention where it is slow")
      ->capture_default_str();
  command->add_flag("--no-dense", arguments->no_dense, "Leave dense attention out: an iteration takes a minute at 64K");
  command->add_option("--threads", arguments->threads, "Threads to compute with. Default: torch's choice");
  command->add_option("--json", arguments->json, "Write every figure to this file");
  command->add_option("--html", arguments->html, "Write a page with tables and charts to this file");
  command->add_option("--svg", arguments->svg, "Write the figure of times over N to this file");
  command->callback([arguments] { run_bench(*arguments); });
}

}  // namespace lighthouse::cli
