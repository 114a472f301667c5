#include <torch/types.h>
#include <torch/utils.h>

#include <CLI/CLI.hpp>
#include <iostream>
#include <memory>

#include "cli/commands.h"
#include "cli/compute_options.h"
#include "cli/output_file.h"
#include "cli/prompt.h"
#include "cli/remark.h"
#include "inference/generate.h"
#include "model/safetensors.h"
#include "text/number_text.h"
#include "train/stored_model.h"

namespace lighthouse::cli {
namespace {

struct LogitsArguments {
  std::string run;
  PromptArguments prompt;
  ComputeArguments compute{"auto", "float32", 0};
  std::string out;
};

void write_logits(const LogitsArguments& arguments) {
  check_folder_of("--out", arguments.out);
  const train::ComputePlan plan = choose_compute(arguments.compute);
  train::LoadedRun run = train::load_run(arguments.run);
  print_remark(run.remark);
  const Prompt prompt = read_prompt(arguments.prompt, run.config, train::carried_files(arguments.run));
  inference::expect_tokens(prompt.tokens, run.config.model.vocab_size);
  run.decoder->to(plan.device);
  run.decoder->set_compute_type(plan.type);
  const torch::NoGradGuard no_grad;
  const torch::Tensor tokens = torch::tensor(prompt.tokens, torch::kInt64);
  const torch::Tensor logits =
      run.decoder->forward(tokens.unsqueeze(0).to(plan.device))[0].to(torch::kCPU, torch::kFloat);
  model::write_safetensors(arguments.out, {{"logits", logits}, {"tokens", tokens}});
  std::cout << arguments.out << ": logits of " << text::count_of(static_cast<int64_t>(prompt.tokens.size()), "token")
            << ", float32 " << logits.sizes() << "\n";
}

}  // namespace

void add_logits_command(CLI::App& program) {
  auto arguments = std::make_shared<LogitsArguments>();
  CLI::App* command = program.add_subcommand(
      "logits",
      "Write a model's logits for a text, under dense attention: to compare an export with what it came from.\n\n"
      "The file is a safetensors one with logits, float32 [tokens, vocabulary], and tokens, int64.");
  command->footer(
      "Examples:\n"
      "  lighthouse logits runs/example-cpu --prompt 'def main' --out logits.safetensors\n"
      "  lighthouse logits models/llama-1b --tokens ids.txt --out logits.safetensors");
  command
      ->add_option("run", arguments->run, "The run's folder, a checkpoint's file, or the folder of an imported model")
      ->required();
  add_prompt_options(command, arguments->prompt);
  command->add_option("--out", arguments->out, "The file to write")->required()->type_name("FILE");
  add_compute_options(command, arguments->compute);
  command->callback([arguments] { write_logits(*arguments); });
}

}  // namespace lighthouse::cli
