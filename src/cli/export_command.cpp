#include <CLI/CLI.hpp>
#include <cctype>
#include <charconv>
#include <cmath>
#include <iostream>
#include <limits>
#include <memory>
#include <stdexcept>

#include "cli/commands.h"
#include "cli/remark.h"
#include "huggingface/export_model.h"
#include "report/line_chart.h"

namespace lighthouse::cli {
namespace {

struct ExportArguments {
  std::string run;
  std::string to = "hf";
  std::string folder;
  std::string dtype = "stored";
  std::string max_shard_size = "5GB";
  bool overwrite = false;
};

std::optional<torch::ScalarType> type_of(const std::string& name) {
  if (name == "stored") return std::nullopt;
  if (name == "float32") return torch::kFloat;
  if (name == "bfloat16") return torch::kBFloat16;
  if (name == "float16") return torch::kHalf;
  throw std::invalid_argument("--dtype must be stored, float32, bfloat16 or float16; got " + name);
}

/// "5GB", "500MB", "20KB" or bytes, by powers of ten.
uint64_t bytes_of(const std::string& text) {
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  std::string unit(end, text.data() + text.size());
  for (char& c : unit) c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  const double scale = unit.empty() || unit == "B" ? 1
                       : unit == "KB"              ? 1e3
                       : unit == "MB"              ? 1e6
                       : unit == "GB"              ? 1e9
                                                   : 0;
  const double bytes = value * scale;
  if (error != std::errc{} || !(bytes >= 1) || bytes > 9e18) {
    throw std::invalid_argument("--max-shard-size must be a size such as 5GB, 500MB or 20KB; got " + text);
  }
  return static_cast<uint64_t>(bytes);
}

void export_run(const ExportArguments& arguments) {
  if (arguments.to != "hf") throw std::invalid_argument("--to must be hf; got " + arguments.to);
  huggingface::ExportOptions options;
  options.type = type_of(arguments.dtype);
  options.max_shard_bytes = bytes_of(arguments.max_shard_size);
  options.overwrite = arguments.overwrite;
  const auto done = huggingface::export_model(arguments.run, arguments.folder, options);
  print_remark(done.remark);
  std::cout << arguments.folder << ": a LlamaForCausalLM of "
            << report::short_number(static_cast<double>(done.parameters)) << " parameters in " << done.dtype
            << ", with " << (done.tokenizer.empty() ? "no tokenizer" : "a tokenizer " + done.tokenizer) << "\n";
}

}  // namespace

void add_export_command(CLI::App& program) {
  auto arguments = std::make_shared<ExportArguments>();
  CLI::App* command = program.add_subcommand(
      "export",
      "Write a model in Hugging Face's format.\n\n"
      "Any tool that reads a Llama loads the folder: it is an ordinary dense model, whatever it was trained with. A "
      "model\n"
      "whose tokens are bytes gets a tokenizer of bytes; an imported one keeps its own.");
  command->footer(
      "Examples:\n"
      "  lighthouse export runs/example-cpu --to hf exported\n"
      "  lighthouse export runs/example-cpu/checkpoints/step-00000060.safetensors --to hf exported --dtype bfloat16");
  command
      ->add_option("run", arguments->run, "The run's folder, a checkpoint's file, or the folder of an imported model")
      ->required();
  command->add_option("folder", arguments->folder, "The folder to write")->required();
  command->add_option("--to", arguments->to, "The format: hf, Hugging Face's")->capture_default_str();
  command->add_option("--dtype", arguments->dtype, "Of the tensors: stored (as they are), float32, bfloat16 or float16")
      ->capture_default_str();
  command
      ->add_option("--max-shard-size", arguments->max_shard_size,
                   "Of a file; larger models get several, and an index that lists them")
      ->capture_default_str();
  command->add_flag("--overwrite", arguments->overwrite, "Replace a model that is in the folder already");
  command->callback([arguments] { export_run(*arguments); });
}

}  // namespace lighthouse::cli
