#include <torch/types.h>
#include <torch/utils.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <iostream>
#include <limits>
#include <memory>
#include <nlohmann/json.hpp>

#include "cli/commands.h"
#include "cli/compute_options.h"
#include "cli/number_option.h"
#include "cli/number_text.h"
#include "cli/output_file.h"
#include "cli/prompt.h"
#include "cli/remark.h"
#include "huggingface/special_tokens.h"
#include "inference/generate.h"
#include "io/atomic_file.h"
#include "io/json.h"
#include "text/number_text.h"
#include "text/utf8.h"
#include "train/memory_estimate.h"
#include "train/stored_model.h"

namespace lighthouse::cli {
namespace {

struct GenerateArguments {
  std::string run;
  PromptArguments prompt;
  ComputeArguments compute;
  inference::GenerateOptions options;
  std::vector<int64_t> stop;
  bool no_stop = false;
  std::string json;
};

/// The speeds, without the first token of each part: a rate needs a time.
double rate(size_t tokens, double seconds) { return seconds > 0 ? static_cast<double>(tokens) / seconds : 0; }

/// ", 12.3 tokens/s", or nothing where none was measured.
std::string rate_text(double tokens_per_second) {
  if (tokens_per_second <= 0) return "";
  return ", " + number(tokens_per_second < 100 ? "%.1f" : "%.0f", tokens_per_second) + " tokens/s";
}

/// New tokens as they come. To a terminal nothing goes that it could take for a command; a file or a pipe gets the
/// bytes.
class GeneratedText {
 public:
  explicit GeneratedText(bool bytes) : bytes_(bytes), terminal_(isatty(STDOUT_FILENO) == 1) {}

  void prompt(const std::string& text) {
    for (const char c : text) add_byte(c);
    std::cout << std::flush;
  }

  void token(int64_t token) {
    if (bytes_) {
      add_byte(static_cast<char>(token));
    } else {
      std::cout << (first_ ? "" : " ") << token;
    }
    first_ = false;
    std::cout << std::flush;
  }

  void finish() { std::cout << visible_.finish() << std::endl; }

 private:
  void add_byte(char byte) {
    if (terminal_) {
      std::cout << visible_.add(byte);
    } else {
      std::cout << byte;
    }
  }

  bool bytes_;
  bool terminal_;
  bool first_ = true;
  text::VisibleStream visible_;
};

void report_generation(const GenerateArguments& arguments, const train::ComputePlan& plan, size_t prompt,
                       const inference::Generated& result) {
  // The first new token comes with the prompt.
  const size_t later = result.tokens.empty() ? 0 : result.tokens.size() - 1;
  const double prompt_rate = rate(prompt, result.prompt_seconds);
  const double new_rate = rate(later, result.seconds);
  std::cerr << text::count_of(static_cast<int64_t>(prompt), "token");
  if (result.prompt_seconds > 0) std::cerr << " read in " << number("%.2f s", result.prompt_seconds);
  std::cerr << rate_text(prompt_rate) << "; " << text::count_of(static_cast<int64_t>(result.tokens.size()), "new token")
            << rate_text(new_rate) << (result.ended ? "; ended by the model" : "") << "\n";
  if (arguments.json.empty()) return;
  const nlohmann::ordered_json figures = {{"run", arguments.run},
                                          {"device", plan.device.is_cuda() ? "cuda" : "cpu"},
                                          {"precision", plan.type == torch::kBFloat16 ? "bfloat16" : "float32"},
                                          {"threads", at::get_num_threads()},
                                          {"prompt_tokens", prompt},
                                          {"prompt_seconds", result.prompt_seconds},
                                          {"prompt_tokens_per_second", prompt_rate},
                                          {"new_tokens", result.tokens.size()},
                                          {"new_seconds", result.seconds},
                                          {"new_tokens_per_second", new_rate},
                                          {"ended", result.ended},
                                          {"tokens", result.tokens}};
  io::write_file(arguments.json, io::json_text(figures, 2) + "\n");
}

void warn_of_length(int64_t length, int64_t trained) {
  if (length <= trained) return;
  std::cerr << "The text may grow to " << text::count_of(length, "token") << "; the model was trained on " << trained
            << ".\n";
}

/// A token that the model never gives would end nothing.
void check_stop(const std::vector<int64_t>& stop, int64_t choices) {
  for (const int64_t token : stop) {
    if (token < choices) continue;
    throw std::invalid_argument("--stop must name tokens that the model can give, 0 to " + std::to_string(choices - 1) +
                                "; got " + std::to_string(token));
  }
}

/// Refuses a text whose keys and values the device cannot hold: a system that runs out of memory ends the program
/// without a word.
void expect_room(const train::ComputePlan& plan, const model::ModelConfig& model, int64_t length) {
  const auto of_token = 2.0 *
                        static_cast<double>(model.num_hidden_layers * model.num_key_value_heads * model.head_dim) *
                        static_cast<double>(torch::elementSize(plan.type));
  const double needed = of_token * static_cast<double>(length);
  if (needed <= plan.memory_bytes) return;
  throw std::invalid_argument("--max-new-tokens: keys and values of " + text::count_of(length, "token") + " need " +
                              text::bytes_text(needed) + " of memory; the device has " +
                              text::bytes_text(plan.memory_bytes) + ". Generate fewer");
}

void generate_text(GenerateArguments& arguments) {
  check_folder_of("--json", arguments.json);
  inference::check(arguments.options);
  const train::ComputePlan plan = choose_compute(arguments.compute);
  train::StoredModel stored = train::read_stored_model(arguments.run);
  print_remark(stored.remark);
  const Prompt prompt = read_prompt(arguments.prompt, stored.config, stored.carried);
  inference::expect_tokens(prompt.tokens, stored.config.model.vocab_size);
  inference::GenerateOptions& options = arguments.options;
  constexpr int64_t kBytes = 256;
  if (prompt.text) options.num_choices = kBytes;
  check_stop(arguments.stop, prompt.text ? kBytes : stored.config.model.vocab_size);
  options.end = !arguments.stop.empty() ? arguments.stop : huggingface::end_tokens(stored.carried);
  if (arguments.no_stop) options.end.clear();
  const int64_t length = static_cast<int64_t>(prompt.tokens.size()) + options.max_new_tokens;
  expect_room(plan, stored.config.model, length);
  warn_of_length(length, stored.config.data.context_length);
  inference::Session session(stored.config.model, std::move(stored.weights), {plan.device, plan.type, length});

  GeneratedText out(prompt.text.has_value());
  if (prompt.text) out.prompt(*prompt.text);
  const auto result = inference::generate(session, prompt.tokens, options, [&](int64_t token) { out.token(token); });
  out.finish();
  report_generation(arguments, plan, prompt.tokens.size(), result);
}

}  // namespace

void add_generate_command(CLI::App& program) {
  auto arguments = std::make_shared<GenerateArguments>();
  CLI::App* command = program.add_subcommand(
      "generate",
      "Continue a text with a trained model, under dense attention with a key/value cache.\n\n"
      "The text goes to standard output as it comes; on a terminal, bytes that it could take for commands are shown as "
      "\\xNN.\n"
      "A prompt of numbers (--tokens) is continued by numbers. Speeds are printed to standard error at the end.");
  command->footer(
      "Examples:\n"
      "  lighthouse generate runs/example-cpu --prompt 'def main' --max-new-tokens 200\n"
      "  lighthouse generate runs/example-cpu --prompt-file - --temperature 0 < story.txt\n"
      "  lighthouse generate models/llama-1b --tokens 128000,791,6864,315,9822,374 --device cuda");
  command
      ->add_option("run", arguments->run, "The run's folder, a checkpoint's file, or the folder of an imported model")
      ->required();
  add_prompt_options(command, arguments->prompt);
  inference::SamplingOptions& sampling = arguments->options.sampling;
  command->add_option("--max-new-tokens", arguments->options.max_new_tokens, "Tokens to generate, bytes of a text")
      ->transform(whole_number(0, std::numeric_limits<int32_t>::max()))
      ->capture_default_str();
  command->add_option("--temperature", sampling.temperature, "0: always the likeliest token")
      ->transform(zero_or_number(inference::kLeastTemperature, inference::kMostTemperature))
      ->capture_default_str();
  command->add_option("--top-p", sampling.top_p, "Draw from the likeliest tokens that hold this probability")
      ->transform(real_number_above(0, 1))
      ->capture_default_str();
  command->add_option("--seed", sampling.seed, "Of the draws")->transform(seed_number())->capture_default_str();
  auto* stop = command
                   ->add_option("--stop", arguments->stop,
                                "Tokens that end the text (default: those of an imported model's configuration)")
                   ->transform(whole_number(0, std::numeric_limits<int32_t>::max()));
  command->add_flag("--no-stop", arguments->no_stop, "Let no token end the text")->excludes(stop);
  add_compute_options(command, arguments->compute);
  command->add_option("--json", arguments->json, "Write the tokens and the speeds")->type_name("FILE");
  command->callback([arguments] { generate_text(*arguments); });
}

}  // namespace lighthouse::cli
