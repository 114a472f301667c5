#include "cli/train_bench_command.h"

#include <cmath>
#include <iostream>
#include <stdexcept>

#include "analysis/train_benchmark.h"
#include "cli/number_text.h"
#include "cli/output_file.h"
#include "cli/train_bench_json.h"
#include "io/atomic_file.h"
#include "model/decoder.h"
#include "report/html_page.h"

namespace lighthouse::cli {
namespace {

using analysis::StageBenchmark;
using analysis::TrainBenchmark;

const StageBenchmark* find_dense(const TrainBenchmark& result) {
  for (const auto& stage : result.stages) {
    if (!stage.lighthouse) return &stage;
  }
  return nullptr;
}

/// How many times faster the schedule's tokens go by than at a dense run's speed.
double speedup(const TrainBenchmark& result, double dense_tokens_per_second) {
  double steps = 0;
  double time = 0;  // in steps at one token per second
  for (const auto& stage : result.stages) {
    steps += static_cast<double>(stage.steps);
    time += static_cast<double>(stage.steps) / stage.tokens_per_second;
  }
  return steps / dense_tokens_per_second / time;
}

void print(const TrainBenchArguments& arguments, const std::string& device, const TrainBenchmark& result) {
  std::cout << "\n"
            << arguments.config << " on " << device << "\n"
            << "a large product: " << number("%.0f", result.product_flops_per_second / 1e12)
            << " TFLOP/s; a large copy: " << number("%.2f", result.copy_bytes_per_second / 1e12) << " TB/s\n\n";
  report::Table stages{
      {"stage", "attention", "ms per step", "tokens/s", "of the products' speed", "peak GB", "reserved GB"}, {}};
  for (const auto& stage : result.stages) {
    stages.rows.push_back({stage.name, stage.lighthouse ? "lighthouse" : "dense", number("%.1f", stage.step_ms),
                           number("%.0f", stage.tokens_per_second), number("%.1f%%", 100 * stage.flops_utilisation),
                           number("%.2f", stage.peak_bytes / 1e9), number("%.2f", stage.peak_reserved_bytes / 1e9)});
  }
  std::cout << report::to_text(stages);
  for (const auto& stage : result.stages) {
    report::Table parts{{"part", "ms", "share", "floor ms", "factor"}, {}};
    for (const auto& part : stage.parts) {
      const bool floor = part.floor_ms > 0;
      parts.rows.push_back({part.name, number("%.1f", part.ms), number("%.1f%%", 100 * part.ms / stage.watched_step_ms),
                            floor ? number("%.1f", part.floor_ms) : "-",
                            floor ? number("%.2f", part.ms / part.floor_ms) : "-"});
    }
    std::cout << "\nParts of a step of stage " << stage.name << ", forward and backward together ("
              << number("%.1f", stage.watched_step_ms) << " ms while watched)\n"
              << report::to_text(parts);
  }
  std::cout << "\n";
  if (const StageBenchmark* dense = find_dense(result)) {
    std::cout << "projected for the schedule's steps: " << number("%.2f", speedup(result, dense->tokens_per_second))
              << "x as fast as all of them dense here\n";
  }
  if (arguments.baseline) {
    std::cout << "projected for the schedule's steps: " << number("%.2f", speedup(result, *arguments.baseline))
              << "x as fast as a dense run at " << number("%.0f", *arguments.baseline) << " tokens/s\n";
  }
  std::cout
      << "Steps are of one batch, on random tokens; floors are flops at the large product's speed and bytes at the "
         "large copy's.\n"
      << std::flush;
}

}  // namespace

void show_train_bench(const nlohmann::ordered_json& json) {
  TrainBenchArguments arguments;
  const RecordedTrainBench recorded = train_bench_from_json(json);
  arguments.config = recorded.config;
  print(arguments, recorded.device, recorded.result);
}

void run_train_bench(const TrainBenchArguments& arguments) {
  if (arguments.repeats < 1) {
    throw std::invalid_argument("--repeats must be at least 1; got " + std::to_string(arguments.repeats));
  }
  if (arguments.baseline && !(std::isfinite(*arguments.baseline) && *arguments.baseline > 0)) {
    throw std::invalid_argument("--baseline must be tokens per second, more than 0; got " +
                                number("%g", *arguments.baseline));
  }
  check_folder_of("--json", arguments.json);
  const train::RunConfig config = train::load_config(arguments.config, arguments.overrides);
  model::check(config.model);
  const TrainBenchmark result = analysis::benchmark_training(
      config, arguments.repeats, [](const std::string& what) { std::cerr << "timing " << what << "\n"; });
  if (!arguments.json.empty()) io::write_file(arguments.json, train_bench_json(arguments.config, config, result));
  print(arguments, train::describe(result.plan, config), result);
}

}  // namespace lighthouse::cli
