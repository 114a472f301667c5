#include <ATen/Parallel.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <memory>
#include <optional>

#include "analysis/benchmark.h"
#include "analysis/cuda_benchmark.h"
#include "analysis/cuda_device.h"
#include "cli/bench_charts.h"
#include "cli/bench_json.h"
#include "cli/bench_report.h"
#include "cli/commands.h"
#include "cli/cuda_bench_command.h"
#include "cli/cuda_bench_report.h"
#include "cli/number_option.h"
#include "cli/number_text.h"
#include "cli/output_file.h"
#include "cli/status_line.h"
#include "cli/train_bench_command.h"
#include "io/atomic_file.h"
#include "io/json.h"
#include "text/number_text.h"
#include "train/memory_estimate.h"

namespace lighthouse::cli {
namespace {

const std::vector<int64_t> kCpuLengths = {4096, 8192, 16384, 32768, 65536};
constexpr int64_t kMostHeads = 65536;  // and sequences, and width
constexpr int64_t kMostRepeats = 1'000'000;
const std::vector<int64_t> kCudaLengths = {16384, 32768, 65536, 98304, 131072, 262144, 524288};

struct BenchArguments {
  std::string device;  // empty: CUDA where there is one
  std::vector<int64_t> lengths;
  std::vector<int64_t> num_levels = {3};
  std::vector<int64_t> pooling_factors = {4};
  std::vector<int64_t> top_ks;
  analysis::BenchmarkSetting setting;
  // Without a value: by the device.
  std::optional<int64_t> heads;
  std::optional<int64_t> kv_heads;
  std::optional<int64_t> head_dim;
  std::optional<std::string> dtype;
  std::optional<std::string> rule;
  std::string layout = "bhnd";
  bool extras = false;
  bool no_extras = false;
  bool no_dense = false;
  std::optional<int> threads;
  std::string json;
  std::string html;
  std::string svg;
  std::string from;
  TrainBenchArguments train;  // where a configuration is given
};

/// What runs, and the time left: rewritten in place on a terminal, a line per length elsewhere.
class BenchProgress {
 public:
  BenchProgress(const analysis::BenchmarkSetting& setting, const analysis::Plan& plan)
      : setting_(setting), plan_(plan) {}

  void activity(const std::string& what) {
    if (!line_.on_terminal()) return;
    line_.show("N=" + std::to_string(plan_.lengths[index_].num_tokens) + ": " + what + " | " + clocks());
  }

  void finished(const analysis::LengthResult& result) {
    measured_ = result;
    index_ += 1;
    length_started_ = Clock::now();
    const double layer = result.layers.front().layer.forward_backward_ms;
    line_.print("N=" + std::to_string(result.num_tokens) + number(": Lighthouse %.1f ms", layer) +
                (result.dense ? number(", dense %.1f ms", result.dense->times.forward_backward_ms) : "") + " | " +
                clocks());
  }

 private:
  using Clock = std::chrono::steady_clock;

  static double seconds_since(Clock::time_point begin) {
    return std::chrono::duration<double>(Clock::now() - begin).count();
  }

  std::string clocks() const {
    const std::string gone = text::clock_text(seconds_since(started_)) + " gone";
    if (!measured_) return gone + ", time left not known before the first length is done";
    double left = 0;
    for (size_t i = index_; i < plan_.lengths.size(); ++i) {
      const double expected = expected_seconds(setting_, plan_.lengths[i], *measured_);
      left += i == index_ ? std::max(0.0, expected - seconds_since(length_started_)) : expected;
    }
    return gone + ", about " + text::clock_text(left) + " left";
  }

  const analysis::BenchmarkSetting& setting_;
  const analysis::Plan& plan_;
  StatusLine line_;
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

void print(const BenchReport& report) {
  std::cout << bench_setting_text(report) << "\n\n" << report::to_text(bench_table(report)) << "\n";
  std::cout << bench_legend_text(report) << "\n";
  std::cout << "\n" << report::to_text(bench_stage_table(report)) << "\n" << bench_stage_legend_text() << std::endl;
}

void write_and_print(const BenchArguments& arguments, const BenchReport& report) {
  // Files first: whoever reads the tables may have left (| head).
  if (!arguments.json.empty()) io::write_file(arguments.json, bench_json(report));
  if (!arguments.html.empty()) write_bench_page(arguments.html, report);
  if (!arguments.svg.empty()) io::write_file(arguments.svg, report::to_standalone_svg(bench_figure(report)));
  print(report);
}

void write_and_print(const BenchArguments& arguments, const CudaBenchReport& report) {
  if (!arguments.json.empty()) io::write_file(arguments.json, cuda_json(report));
  if (!arguments.html.empty()) write_cuda_page(arguments.html, report);
  if (!arguments.svg.empty()) write_cuda_figures(arguments.svg, report);
  std::cout << cuda_text(report) << std::flush;
}

/// Whether to measure on CUDA.
bool chooses_cuda(const BenchArguments& arguments) {
  if (arguments.device == "cpu") return false;
  if (arguments.device.empty()) return analysis::cuda_usable();
  const std::string reason = analysis::why_no_cuda();
  if (!reason.empty()) throw std::runtime_error("--device cuda: " + reason + ". --device cpu measures on the CPU.");
  return true;
}

/// The selection rules to measure, causal or not.
std::vector<bool> rules_of(const BenchArguments& arguments) {
  const std::string rule = arguments.rule.value_or(arguments.setting.causal_selection ? "causal" : "paper");
  if (rule == "paper" && arguments.setting.causal_selection) {
    throw std::invalid_argument("--causal-selection and --rule must agree; got --rule paper");
  }
  if (rule == "both") return {false, true};
  return {rule == "causal"};
}

std::vector<analysis::Layout> layouts_of(const std::string& layout) {
  if (layout == "both") return {analysis::Layout::kBhnd, analysis::Layout::kBnhd};
  return {layout == "bnhd" ? analysis::Layout::kBnhd : analysis::Layout::kBhnd};
}

analysis::BenchmarkSetting setting_of(const BenchArguments& arguments, bool cuda) {
  analysis::BenchmarkSetting setting = arguments.setting;
  setting.heads = arguments.heads.value_or(cuda ? 8 : 4);
  setting.kv_heads = arguments.kv_heads.value_or(setting.heads);
  setting.head_dim = arguments.head_dim.value_or(cuda ? 128 : 64);
  setting.dtype = analysis::dtype_of(arguments.dtype.value_or(cuda ? "bfloat16" : "float32"), cuda);
  setting.dense = !arguments.no_dense;
  return setting;
}

/// Refuses inputs that no such machine holds: a system that runs out of memory ends the program without a word.
void expect_inputs_fit(const analysis::BenchmarkSetting& setting, const std::vector<int64_t>& lengths, bool cuda) {
  constexpr double kMostOfAGpu = 1e15;  // what is too much for one that is there is reported as such
  const double memory = cuda ? kMostOfAGpu : train::available_memory_bytes();
  const auto of = [](int64_t value) { return static_cast<double>(value); };
  // Query, key, value and the output, and gradients of them.
  const double of_token = 2 * of(setting.batch) * of(setting.head_dim) *
                          (2 * of(setting.heads) + 2 * of(setting.kv_heads)) *
                          static_cast<double>(c10::elementSize(setting.dtype));
  for (const int64_t n : lengths) {
    if (of_token * of(n) <= memory) continue;
    throw std::invalid_argument("--n " + std::to_string(n) + ": inputs, output and gradients need " +
                                text::bytes_text(of_token * of(n)) + "; the device has " + text::bytes_text(memory));
  }
}

void check_files(const BenchArguments& arguments) {
  check_folder_of("--json", arguments.json);
  check_folder_of("--html", arguments.html);
  check_folder_of("--svg", arguments.svg);
}

void measure_on_cpu(const BenchArguments& arguments, const analysis::Plan& plan, BenchReport report) {
  report.provenance = analysis::read_provenance();
  report.provenance.inner_kernel = inner_kernel_of(report.setting, at::kCPU);
  BenchProgress progress(report.setting, plan);
  for (const auto& length : plan.lengths) {
    report.lengths.push_back(
        measure(report.setting, length, [&](const std::string& what) { progress.activity(what); }));
    progress.finished(report.lengths.back());
  }
  write_and_print(arguments, report);
}

/// Tables and figures of a file that --json wrote.
void show_recorded(const BenchArguments& arguments) {
  std::ifstream file(arguments.from, std::ios::binary);
  const std::string text{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
  if (!file) throw std::runtime_error("cannot read " + arguments.from);
  check_files(arguments);
  std::optional<BenchReport> cpu;
  std::optional<CudaBenchReport> cuda;
  std::optional<RecordedTrainBench> training;
  try {
    const Json json = io::parse_json(text, arguments.from);
    if (json.contains("config")) {  // of --train
      if (!(arguments.json + arguments.svg).empty())
        throw std::invalid_argument("it is of --train, which has tables and a page: no --json or --svg");
      training = train_bench_from_json(json);
    } else if (json.at("device").contains("gpu")) {
      cuda = cuda_from_json(text);
    } else {
      cpu = bench_from_json(text);
    }
  } catch (const std::exception& error) {
    throw std::runtime_error("--from expects a file that lighthouse bench --json wrote; got " + arguments.from + ": " +
                             error.what());
  }
  if (cuda) write_and_print(arguments, *cuda);
  if (cpu) write_and_print(arguments, *cpu);
  if (training) show_train_bench(*training, arguments.html);
}

void run_bench(const BenchArguments& arguments) {
  if (!arguments.from.empty()) {
    show_recorded(arguments);
    return;
  }
  if (!arguments.train.config.empty()) {
    TrainBenchArguments train = arguments.train;
    train.repeats = arguments.setting.repeats;
    train.json = arguments.json;
    train.html = arguments.html;
    run_train_bench(train);
    return;
  }
  const bool cuda = chooses_cuda(arguments);
  analysis::BenchmarkSetting setting = setting_of(arguments, cuda);
  const std::vector<bool> rules = rules_of(arguments);
  const auto layouts = layouts_of(arguments.layout);
  if (!cuda) {
    if (rules.size() != 1) throw std::invalid_argument("--rule both is for --device cuda; on the CPU run it twice");
    if (arguments.layout != "bhnd") {
      throw std::invalid_argument("--layout is for --device cuda; the CPU benchmark has bhnd only");
    }
    if (arguments.extras) throw std::invalid_argument("--extras is for --device cuda");
  }
  setting.causal_selection = rules == std::vector<bool>{true};
  const bool default_lengths = arguments.lengths.empty();
  const auto& lengths = default_lengths ? (cuda ? kCudaLengths : kCpuLengths) : arguments.lengths;
  expect_inputs_fit(setting, lengths, cuda);
  const analysis::Plan plan = make_plan(setting, lengths, variants_of(arguments));
  check_files(arguments);
  if (arguments.threads) at::set_num_threads(*arguments.threads);
  for (const auto& sentence : plan.skipped) std::cerr << sentence << "\n";
  if (!cuda) {
    measure_on_cpu(arguments, plan, {.provenance = {}, .setting = setting, .skipped = plan.skipped, .lengths = {}});
    return;
  }
  CudaBenchReport report;
  report.setting = setting;
  report.skipped = plan.skipped;
  const bool extras = arguments.extras || (default_lengths && !arguments.no_extras);
  measure_cuda_report(report, cuda_cases(setting, plan, rules, layouts), extras);
  write_and_print(arguments, report);
}

CLI::Option* add_layer_options(CLI::App& command, BenchArguments& arguments) {
  auto& setting = arguments.setting;
  CLI::Option* lengths =
      command.add_option("--n", arguments.lengths, "Sequence lengths. Default: 4096 to 65536; on CUDA 16384 to 524288")
          ->transform(whole_number(1, kMostTokens));
  command.add_option("--num-levels", arguments.num_levels, "Levels of the pyramid, L")
      ->transform(whole_number(1, Geometry::kMaxLevels))
      ->capture_default_str();
  command.add_option("--pooling-factor", arguments.pooling_factors, "Pooling factors, p")
      ->transform(whole_number(2, kMostTokens))
      ->capture_default_str();
  command.add_option("--top-k", arguments.top_ks, "Windows expanded per level, k: even. Default: N/64")
      ->transform(whole_number(2, kMostTokens));
  command.add_option("--batch", setting.batch, "Sequences, B")
      ->transform(whole_number(1, kMostHeads))
      ->capture_default_str();
  command.add_option("--heads", arguments.heads, "Query heads, H. Default: 4; on CUDA 8")
      ->transform(whole_number(1, kMostHeads));
  command.add_option("--kv-heads", arguments.kv_heads, "Key/value heads, K: divides H. Default: as many")
      ->transform(whole_number(1, kMostHeads));
  command.add_option("--head-dim", arguments.head_dim, "Width of a head, D. Default: 64; on CUDA 128")
      ->transform(whole_number(1, kMostHeads));
  command
      .add_option("--dtype", arguments.dtype,
                  "float32 or bfloat16, on CUDA float16 too. Default: float32; on CUDA bfloat16")
      ->transform(one_of({"float32", "bfloat16", "float16"}));
  command.add_option("--rule", arguments.rule, "Selection: paper (default), causal, or on CUDA both")
      ->transform(one_of({"paper", "causal", "both"}));
  command.add_flag("--causal-selection", setting.causal_selection, "The same as --rule causal");
  command
      .add_option("--layout", arguments.layout,
                  "Inputs on CUDA: bhnd, contiguous [B, H, N, D]; bnhd, views of [B, N, H, D]; or both")
      ->transform(one_of({"bhnd", "bnhd", "both"}))
      ->capture_default_str();
  return lengths;
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
      "cores,\n"
      "or on a GPU; most of it is dense attention at the longest length.");
  command->footer(
      "Examples:\n"
      "  lighthouse bench\n"
      "  lighthouse bench --n 4096 16384 --json results.json --html results.html --svg figure.svg\n"
      "  lighthouse bench --n 65536 --top-k 512 1024 2048 --no-dense\n"
      "  lighthouse bench --n 16384 --heads 32 --kv-heads 8 --head-dim 128 --dtype bfloat16 --causal-selection\n"
      "  lighthouse bench --device cuda --rule both --layout both --json gpu.json\n"
      "  lighthouse bench --from gpu.json --svg figure.svg\n"
      "  lighthouse bench --train configs/paper-267m-98k.toml --json training.json");
  CLI::Option* device =
      command->add_option("--device", arguments->device, "cpu or cuda. Default: cuda where torch sees one")
          ->transform(one_of({"cpu", "cuda"}));
  CLI::Option* lengths = add_layer_options(*command, *arguments);
  command
      ->add_option("--repeats", arguments->setting.repeats,
                   "Timed iterations; fewer of dense attention where it is slow, on CUDA at most 3 from N = 262144 on")
      ->transform(whole_number(1, kMostRepeats))
      ->capture_default_str();
  command->add_flag("--no-dense", arguments->no_dense, "Leave dense attention out: an iteration takes a minute at 64K");
  // Two flags: CLI11 2.1 makes an optional<bool> false where its flag is not given.
  CLI::Option* extras = command->add_flag(
      "--extras", arguments->extras,
      "On CUDA: a CUDA graph, and 524288 tokens in deterministic mode. Default: where --n is not given");
  CLI::Option* no_extras = command->add_flag("--no-extras", arguments->no_extras, "Leave these out")->excludes(extras);
  command->add_option("--threads", arguments->threads, "Threads to compute with. Default: torch's choice")
      ->transform(whole_number(1, kMostThreads));
  command->add_option("--json", arguments->json, "Write every figure to this file");
  command->add_option("--html", arguments->html, "Write a page with tables and charts to this file");
  command->add_option("--svg", arguments->svg,
                      "Write the figure of times over N to this file; of CUDA also FILE-ratio.svg");
  command->add_option("--from", arguments->from, "Measure nothing: show what --json wrote to this file")
      ->excludes(device)
      ->excludes(lengths)
      ->excludes(extras)
      ->excludes(no_extras);
  std::vector<CLI::Option*> of_layers = command->get_options([](const CLI::Option* option) {
    const std::string name = option->get_name();
    return name != "--help" && name != "--repeats" && name != "--json" && name != "--html";
  });
  CLI::Option* train = command->add_option(
      "--train", arguments->train.config,
      "Time training by this configuration instead of a layer: tokens per second, memory, parts of a "
      "step; of the other options --set, --baseline, --repeats, --json and --html apply");
  for (CLI::Option* option : of_layers) train->excludes(option);
  command->add_option("--set", arguments->train.overrides, "With --train: override a key of the configuration")
      ->type_name("KEY=VALUE")
      ->allow_extra_args(false)
      ->needs(train);
  command
      ->add_option("--baseline", arguments->train.baseline,
                   "With --train: tokens per second of another dense run, to compare the schedule with")
      ->transform(real_number_above(0, 1e15))
      ->needs(train);
  command->callback([arguments] { run_bench(*arguments); });
}

}  // namespace lighthouse::cli
