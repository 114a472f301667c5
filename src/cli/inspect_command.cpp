#include <sys/ioctl.h>
#include <torch/types.h>
#include <torch/utils.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <limits>
#include <memory>
#include <stdexcept>

#include "cli/commands.h"
#include "cli/inspect_report.h"
#include "cli/number_option.h"
#include "cli/remark.h"
#include "huggingface/byte_tokenizer.h"
#include "text/number_text.h"
#include "text/utf8.h"
#include "train/data_format.h"
#include "train/memory_estimate.h"
#include "train/stored_model.h"

namespace lighthouse::cli {
namespace {

struct InspectArguments {
  std::string run;
  std::string random;
  std::string text;
  int64_t offset = 0;
  std::optional<int64_t> length;
  std::vector<int64_t> layers;
  std::optional<int64_t> num_levels;
  std::optional<int64_t> pooling_factor;
  std::optional<int64_t> top_k;
  bool causal_selection = false;
  bool paper_selection = false;
  std::optional<int64_t> width;
  std::string html;
};

train::LoadedRun load_model(const InspectArguments& arguments) {
  if (arguments.random.empty()) return train::load_run(arguments.run);
  train::LoadedRun run;
  run.config = train::load_config(arguments.random);
  train::expect_weights_fit(run.config.model, train::available_memory_bytes());
  torch::manual_seed(static_cast<uint64_t>(run.config.seed));  // the weights that training would start from
  run.decoder = model::Decoder(run.config.model);
  return run;
}

AttentionOptions attention_options(const train::RunConfig& config, const InspectArguments& arguments) {
  const auto stage =
      std::find_if(config.stages.begin(), config.stages.end(), [](const auto& s) { return s.lighthouse; });
  AttentionOptions options;
  if (stage == config.stages.end()) {
    std::cerr << "No stage of this configuration uses Lighthouse: its [attention] options are taken as they stand.\n";
    static_cast<SelectionOptions&>(options) = config.attention;
  } else {
    options = config.attention_of(*stage);
  }
  options.num_levels = arguments.num_levels.value_or(options.num_levels);
  options.pooling_factor = arguments.pooling_factor.value_or(options.pooling_factor);
  if (arguments.top_k) options.top_k = arguments.top_k;
  if (arguments.causal_selection || arguments.paper_selection) options.causal_selection = arguments.causal_selection;
  options.cover_prefix = options.cover_prefix || options.causal_selection;
  return options;
}

int64_t text_size(const InspectArguments& arguments) {
  std::error_code error;
  const auto size = static_cast<int64_t>(std::filesystem::file_size(arguments.text, error));
  if (error) throw std::runtime_error("cannot read the text " + arguments.text + ": " + error.message());
  if (arguments.offset < 0 || arguments.offset >= size)
    throw std::invalid_argument("--offset must lie within the text " + arguments.text + " of " +
                                text::count_of(size, "byte") + "; got " + std::to_string(arguments.offset));
  return size;
}

/// The bytes to inspect: --length of them, or as many as the run's context has and the text gives.
std::string read_text(const InspectArguments& arguments, int64_t context_length, const PyramidOptions& options) {
  const int64_t available = text_size(arguments) - arguments.offset;
  const std::string there = arguments.text + " has " + text::count_of(available, "byte") +
                            (arguments.offset == 0 ? "" : " from byte " + std::to_string(arguments.offset) + " on");
  const int64_t length = arguments.length.value_or(std::min(context_length, available));
  if (length > available)
    throw std::invalid_argument("--length must be at most what the text has; got " + std::to_string(length) + ", and " +
                                there);
  const int64_t window = Geometry(0, options).coarsest_window_length();
  if (length < window)
    throw std::invalid_argument("expected at least one coarsest window of text, " + text::count_of(window, "byte") +
                                "; got " + std::to_string(length) + ", and " + there);
  std::string bytes(static_cast<size_t>(length), '\0');
  std::ifstream file(arguments.text, std::ios::binary);
  file.seekg(arguments.offset);
  file.read(bytes.data(), length);
  if (!file) throw std::runtime_error("cannot read the text " + arguments.text);
  return bytes;
}

torch::Tensor tokens_of(const std::string& text) {
  torch::Tensor tokens = torch::empty({static_cast<int64_t>(text.size())}, torch::kInt64);
  std::transform(text.begin(), text.end(), tokens.data_ptr<int64_t>(),
                 [](char c) { return static_cast<unsigned char>(c); });
  return tokens;
}

int64_t terminal_width() {
  winsize size{};
  return ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : 100;
}

/// By the first of the variables that is set, as in setlocale.
bool locale_is_utf8() {
  for (const char* name : {"LC_ALL", "LC_CTYPE", "LANG"}) {
    const char* value = std::getenv(name);
    if (value == nullptr || *value == '\0') continue;
    const std::string locale = value;
    return locale.find("UTF-8") != std::string::npos || locale.find("utf8") != std::string::npos;
  }
  return false;
}

void inspect(const InspectArguments& arguments) {
  if (arguments.run.empty() && arguments.random.empty())
    throw CLI::RequiredError("A run's folder, or --random CONFIG,");
  train::LoadedRun run = load_model(arguments);
  print_remark(run.remark);
  huggingface::expect_bytes(run.config,
                            arguments.random.empty() ? train::carried_files(arguments.run) : std::filesystem::path(),
                            "inspect reads texts, whose tokens are bytes");
  train::expect_text(arguments.text, train::take_sample(io::PiecewiseFile(arguments.text)), /*by_name=*/false);
  if (run.config.training.num_threads > 0) at::set_num_threads(static_cast<int>(run.config.training.num_threads));
  const AttentionOptions options = attention_options(run.config, arguments);
  std::vector<int64_t> layers = arguments.layers;
  if (layers.empty()) layers = analysis::lighthouse_layers(run.config.model);
  std::string text = read_text(arguments, run.config.data.context_length, options);
  const std::string model = arguments.random.empty() ? arguments.run : "random weights of " + arguments.random;
  auto map = analysis::map_selection(run.decoder, tokens_of(text), options, layers);
  const Inspection inspection{text::visible(model), text::visible(arguments.text), arguments.offset, std::move(text),
                              std::move(map)};
  print_inspection(std::cout, inspection, arguments.width.value_or(terminal_width()), locale_is_utf8());
  if (arguments.html.empty()) return;
  write_inspection_page(arguments.html, inspection);
  std::cout << "\nPage: " << arguments.html << "\n";
}

void add_options(CLI::App* command, InspectArguments& arguments) {
  auto* run = command->add_option("run", arguments.run, "The run's folder, with config.toml and model.safetensors");
  command->add_option("--random", arguments.random, "In place of a run: a configuration, for untrained weights")
      ->type_name("CONFIG")
      ->excludes(run);
  command->add_option("--text", arguments.text, "The text to select on, any file")->required()->type_name("FILE");
  command->add_option("--offset", arguments.offset, "Byte of the text to start at")
      ->transform(whole_number(0, std::numeric_limits<int64_t>::max()))
      ->capture_default_str();
  command
      ->add_option("--length", arguments.length, "Bytes to take (default: the run's context_length, or what there is)")
      ->transform(whole_number(1, kMostTokens));
  command->add_option("--layer", arguments.layers, "Only this layer. May be given several times")
      ->transform(whole_number(0, kMostOfAnything))
      ->allow_extra_args(false);
  command->add_option("--num-levels", arguments.num_levels, "In place of the run's attention.num_levels")
      ->transform(whole_number(1, Geometry::kMaxLevels));
  command->add_option("--pooling-factor", arguments.pooling_factor, "In place of the run's attention.pooling_factor")
      ->transform(whole_number(2, kMostTokens));
  command->add_option("--top-k", arguments.top_k, "In place of its first Lighthouse stage's top_k: even")
      ->transform(whole_number(2, kMostTokens));
  auto* causal = command->add_flag("--causal-selection", arguments.causal_selection,
                                   "Select by the locally causal rule, whatever the run did");
  command->add_flag("--paper-selection", arguments.paper_selection, "Select by the paper's rule, whatever the run did")
      ->excludes(causal);
  command->add_option("--width", arguments.width, "Columns to print (default: the terminal's, else 100)")
      ->transform(whole_number(30, 10'000));
  command->add_option("--html", arguments.html, "Write a page with strips, overlaps and the shaded text")
      ->type_name("FILE");
}

}  // namespace

void add_inspect_command(CLI::App& program) {
  auto arguments = std::make_shared<InspectArguments>();
  CLI::App* command = program.add_subcommand(
      "inspect",
      "Show what selection keeps of a text, by layer and head.\n\n"
      "The model reads the text once with Lighthouse attention. For each layer and key/value head you see which parts "
      "stay at\n"
      "full detail (level 0) and which are left as means of windows; how far heads agree, beside what chance would "
      "give; and the\n"
      "passages that most heads keep.");
  command->footer(
      "Examples:\n"
      "  lighthouse inspect runs/example-cpu --text README.md --html inspect.html\n"
      "  lighthouse inspect runs/example-cpu --text README.md --layer 2 --top-k 16\n"
      "  lighthouse inspect --random configs/example-cpu.toml --text README.md   # before any training");
  add_options(command, *arguments);
  command->callback([arguments] { inspect(*arguments); });
}

}  // namespace lighthouse::cli
