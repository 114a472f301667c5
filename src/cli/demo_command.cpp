// The demo: one small model on real text, trained dense throughout and with Lighthouse then dense, on the same tokens.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <filesystem>
#include <iostream>
#include <memory>

#include "cli/commands.h"
#include "cli/demo_page.h"
#include "cli/number_option.h"
#include "cli/number_text.h"
#include "cli/progress.h"
#include "cli/run_report.h"
#include "inference/generate.h"
#include "text/number_text.h"
#include "text/utf8.h"
#include "train/run_folder.h"
#include "train/trainer.h"

namespace lighthouse::cli {
namespace {

struct DemoArguments {
  std::string data;
  std::string output = "runs/demo";
  bool full = false;
  double minutes = 6.0;
  bool overwrite = false;
};

/// Sized for two cores and eight minutes: a context at which dense attention is most of a step's time.
train::RunConfig demo_config(const DemoArguments& arguments) {
  train::RunConfig config;
  config.seed = 1;
  config.model.hidden_size = 96;
  config.model.intermediate_size = 256;
  config.model.num_hidden_layers = 6;
  config.model.num_attention_heads = 3;
  config.model.num_key_value_heads = 3;
  config.model.head_dim = 32;
  config.model.full_attention_layers = {0};  // where neighbouring bytes meet
  config.attention.num_levels = 3;
  config.attention.pooling_factor = 4;
  config.attention.top_k = 64;
  config.attention.causal_selection = true;
  config.data.paths = {arguments.data};
  config.data.include = {"*.py"};
  config.data.exclude = {"site-packages", "dist-packages", "test", "tests", "__pycache__"};
  config.data.context_length = 4096;
  config.data.validation_fraction = 0.02;
  config.optimizer.learning_rate = 5e-3;
  config.schedule.kind = train::ScheduleKind::kConstantThenDecay;
  config.schedule.warmup_steps = 15;
  config.schedule.decay_fraction = 0.3;
  config.schedule.final_fraction = 0.05;
  config.training.validation_interval = 26;
  config.training.validation_sequences = 8;
  return config;
}

train::StageConfig stage(const std::string& name, bool lighthouse, int64_t steps) {
  train::StageConfig config;
  config.name = name;
  config.lighthouse = lighthouse;
  config.steps = steps;
  return config;
}

/// One of the runs that take turns: a machine that slows down, or is busy with something else for a while, then does so
/// to all of them alike.
class Participant {
 public:
  Participant(train::RunConfig config, const std::string& name, const std::string& folder, bool overwrite)
      : name_(name),
        config_(in_folder(std::move(config), folder)),
        trainer_(config_),
        folder_(config_, overwrite ? train::FolderUse::kOverwrite : train::FolderUse::kNew),
        progress_(config_, name + " | "),
        observer_(progress_.observer()) {
    folder_.tell_problems([](const std::string& problem) { std::cerr << problem << "\n"; });
    folder_.begin(std::nullopt);
    const auto show = observer_.on_step;
    observer_.on_step = [this, show](const train::StepRecord& record) {
      ++steps_of_turn_;
      show(record);
    };
    observer_.should_pause = [this] { return steps_of_turn_ >= kStepsPerTurn; };
  }
  Participant(const Participant&) = delete;
  Participant& operator=(const Participant&) = delete;

  /// Some steps; true while there are more.
  bool take_turn() {
    if (finished_) return false;
    steps_of_turn_ = 0;
    train::RunResult result = trainer_.run(observer_, &folder_, std::move(metrics_));
    progress_.finish();
    metrics_ = {std::move(result.steps), std::move(result.validations)};
    finished_ = !result.paused;
    if (finished_) folder_.save_model(trainer_.decoder(), trainer_.data_record());
    return !finished_;
  }

  train::Trainer& trainer() { return trainer_; }
  ProgressLine& progress() { return progress_; }
  ReportedRun reported() const { return {name_, config_, metrics_}; }

 private:
  static constexpr int kStepsPerTurn = 5;

  static train::RunConfig in_folder(train::RunConfig config, const std::string& folder) {
    config.output_dir = folder;
    return config;
  }

  std::string name_;
  train::RunConfig config_;
  train::Trainer trainer_;
  train::RunFolder folder_;
  ProgressLine progress_;
  train::Observer observer_;
  train::Metrics metrics_;
  int steps_of_turn_ = 0;
  bool finished_ = false;
};

/// Steps of the two stages, and seconds of one under either attention.
struct DemoPlan {
  int64_t lighthouse_steps = 130;
  int64_t recovery_steps = 65;
  double dense_seconds = 0;
  double lighthouse_seconds = 0;
};

/// Seconds of one step under dense or Lighthouse attention: the quickest of a few, on weights that are thrown away.
double step_seconds(train::RunConfig config, bool lighthouse) {
  config.stages = {stage("calibration", lighthouse, 4)};
  config.training.validation_sequences = 0;
  const auto result = train::Trainer(config).run();
  double best = result.steps.front().seconds;
  for (size_t i = 1; i < result.steps.size(); ++i) {
    best = std::min(best, result.steps[i].seconds - result.steps[i - 1].seconds);
  }
  return best;
}

/// The full plan where it fits the minutes that the user gives, else the same schedule with fewer steps.
DemoPlan make_plan(const train::RunConfig& config, const DemoArguments& arguments) {
  DemoPlan plan;
  const double dense = plan.dense_seconds = step_seconds(config, false);
  const double lighthouse = plan.lighthouse_seconds = step_seconds(config, true);
  const auto steps = static_cast<double>(plan.lighthouse_steps + plan.recovery_steps);
  const int lighthouse_runs = arguments.full ? 2 : 1;
  // Dense validation takes a third of a step per sequence: forward only.
  const double validations = steps / static_cast<double>(config.training.validation_interval) + 2;
  const double validation = validations * static_cast<double>(config.training.validation_sequences) * dense / 3;
  const double seconds = steps * dense + validation +
                         lighthouse_runs * (static_cast<double>(plan.lighthouse_steps) * lighthouse +
                                            static_cast<double>(plan.recovery_steps) * dense + 1.3 * validation);
  const double share = std::min(1.0, 60 * arguments.minutes / seconds);
  std::cerr << number("A step takes %.2f s dense, ", dense)
            << number("%.2f s with Lighthouse; all runs about ", lighthouse) << text::clock_text(share * seconds)
            << ".\n";
  if (share < 1) {
    std::cerr << number("That is %.3g%% of the full schedule, to keep within ", 100 * share)
              << text::clock_text(60 * arguments.minutes) << " (--minutes).\n";
    plan.lighthouse_steps =
        std::max<int64_t>(2, static_cast<int64_t>(share * static_cast<double>(plan.lighthouse_steps)));
    plan.recovery_steps = std::max<int64_t>(2, static_cast<int64_t>(share * static_cast<double>(plan.recovery_steps)));
  }
  return plan;
}

std::string sample_text(train::Trainer& trainer) {
  const std::string prompt = "def main(";
  inference::GenerateOptions options;
  options.max_new_tokens = 300;
  options.sampling.temperature = 0.8;  // lower, a model this small repeats spaces
  return prompt + inference::generate_text(trainer.decoder(), prompt, options);
}

std::string describe(const train::RunConfig& config, train::Trainer& trainer) {
  const auto lighthouse_stage = config.stages.front();
  return report::short_number(static_cast<double>(trainer.corpus().num_tokens())) + " bytes of text from " +
         config.data.paths.front() + "; " + text::count_of(config.model.num_hidden_layers, "layer") + " of width " +
         std::to_string(config.model.hidden_size) + ", " +
         report::short_number(static_cast<double>(model::num_parameters(*trainer.decoder()))) +
         " parameters; context " + text::count_of(config.data.context_length, "byte") + "; " +
         text::count_of(config.total_steps(), "step") + ", " + std::to_string(lighthouse_stage.steps) +
         " of them Lighthouse (" +
         Geometry(config.data.context_length, config.attention_of(lighthouse_stage)).to_string() + ").";
}

void run_demo(const DemoArguments& arguments) {
  train::RunConfig config = demo_config(arguments);
  if (std::filesystem::is_regular_file(arguments.data)) config.data.include.clear();
  const DemoPlan plan = make_plan(config, arguments);

  train::RunConfig dense = config;
  dense.stages = {stage("dense", false, plan.lighthouse_steps + plan.recovery_steps)};
  train::RunConfig lighthouse = config;
  lighthouse.stages = {stage("lighthouse", true, plan.lighthouse_steps), stage("recovery", false, plan.recovery_steps)};

  const std::string& folder = arguments.output;
  // The demo's own folder is the demo's to write again.
  const bool overwrite = arguments.overwrite || folder == DemoArguments().output;
  std::vector<std::unique_ptr<Participant>> participants;
  const auto add = [&](const train::RunConfig& run, const std::string& name, const std::string& subfolder) {
    participants.push_back(std::make_unique<Participant>(run, name, folder + "/" + subfolder, overwrite));
  };
  add(dense, "dense", "dense");
  add(lighthouse, arguments.full ? "Lighthouse, causal" : "Lighthouse", "lighthouse");
  if (arguments.full) {
    lighthouse.attention.causal_selection = false;
    add(lighthouse, "Lighthouse, paper's rule", "lighthouse-paper");
  }
  const auto all_left = [&participants] {
    double seconds = 0;
    for (const auto& participant : participants) seconds += participant->progress().clock().run_seconds_left();
    return seconds;
  };
  for (auto& participant : participants) {
    participant->progress().clock().expect(/*lighthouse=*/false, plan.dense_seconds);
    participant->progress().clock().expect(/*lighthouse=*/true, plan.lighthouse_seconds);
    participant->progress().show_total(all_left);
  }
  for (bool more = true; more;) {
    more = false;
    for (auto& participant : participants) more |= participant->take_turn();
  }
  std::vector<ReportedRun> runs;
  for (const auto& participant : participants) runs.push_back(participant->reported());
  train::Trainer& recovered = participants[1]->trainer();
  const std::string setting = describe(runs[1].config, recovered);
  std::cout << "\n";
  for (const auto& sentence : result_sentences(runs)) std::cout << sentence << "\n";
  std::cout << "\n" << report::to_text(comparison_table(runs)) << std::flush;
  const std::string sample = text::visible(sample_text(recovered));
  const auto page = std::filesystem::path(folder) / "demo.html";
  write_demo_page(page, runs, setting, sample);
  std::cout << "\nThe recovered model, under dense attention:\n\n"
            << sample << "\n\nTrained: " << setting << "\nCurves: " << page.string() << "\n";
}

}  // namespace

void add_demo_command(CLI::App& program) {
  auto arguments = std::make_shared<DemoArguments>();
  CLI::App* command = program.add_subcommand(
      "demo",
      "Train a small model twice on the same text, dense throughout and with Lighthouse then dense, and compare.\n\n"
      "At most six minutes (--minutes). Prints a table, writes a page with the curves, ends with a few generated "
      "lines.");
  command->footer("Examples:\n  lighthouse demo --data /usr/lib/python3\n  lighthouse demo --data notes.txt --full");
  command->add_option("--data", arguments->data, "Text file, or folder of .py files")->required();
  command->add_option("--output", arguments->output, "Folder for the runs and the page")->capture_default_str();
  command->add_flag("--overwrite", arguments->overwrite, "Replace runs in a folder that --output names");
  command->add_flag("--full", arguments->full, "Train with the paper's selection rule too");
  command->add_option("--minutes", arguments->minutes, "Time to keep within, by training for fewer steps if need be")
      ->transform(real_number_above(0, 1e6))
      ->capture_default_str();
  command->callback([arguments] { run_demo(*arguments); });
}

}  // namespace lighthouse::cli
