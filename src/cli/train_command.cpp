#include <CLI/CLI.hpp>
#include <algorithm>
#include <filesystem>
#include <iostream>
#include <memory>
#include <optional>

#include "cli/commands.h"
#include "cli/data_progress.h"
#include "cli/dense_notes.h"
#include "cli/number_text.h"
#include "cli/progress.h"
#include "cli/remark.h"
#include "cli/run_report.h"
#include "cli/stop_signal.h"
#include "huggingface/byte_tokenizer.h"
#include "text/command_name.h"
#include "text/number_text.h"
#include "train/config_keys.h"
#include "train/initial_weights.h"
#include "train/run_folder.h"
#include "train/stored_model.h"
#include "train/text_tokens.h"
#include "train/trainer.h"

namespace lighthouse::cli {
namespace {

struct TrainArguments {
  std::string config;
  std::vector<std::string> overrides;
  std::string init;
  bool overwrite = false;
  bool resume = false;
  bool allow_changes = false;

  train::FolderUse use() const {
    return resume ? train::FolderUse::kResume : overwrite ? train::FolderUse::kOverwrite : train::FolderUse::kNew;
  }
};

/// What there is to know of the data beside its size.
void note_data(const train::RunConfig& config, const train::Corpus& corpus) {
  for (const auto& note : corpus.notes()) std::cerr << "Note: " << note << ".\n";
  if (config.training.validation_sequences > corpus.validation_sequences() && corpus.validation_sequences() > 0) {
    std::cerr << "Note: training.validation_sequences is " << config.training.validation_sequences
              << "; the held-out part has " << text::count_of(corpus.validation_sequences(), "sequence")
              << ": those are taken.\n";
  }
}

/// Text is refused where the model came with a tokenizer of other tokens: its bytes would be taken for their numbers.
void expect_tokens_of_model(const train::RunConfig& config, const train::Corpus& corpus, bool resumes) {
  if (corpus.text() == nullptr || config.init.empty()) return;
  std::filesystem::path carried = resumes ? train::carried_files(config.output_dir) : std::filesystem::path();
  if (carried.empty()) carried = train::carried_files(config.init);
  if (!huggingface::has_other_tokenizer(carried)) return;
  throw std::runtime_error(train::tokens_are_not_bytes(config.model.vocab_size) + ", and " +
                           corpus.text()->path().string() + " is text; make a token file of it: " + text::command() +
                           " tokenize --tokenizer " + text::shell_word(carried.string()) + " --out tokens.bin " +
                           text::shell_word(corpus.text()->path().string()));
}

void print_plan(const train::RunConfig& config, train::Trainer& trainer) {
  const auto& corpus = trainer.corpus();
  std::cout << "data: " << text::count_of(corpus.num_files(), "file") << ", "
            << report::short_number(static_cast<double>(corpus.num_tokens())) << " tokens (" << corpus.formats() << "); "
            << corpus.training_sequences() << " training and "
            << text::count_of(corpus.validation_sequences(), "held-out sequence") << " of "
            << text::count_of(config.data.context_length, "token") << "\n"
            << "model: " << report::short_number(static_cast<double>(model::num_parameters(*trainer.decoder())))
            << " parameters, " << text::count_of(config.model.num_hidden_layers, "layer") << "\n"
            << "on: " << train::describe(trainer.plan(), config) << "\n";
  for (const auto& stage : config.stages) {
    std::cout << "stage " << stage.name << ": " << text::count_of(stage.steps, "step") << " of "
              << text::count_of(config.tokens_per_step(), "token") << ", ";
    if (stage.lighthouse) {
      const Geometry geometry(config.data.context_length, config.attention_of(stage));
      std::cout << geometry << "\n";
    } else {
      std::cout << "dense\n";
    }
  }
  note_dense_stages(config);
  note_data(config, corpus);
  if (config.total_steps() > 0 && config.schedule.warmup_steps >= config.total_steps()) {
    std::cerr << "Note: the learning rate only rises: schedule.warmup_steps, " << config.schedule.warmup_steps
              << ", is no less than the run's " << text::count_of(config.total_steps(), "step") << ".\n";
  }
}

void print_results(const train::RunConfig& config, const train::RunResult& result) {
  const std::string name = std::filesystem::path(config.output_dir).filename().string();
  const std::vector<ReportedRun> runs = {{name, config, {result.steps, result.validations}}};
  std::cout << "\n" << report::to_text(stage_table(runs)) << "\n";
  for (const auto& note : skipped_notes(runs)) std::cout << note << "\n";
  std::cout << config.output_dir << ": model.safetensors, metrics.jsonl; curves: " << text::command() << " report "
            << text::shell_word(config.output_dir) << "\n";
}

/// What there is to know where a resumed run turns out to have ended.
void print_ended(const train::RunConfig& config, const train::Metrics& so_far) {
  std::cout << "This run has ended, after " << text::count_of(config.total_steps(), "step");
  if (!so_far.steps.empty()) std::cout << ", with a loss of " << number("%.4f", so_far.steps.back().loss);
  if (!so_far.validations.empty())
    std::cout << " and a validation loss of " << number("%.4f", so_far.validations.back().dense_loss);
  const std::string run = text::shell_word(config.output_dir);
  const std::string last = std::to_string(config.stages.size() - 1);
  std::cout << ". To train it longer, give its last stage more steps: " << text::command() << " train " << run
            << " --resume --allow-changes --set stages." << last
            << ".steps=" << 2 * std::max<int64_t>(1, config.stages.back().steps)
            << "; to start another run from its weights: " << text::command() << " train CONFIG --init " << run << "\n";
}

/// A file, or the folder of a run, whose own configuration then goes on in that folder unless another is named.
train::RunConfig load(const TrainArguments& arguments) {
  const std::filesystem::path path(arguments.config);
  const auto read = [&](const std::filesystem::path& file) {
    return train::load_run_config(file, arguments.overrides, arguments.init, arguments.resume);
  };
  if (!std::filesystem::exists(path / train::kConfigName)) return read(path);
  train::RunConfig config = read(path / train::kConfigName);
  const bool elsewhere = std::any_of(arguments.overrides.begin(), arguments.overrides.end(),
                                     [](const std::string& text) { return text.starts_with("output_dir="); });
  if (!elsewhere) config.output_dir = path.string();
  return config;
}

void print_problem(const std::string& problem) { std::cerr << problem << "\n"; }

/// The checkpoint to go on from, put into the trainer; none for a run from the start.
std::optional<train::Checkpoint> resume(const TrainArguments& arguments, const train::RunConfig& config,
                                        train::RunFolder& folder, train::Trainer& trainer) {
  if (!arguments.resume) return std::nullopt;
  auto checkpoint = folder.newest_checkpoint(print_problem, arguments.allow_changes);
  if (!checkpoint) {
    std::cerr << "No checkpoint in " << config.output_dir << " yet: starting from the beginning.\n";
    return std::nullopt;
  }
  trainer.restore(*checkpoint, "the checkpoint of step " + std::to_string(checkpoint->position.step),
                  arguments.allow_changes);
  std::string differences = train::describe_differences(checkpoint->environment, train::environment(trainer.plan()));
  if (trainer.plan().device.is_cuda() && !config.training.deterministic) {
    differences += (differences.empty() ? "" : "; ") + std::string("training.deterministic is false");
  }
  if (!differences.empty()) {
    std::cerr << "The last bits of the losses may differ from an uninterrupted run's from here on (" << differences
              << ").\n";
  }
  std::cout << "resumed: step " << checkpoint->position.step << " of " << config.total_steps() << ", after "
            << text::clock_text(checkpoint->position.seconds) << " of training\n";
  return checkpoint;
}

/// The first weights, where they are another model's.
void initialize(const TrainArguments& arguments, const train::RunConfig& config, train::Trainer& trainer) {
  if (config.init.empty()) return;
  print_remark(train::load_initial_weights(config, trainer.decoder(), arguments.allow_changes));
  std::cout << "weights: from " << config.init << "\n";
}

void train_run(const TrainArguments& arguments) {
  train::Trainer trainer(load(arguments));  // reads the data, so that nothing is created for a run that cannot start
  const train::RunConfig& config = trainer.config();
  expect_tokens_of_model(config, trainer.corpus(), arguments.resume);
  watch_reading(trainer.corpus());
  if (!arguments.resume) initialize(arguments, config, trainer);
  train::RunFolder folder(config, arguments.use());
  folder.tell_problems(print_problem);
  const auto checkpoint = resume(arguments, config, folder, trainer);
  if (arguments.resume && !checkpoint) initialize(arguments, config, trainer);
  train::Metrics so_far = folder.begin(checkpoint);
  if (checkpoint && trainer.step() == config.total_steps()) {
    print_ended(config, so_far);
  } else {
    print_plan(config, trainer);
  }
  std::cout << std::flush;
  trainer.data_record();  // may read for minutes: a signal ends the program here, and loses nothing
  catch_stop_signals();
  ProgressLine progress(config);
  train::Observer observer = progress.observer();
  observer.should_stop = [] { return stop_signal() != 0; };
  const train::RunResult result = trainer.run(observer, &folder, std::move(so_far));
  progress.finish();
  if (result.stopped) {
    std::cerr << "Stopped by a signal after step " << trainer.step() << " of " << config.total_steps()
              << ", with a checkpoint. Go on with: " << text::command() << " train "
              << text::shell_word(config.output_dir) << " --resume\n";
    throw ExitWith{128 + stop_signal()};
  }
  folder.save_model(trainer.decoder(), trainer.data_record());
  print_results(config, result);
  if (config.total_steps() > 0 && train::count_skipped(result.steps) == config.total_steps()) {
    std::cerr << "No step was taken: the model has its first weights. Look at model.initializer_range, init and the "
                 "data.\n";
    throw ExitWith{1};
  }
}

}  // namespace

void add_train_command(CLI::App& program) {
  auto arguments = std::make_shared<TrainArguments>();
  CLI::App* command = program.add_subcommand(
      "train",
      "Train a model by a configuration file.\n\n"
      "The file lists stages ([[stages]]), each with its steps and its attention, "
      "\"lighthouse\" or \"dense\". The stages\n"
      "share one optimiser state and one stream of data. The run's folder (output_dir) gets "
      "config.toml, metrics.jsonl, a\n"
      "TensorBoard file, checkpoints and, at the end, model.safetensors.\n\n"
      "A run survives anything: Ctrl-C and the signals TERM, HUP, USR1 and USR2 write a checkpoint and "
      "stop (a second Ctrl-C or\n"
      "TERM stops at once), and after a kill\n"
      "or a crash --resume goes on from the newest checkpoint, with the losses that the "
      "uninterrupted run would have had.");
  command->footer(
      "Examples:\n"
      "  lighthouse train configs/example-cpu.toml\n"
      "  lighthouse train configs/example-cpu.toml --resume        (from the start where there is no checkpoint yet)\n"
      "  lighthouse train runs/example-cpu --resume                (by the configuration that the run keeps)\n"
      "  lighthouse train configs/example-cpu.toml --set stages.0.steps=20 --set optimizer.learning_rate=1e-3\n"
      "  lighthouse train longer.toml --init models/llama-1b       (from an imported model, a run or a checkpoint)\n"
      "  lighthouse train configs/example-cpu.toml --set 'data.paths=[\"docs\"]' --overwrite\n\n"
      "Configuration keys and their defaults (docs/CONFIG.md says more):\n" +
      train::describe_config_keys());
  command->add_option("config", arguments->config, "Configuration, a TOML file; or the folder of a run to resume")
      ->required();
  command->add_option("--set", arguments->overrides, "Override a key: a.b=value. May be given several times")
      ->type_name("KEY=VALUE")
      ->allow_extra_args(false);
  command
      ->add_option("--init", arguments->init,
                   "Start from these weights: a run's folder, a checkpoint, or a model that import wrote")
      ->type_name("MODEL");
  auto* overwrite =
      command->add_flag("--overwrite", arguments->overwrite, "Replace a run that is in output_dir already");
  command->add_flag("--resume", arguments->resume, "Go on from the newest checkpoint in output_dir")
      ->excludes(overwrite);
  command->add_flag("--allow-changes", arguments->allow_changes,
                    "Resume under a configuration that computes something else than the run began with, or from an older "
                    "checkpoint than the record goes to, or start from "
                    "--init weights under another rotary base, rotary scaling or norm epsilon");
  command->callback([arguments] { train_run(*arguments); });
}

}  // namespace lighthouse::cli
