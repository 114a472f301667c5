#include <CLI/CLI.hpp>
#include <filesystem>
#include <iostream>
#include <memory>

#include "cli/commands.h"
#include "cli/progress.h"
#include "report/html_page.h"
#include "train/run_folder.h"
#include "train/trainer.h"

namespace lighthouse::cli {
namespace {

struct TrainArguments {
  std::string config;
  std::vector<std::string> overrides;
  bool overwrite = false;
};

std::string number(const char* pattern, double value) {
  char text[64];
  std::snprintf(text, sizeof(text), pattern, value);
  return text;
}

void print_plan(const train::RunConfig& config, train::Trainer& trainer) {
  const auto& corpus = trainer.corpus();
  std::cout << "data: " << corpus.num_files() << " files, "
            << report::short_number(static_cast<double>(corpus.num_bytes())) << " bytes; "
            << corpus.training_sequences() << " training and " << corpus.validation_sequences()
            << " held-out sequences of " << config.data.context_length << " tokens\n"
            << "model: " << report::short_number(static_cast<double>(model::num_parameters(*trainer.decoder())))
            << " parameters, " << config.model.num_hidden_layers << " layers\n";
  for (const auto& stage : config.stages) {
    std::cout << "stage " << stage.name << ": " << stage.steps << " steps of " << config.tokens_per_step()
              << " tokens, ";
    if (stage.lighthouse) {
      std::cout << Geometry(config.data.context_length, config.attention_of(stage)) << "\n";
    } else {
      std::cout << "dense\n";
    }
  }
}

void print_results(const train::RunConfig& config, const train::RunResult& result) {
  report::Table table{
      {"stage", "attention", "steps", "tokens/s", "S/N", "time", "dense val. loss", "Lighthouse val. loss"}, {}};
  for (const auto& stage : result.stages) {
    std::string dense = "-";
    std::string lighthouse = "-";
    for (const auto& validation : result.validations) {
      if (!validation.stage_end || validation.stage != stage.name) continue;
      dense = number("%.4f", validation.dense_loss);
      if (validation.lighthouse_loss) lighthouse = number("%.4f", *validation.lighthouse_loss);
    }
    table.rows.push_back({stage.name, stage.attention, std::to_string(stage.steps),
                          report::short_number(stage.tokens_per_second), number("%.3f", stage.retained_fraction),
                          clock_text(stage.seconds), dense, lighthouse});
  }
  std::cout << "\n"
            << report::to_text(table) << "\n"
            << config.output_dir << ": config.toml, metrics.jsonl, model.safetensors\n";
}

void train_run(const TrainArguments& arguments) {
  const train::RunConfig config = train::load_config(arguments.config, arguments.overrides);
  train::Trainer trainer(config);  // reads the data, so that nothing is created for a run that cannot start
  train::create_run_folder(config, arguments.overwrite);
  print_plan(config, trainer);
  train::MetricsFile metrics(std::filesystem::path(config.output_dir) / "metrics.jsonl");
  ProgressLine progress(config);
  const train::RunResult result = trainer.run(progress.observer(), &metrics);
  progress.finish();
  train::save_model(config, trainer.decoder());
  print_results(config, result);
}

}  // namespace

void add_train_command(CLI::App& program) {
  auto arguments = std::make_shared<TrainArguments>();
  CLI::App* command =
      program.add_subcommand("train",
                             "Train a model by a configuration file.\n\n"
                             "The file lists stages ([[stages]]), each with its steps and its attention, "
                             "\"lighthouse\" or \"dense\". The stages\n"
                             "share one optimiser state and one stream of data. The run's folder (output_dir) gets "
                             "config.toml, metrics.jsonl and\n"
                             "model.safetensors. docs/CONFIG.md lists every key; configs/ holds examples.");
  command->footer(
      "Examples:\n"
      "  lighthouse train configs/example-cpu.toml\n"
      "  lighthouse train configs/example-cpu.toml --set stages.0.steps=20 --set optimizer.learning_rate=1e-3\n"
      "  lighthouse train configs/example-cpu.toml --set 'data.paths=[\"/usr/share/doc\"]' --overwrite");
  command->add_option("config", arguments->config, "Configuration, a TOML file")->required();
  command->add_option("--set", arguments->overrides, "Override a key: a.b=value. May be given several times")
      ->type_name("KEY=VALUE")
      ->allow_extra_args(false);
  command->add_flag("--overwrite", arguments->overwrite, "Replace a run that is in output_dir already");
  command->callback([arguments] { train_run(*arguments); });
}

}  // namespace lighthouse::cli
