#include <CLI/CLI.hpp>
#include <iostream>
#include <memory>

#include "cli/commands.h"
#include "inference/generate.h"
#include "train/run_folder.h"

namespace lighthouse::cli {
namespace {

struct GenerateArguments {
  std::string run;
  std::string prompt;
  inference::GenerateOptions options;
};

void generate_text(const GenerateArguments& arguments) {
  train::LoadedRun run = train::load_run(arguments.run);
  std::cout << arguments.prompt << std::flush;
  inference::generate(run.decoder, arguments.prompt, arguments.options, [](char c) { std::cout << c << std::flush; });
  std::cout << "\n";
}

}  // namespace

void add_generate_command(CLI::App& program) {
  auto arguments = std::make_shared<GenerateArguments>();
  CLI::App* command = program.add_subcommand(
      "generate", "Continue a text with a trained model, under dense attention with a key/value cache.");
  command->footer("Example:\n  lighthouse generate runs/example-cpu --prompt 'def main' --max-new-tokens 200");
  command->add_option("run", arguments->run, "The run's folder, with config.toml and model.safetensors")->required();
  command->add_option("--prompt", arguments->prompt, "The text to continue")->required();
  command->add_option("--max-new-tokens", arguments->options.max_new_tokens, "Bytes to generate")
      ->capture_default_str();
  command->add_option("--temperature", arguments->options.temperature, "0: always the likeliest byte")
      ->capture_default_str();
  command->add_option("--top-p", arguments->options.top_p, "Draw from the likeliest bytes that hold this probability")
      ->capture_default_str();
  command->add_option("--seed", arguments->options.seed, "Of the draws")->capture_default_str();
  command->callback([arguments] { generate_text(*arguments); });
}

}  // namespace lighthouse::cli
