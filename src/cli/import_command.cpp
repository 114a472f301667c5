#include <CLI/CLI.hpp>
#include <iostream>
#include <memory>

#include "cli/commands.h"
#include "huggingface/import_model.h"
#include "report/line_chart.h"
#include "text/command_name.h"
#include "text/number_text.h"

namespace lighthouse::cli {
namespace {

struct ImportArguments {
  std::string folder;
  std::string out;
};

void import_folder(const ImportArguments& arguments) {
  const auto done = huggingface::import_model(arguments.folder, arguments.out);
  for (const std::string& tensor : done.left_out) std::cerr << "Left out " << tensor << ".\n";
  const model::ModelConfig& m = done.model;
  std::cout << arguments.out << ": " << report::short_number(static_cast<double>(done.parameters)) << " parameters, "
            << text::count_of(m.num_hidden_layers, "layer") << " of width " << m.hidden_size << ", "
            << m.num_attention_heads << " query and " << m.num_key_value_heads << " key/value heads of " << m.head_dim
            << ", context " << done.max_position_embeddings << "\n"
            << "Train from it: " << text::command() << " train CONFIG --init " << text::shell_word(arguments.out)
            << "\n";
}

}  // namespace

void add_import_command(CLI::App& program) {
  auto arguments = std::make_shared<ImportArguments>();
  CLI::App* command = program.add_subcommand(
      "import",
      "Read a model in Hugging Face's format: a Llama, or a Mistral without a sliding window.\n\n"
      "The folder that it writes is one that train --init starts from and that generate, logits, eval and export read. "
      "Tensors\n"
      "keep their types, so that an export of it has the same bytes. What this program does not compute is refused by "
      "the\n"
      "name of its key.");
  command->footer(
      "Examples:\n"
      "  lighthouse import ~/models/Llama-3.2-1B --out models/llama-1b\n"
      "  lighthouse train longer.toml --init models/llama-1b");
  command
      ->add_option("folder", arguments->folder,
                   "A folder with config.json and model.safetensors, or several files and their index")
      ->required();
  command->add_option("--out", arguments->out, "The folder to write")->required()->type_name("FOLDER");
  command->callback([arguments] { import_folder(*arguments); });
}

}  // namespace lighthouse::cli
