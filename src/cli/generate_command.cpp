#include <torch/types.h>
#include <torch/utils.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>

#include "cli/commands.h"
#include "cli/compute_options.h"
#include "cli/output_file.h"
#include "cli/prompt.h"
#include "huggingface/special_tokens.h"
#include "inference/generate.h"
#include "io/atomic_file.h"
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

void report(const GenerateArguments& arguments, const train::ComputePlan& plan, size_t prompt,
            const inference::Generated& result) {
  // The first new token comes with the prompt.
  const size_t later = result.tokens.empty() ? 0 : result.tokens.size() - 1;
  const double prompt_rate = rate(prompt, result.prompt_seconds);
  const double new_rate = rate(later, result.seconds);
  std::fprintf(stderr, "%zu tokens read in %.2f s (%.0f tokens/s); %zu new ones, %.1f tokens/s%s\n", prompt,
               result.prompt_seconds, prompt_rate, result.tokens.size(), new_rate,
               result.ended ? "; ended by the model" : "");
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
  io::write_file(arguments.json, figures.dump(2) + "\n");
}

void warn_of_length(int64_t length, int64_t trained) {
  if (length <= trained) return;
  std::cerr << "The text may grow to " << length << " tokens; the model was trained on " << trained << ".\n";
}

void generate_text(GenerateArguments& arguments) {
  check_folder_of("--json", arguments.json);
  inference::check(arguments.options);
  const train::ComputePlan plan = choose_compute(arguments.compute);
  train::StoredModel stored = train::read_stored_model(arguments.run);
  const Prompt prompt = read_prompt(arguments.prompt, stored.config, stored.carried);
  inference::expect_tokens(prompt.tokens, stored.config.model.vocab_size);
  inference::GenerateOptions& options = arguments.options;
  constexpr int64_t kBytes = 256;
  if (prompt.text) options.num_choices = kBytes;
  options.end = !arguments.stop.empty() ? arguments.stop : huggingface::end_tokens(stored.carried);
  if (arguments.no_stop) options.end.clear();
  const int64_t length = static_cast<int64_t>(prompt.tokens.size()) + options.max_new_tokens;
  warn_of_length(length, stored.config.data.context_length);
  inference::Session session(stored.config.model, std::move(stored.weights), {plan.device, plan.type, length});

  if (prompt.text) std::cout << *prompt.text << std::flush;
  bool first = true;
  const auto result = inference::generate(session, prompt.tokens, options, [&](int64_t token) {
    if (prompt.text) {
      std::cout << static_cast<char>(token) << std::flush;
    } else {
      std::cout << (first ? "" : " ") << token << std::flush;
    }
    first = false;
  });
  std::cout << std::endl;
  report(arguments, plan, prompt.tokens.size(), result);
}

}  // namespace

void add_generate_command(CLI::App& program) {
  auto arguments = std::make_shared<GenerateArguments>();
  CLI::App* command =
      program.add_subcommand("generate",
                             "Continue a text with a trained model, under dense attention with a key/value cache.\n\n"
                             "The text goes to standard output as it comes. A prompt of numbers (--tokens) is "
                             "continued by numbers. Speeds are "
                             "printed\n"
                             "to standard error at the end.");
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
      ->capture_default_str();
  command->add_option("--temperature", sampling.temperature, "0: always the likeliest token")->capture_default_str();
  command->add_option("--top-p", sampling.top_p, "Draw from the likeliest tokens that hold this probability")
      ->capture_default_str();
  command->add_option("--seed", sampling.seed, "Of the draws")->check(refuse_negative)->capture_default_str();
  auto* stop = command->add_option("--stop", arguments->stop,
                                   "Tokens that end the text (default: those of an imported model's configuration)");
  command->add_flag("--no-stop", arguments->no_stop, "Let no token end the text")->excludes(stop);
  add_compute_options(command, arguments->compute);
  command->add_option("--json", arguments->json, "Write the tokens and the speeds")->type_name("FILE");
  command->callback([arguments] { generate_text(*arguments); });
}

}  // namespace lighthouse::cli
