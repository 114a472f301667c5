#include <torch/types.h>
#include <torch/utils.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <filesystem>
#include <iostream>
#include <memory>
#include <stdexcept>

#include "cli/commands.h"
#include "cli/compute_options.h"
#include "cli/data_progress.h"
#include "cli/eval_report.h"
#include "cli/number_option.h"
#include "cli/output_file.h"
#include "cli/remark.h"
#include "cli/status_line.h"
#include "cli/stop_signal.h"
#include "huggingface/byte_tokenizer.h"
#include "io/atomic_file.h"
#include "text/number_text.h"
#include "text/utf8.h"
#include "train/corpus.h"
#include "train/device.h"
#include "train/memory_estimate.h"
#include "train/stored_model.h"
#include "train/text_tokens.h"

namespace lighthouse::cli {
namespace {

struct EvalArguments {
  std::string run;
  std::vector<std::string> tasks = {"loss", "retrieval", "copy"};
  bool tasks_named = false;
  int64_t sequences = 16;
  std::optional<int64_t> context;
  analysis::TaskGrid grid;
  int64_t copy_length = 32;
  std::string device = "auto";
  std::string json;
  std::string html;

  bool has(const std::string& task) const { return std::find(tasks.begin(), tasks.end(), task) != tasks.end(); }
};

/// Sequences done and the time left, by the operations that each sequence takes.
class EvalProgress {
 public:
  explicit EvalProgress(const model::ModelConfig& model)
      : width_(static_cast<double>(model.num_hidden_layers * model.num_attention_heads * model.head_dim)),
        parameters_(static_cast<double>(
            model.num_hidden_layers *
            (model.hidden_size * (model.head_dim * 2 * (model.num_attention_heads + model.num_key_value_heads) +
                                  3 * model.intermediate_size)))) {}

  void expect(int64_t sequences, int64_t tokens) {
    count_ += sequences;
    work_ += static_cast<double>(sequences) * work_of(tokens);
  }

  /// A sequence begins, and the one before it is done. Ends the command where a signal came.
  void begin(const std::string& task, int64_t tokens) {
    if (stop_signal() != 0) {
      finish();
      std::cerr << "Stopped by a signal after " << done_ << " of " << text::count_of(count_, "sequence")
                << "; nothing was written.\n";
      throw ExitWith{128 + stop_signal()};
    }
    if (line_.is_due()) {
      const double gone = std::chrono::duration<double>(Clock::now() - started_).count();
      const std::string left = work_done_ > 0
                                   ? "about " + text::clock_text(gone / work_done_ * (work_ - work_done_)) + " left"
                                   : "time left not known yet";
      line_.show(task + ": sequence " + std::to_string(done_ + 1) + "/" + std::to_string(count_) + ", " +
                 text::count_of(tokens, "token") + " | " + text::clock_text(gone) + " gone, " + left);
    }
    done_ += 1;
    work_done_ += current_;
    current_ = work_of(tokens);
  }

  void finish() { line_.finish(); }

 private:
  using Clock = std::chrono::steady_clock;
  /// Half the multiply-adds: products with weights, and causal attention.
  double work_of(int64_t tokens) const {
    const auto n = static_cast<double>(tokens);
    return n * (parameters_ + width_ * n);
  }

  double width_;
  double parameters_;
  StatusLine line_;
  int64_t count_ = 0;
  int64_t done_ = 0;
  double work_ = 0;
  double work_done_ = 0;
  double current_ = 0;
  Clock::time_point started_ = Clock::now();
};

/// Powers of two from 1024 to the context, or the context alone where it is shorter.
std::vector<int64_t> default_lengths(int64_t context) {
  std::vector<int64_t> lengths;
  for (int64_t length = 1024; length <= context; length *= 2) lengths.push_back(length);
  return lengths.empty() ? std::vector<int64_t>{context} : lengths;
}

void check(const EvalArguments& arguments) {
  check_folder_of("--json", arguments.json);
  check_folder_of("--html", arguments.html);
  // Before the model is read: a wrong grid must not cost minutes.
  const analysis::TaskGrid& grid = arguments.grid;
  if (arguments.has("retrieval")) analysis::check(grid, analysis::shortest_retrieval(), "retrieval");
  if (arguments.has("copy")) {
    analysis::check_copy_length(arguments.copy_length);
    analysis::check(grid, analysis::shortest_copy(arguments.copy_length), "copy");
  }
}

/// The device that --device names, not the run's own: a model is evaluated on other machines too. The precision is the
/// run's.
train::ComputePlan plan_of(const EvalArguments& arguments, const train::RunConfig& config) {
  train::RunConfig plan = config;
  plan.training.device = device_of(arguments.device);
  return train::choose_compute(plan);
}

/// Refuses sequences that the device cannot hold: a system that runs out of memory ends the program without a word.
void expect_fits(const train::ComputePlan& plan, const model::ModelConfig& model, const std::string& option,
                 int64_t tokens) {
  const double needed = train::estimate_reading(model, static_cast<int64_t>(torch::elementSize(plan.type)), tokens);
  if (needed <= plan.memory_bytes) return;
  throw std::invalid_argument(option + ": a sequence of " + text::count_of(tokens, "token") + " needs about " +
                              text::bytes_text(needed) + " of memory under dense attention; the device has " +
                              text::bytes_text(plan.memory_bytes) + ". Pass shorter ones");
}

/// The run's data at the context to evaluate. Throws where sequences of it would reach into what was trained on.
train::Corpus held_out_data(const EvalArguments& arguments, const train::RunConfig& config, int64_t context) {
  const auto seed = static_cast<uint64_t>(config.seed);
  if (config.data.paths.empty()) {
    throw std::runtime_error(
        "the model was imported and has no data to take a loss on; --tasks retrieval copy need none, and a model whose "
        "tokens are bytes");
  }
  if (config.data.validation_fraction <= 0) {
    throw std::runtime_error(
        "the run held no data out (data.validation_fraction is 0), so there is no loss to take; "
        "pass --tasks retrieval copy");
  }
  const std::filesystem::path run = std::filesystem::absolute(arguments.run);
  const auto run_folder = std::filesystem::is_directory(run) ? run : run.parent_path().parent_path();
  train::DataConfig data = config.data;
  data.context_length = context;
  train::Corpus corpus(data, seed, config.model.vocab_size, {config.output_dir, run_folder});
  if (corpus.text() != nullptr && huggingface::has_other_tokenizer(train::carried_files(arguments.run))) {
    throw std::runtime_error(train::tokens_are_not_bytes(config.model.vocab_size) + ", and " +
                             corpus.text()->path().string() + " is text: there is no loss to take on it");
  }
  const auto fraction =
      static_cast<int64_t>(config.data.validation_fraction * static_cast<double>(corpus.num_tokens()));
  const int64_t held_out = std::max(fraction, config.data.context_length + 1);
  if (context + 1 > held_out) {
    throw std::invalid_argument("--context must be at most what the run held out, " + std::to_string(held_out - 1) +
                                " tokens and a target; got " + std::to_string(context));
  }
  return corpus;
}

analysis::PositionLoss take_losses(model::Decoder& decoder, const train::Corpus& corpus, int64_t context,
                                   int64_t sequences, EvalProgress& progress) {
  const torch::NoGradGuard no_grad;
  const torch::Device device = decoder->parameters().front().device();
  analysis::PositionLossSum sum(context);
  const torch::Tensor row = torch::empty({1, context + 1}, torch::kInt64);
  for (int64_t i = 0; i < sequences; ++i) {
    progress.begin("loss", context);
    corpus.read_validation_sequence(i, sequences, row.data_ptr<int64_t>());
    const torch::Tensor tokens = row.to(device);
    sum.add(decoder->losses(tokens.slice(1, 0, context).contiguous(), tokens.slice(1, 1).contiguous())[0]);
  }
  return sum.result();
}

/// What is held out is a part of the whole: other files, or other bytes, and it would be another part.
void check_data(train::Corpus& corpus, const std::optional<train::DataRecord>& record) {
  watch_reading(corpus);
  if (!record || corpus.matches(*record)) return;
  throw std::runtime_error(
      "the data changed since the model was trained (" + corpus.difference_from(*record) +
      "), so what was held out cannot be told from what was trained on. Put the data back as it was, or pass --tasks "
      "retrieval copy");
}

model::Decoder fresh_decoder(const train::RunConfig& config, const train::ComputePlan& plan) {
  torch::manual_seed(static_cast<uint64_t>(config.seed));
  model::Decoder decoder(config.model);
  decoder->to(plan.device);
  decoder->set_compute_type(plan.type);
  return decoder;
}

/// Retrieval and copying take bytes as tokens. For other models they are left out, unless they were asked for.
void keep_tasks_for(const train::RunConfig& config, EvalArguments& arguments) {
  const auto carried = train::carried_files(arguments.run);
  if (huggingface::reads_bytes(config, carried) || !(arguments.has("retrieval") || arguments.has("copy"))) return;
  if (arguments.tasks_named) huggingface::expect_bytes(config, carried, "retrieval and copying are texts of bytes");
  std::cerr << "Note: " << train::tokens_are_not_bytes(config.model.vocab_size)
            << ", so retrieval and copying, which are texts of bytes, are left out.\n";
  arguments.tasks = {"loss"};
}

void evaluate(EvalArguments arguments) {
  check(arguments);
  train::LoadedRun run = train::load_run(arguments.run);
  print_remark(run.remark);
  const train::RunConfig& config = run.config;
  keep_tasks_for(config, arguments);
  if (config.training.num_threads > 0) at::set_num_threads(static_cast<int>(config.training.num_threads));
  const int64_t context = arguments.context.value_or(config.data.context_length);
  analysis::TaskGrid& grid = arguments.grid;
  if (grid.lengths.empty()) {
    grid.lengths = default_lengths(config.data.context_length);
    check(arguments);
  }
  // Each once: the same texts twice would count as more trials than there are.
  for (auto* values : {&grid.lengths, &grid.depths}) {
    std::sort(values->begin(), values->end());
    values->erase(std::unique(values->begin(), values->end()), values->end());
  }
  const train::ComputePlan plan = plan_of(arguments, config);
  if (arguments.has("loss")) expect_fits(plan, config.model, "--context", context);
  if (arguments.has("retrieval") || arguments.has("copy"))
    expect_fits(plan, config.model, "--lengths", grid.lengths.back());
  run.decoder->to(plan.device);
  run.decoder->set_compute_type(plan.type);
  run.decoder->set_attention(model::AttentionKind::kDense);

  Evaluation result;
  result.run = text::visible(arguments.run);
  result.provenance = analysis::read_provenance();
  result.device = plan.device.is_cuda() ? "cuda" : "cpu";
  result.precision = plan.type == torch::kBFloat16 ? "bfloat16" : "float32";
  result.bytes = huggingface::reads_bytes(config, train::carried_files(arguments.run));
  result.seed = grid.seed;
  result.copy_length = arguments.copy_length;
  EvalProgress progress(config.model);
  std::optional<train::Corpus> corpus;
  int64_t sequences = 0;
  if (arguments.has("loss")) {
    corpus.emplace(held_out_data(arguments, config, context));
    check_data(*corpus, run.data);
    sequences = std::min(arguments.sequences, corpus->validation_sequences());
    progress.expect(sequences, context);
  }
  const auto cells = static_cast<int64_t>(grid.depths.size()) * grid.trials;
  analysis::TaskGrid shortest = grid;
  shortest.lengths.resize(1);
  for (const int64_t length : grid.lengths)
    progress.expect(cells * (arguments.has("retrieval") + arguments.has("copy")), length);
  if (arguments.has("copy")) progress.expect(cells, shortest.lengths.front());

  catch_stop_signals();
  const auto before = [&](const std::string& task, int64_t tokens) { progress.begin(task, tokens); };
  const analysis::LastLogits logits = analysis::last_logits_of(run.decoder);
  if (corpus) result.loss = take_losses(run.decoder, *corpus, context, sequences, progress);
  if (arguments.has("retrieval")) result.retrieval = analysis::evaluate_retrieval(logits, grid, before);
  if (arguments.has("copy")) {
    result.copy = analysis::evaluate_copying(logits, grid, arguments.copy_length, before);
    model::Decoder untrained = fresh_decoder(config, plan);
    result.untrained = analysis::overall(
        analysis::evaluate_copying(analysis::last_logits_of(untrained), shortest, arguments.copy_length, before));
    result.untrained->length = shortest.lengths.front();
  }
  progress.finish();

  // Files first: whoever reads the tables may have left (| head).
  if (!arguments.json.empty()) io::write_file(arguments.json, evaluation_json(result));
  if (!arguments.html.empty()) write_evaluation_page(arguments.html, result);
  print_evaluation(std::cout, result);
  if (!arguments.html.empty()) std::cout << "\nPage: " << arguments.html << "\n";
}

void add_options(CLI::App* command, EvalArguments& arguments) {
  command->add_option("run", arguments.run, "The run's folder, with config.toml and model.safetensors; or a checkpoint")
      ->required();
  command->add_option("--tasks", arguments.tasks, "Which of loss, retrieval, copy")
      ->transform(one_of({"loss", "retrieval", "copy"}))
      ->capture_default_str();
  command->add_option("--sequences", arguments.sequences, "Held-out sequences for the loss, at most what there is")
      ->transform(whole_number(1, kMostOfAnything))
      ->capture_default_str();
  command
      ->add_option("--context", arguments.context,
                   "Tokens of a sequence for the loss (default: the run's context_length)")
      ->transform(whole_number(1, kMostTokens));
  command
      ->add_option("--lengths", arguments.grid.lengths,
                   "Tokens of the tasks' texts (default: powers of two from 1024 to the run's context_length)")
      ->transform(whole_number(1, kMostTokens));
  command->add_option("--depths", arguments.grid.depths, "Where the tasks hide things, percent of the text")
      ->transform(whole_number(0, 100))
      ->capture_default_str();
  command->add_option("--trials", arguments.grid.trials, "Texts of each length and depth")
      ->transform(whole_number(1, kMostOfAnything))
      ->capture_default_str();
  command->add_option("--copy-length", arguments.copy_length, "Letters of the string to copy")
      ->transform(whole_number(3, kMostOfAnything))
      ->capture_default_str();
  command->add_option("--seed", arguments.grid.seed, "Of the tasks' texts")
      ->transform(seed_number())
      ->capture_default_str();
  add_device_option(command, arguments.device);
  command->add_option("--json", arguments.json, "Write every figure")->type_name("FILE");
  command->add_option("--html", arguments.html, "Write a page with the chart and the grids")->type_name("FILE");
}

}  // namespace

void add_eval_command(CLI::App& program) {
  auto arguments = std::make_shared<EvalArguments>();
  CLI::App* command = program.add_subcommand(
      "eval",
      "Evaluate a model under dense attention: held-out loss by position, retrieval, copying.\n\n"
      "Retrieval hides one digit in random letters and asks for it at the end; copying shows a random string and asks "
      "for it\n"
      "again, for models too small to retrieve. Both are taken at every length and depth, with confidence intervals.");
  command->footer(
      "Examples:\n"
      "  lighthouse eval runs/example-cpu --html eval.html\n"
      "  lighthouse eval runs/example-cpu --tasks copy --lengths 256 512 --trials 20\n"
      "  lighthouse eval runs/example-cpu/checkpoints/step-00000060.safetensors --tasks loss --json eval.json");
  add_options(command, *arguments);
  command->callback([arguments, command] {
    arguments->tasks_named = command->get_option("--tasks")->count() > 0;
    evaluate(*arguments);
  });
}

}  // namespace lighthouse::cli
