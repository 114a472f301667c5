#include "cli/train_bench_command.h"

#include <iostream>

#include "analysis/train_benchmark.h"
#include "cli/dense_notes.h"
#include "cli/output_file.h"
#include "cli/train_bench_report.h"
#include "io/atomic_file.h"
#include "model/decoder.h"

namespace lighthouse::cli {
namespace {

/// The page first: whoever reads the text may have left (| head).
void show(const std::string& html, const TrainBenchReport& report) {
  if (!html.empty()) write_train_bench_page(html, report);
  std::cout << train_bench_text(report) << std::flush;
}

}  // namespace

void show_train_bench(const RecordedTrainBench& recorded, const std::string& html) {
  show(html, {recorded.config, recorded.device, recorded.result});
}

void run_train_bench(const TrainBenchArguments& arguments) {
  check_folder_of("--json", arguments.json);
  check_folder_of("--html", arguments.html);
  const train::RunConfig config = train::load_config(arguments.config, arguments.overrides);
  model::check(config.model);
  note_dense_stages(config);
  const analysis::TrainBenchmark result = analysis::benchmark_training(
      config, arguments.repeats, [](const std::string& what) { std::cerr << "timing " << what << "\n"; });
  if (!arguments.json.empty()) io::write_file(arguments.json, train_bench_json(arguments.config, config, result));
  show(arguments.html, {arguments.config, train::describe(result.plan, config), result, arguments.baseline});
}

}  // namespace lighthouse::cli
