#include "cli/prompt.h"

#include <CLI/CLI.hpp>
#include <charconv>
#include <fstream>
#include <iostream>
#include <iterator>
#include <stdexcept>

#include "huggingface/byte_tokenizer.h"
#include "inference/generate.h"
#include "train/data_format.h"
#include "train/token_source.h"

namespace lighthouse::cli {
namespace {

constexpr const char* kStandardInput = "-";
constexpr const char* kSeparators = ", \t\r\n";

std::string read_text(const std::string& option, const std::string& name) {
  if (name == kStandardInput) return {std::istreambuf_iterator<char>(std::cin), {}};
  std::ifstream file(name, std::ios::binary);
  if (!file || std::filesystem::is_directory(name)) throw std::runtime_error(option + ": cannot read " + name);
  return {std::istreambuf_iterator<char>(file), {}};
}

/// Refuses what is of another known kind: compressed files, arrays, UTF-16.
void expect_text(const std::string& option, const std::string& name, const std::string& text) {
  train::expect_text(option + ": " + (name == kStandardInput ? "standard input" : name), train::take_sample(text),
                     /*by_name=*/false);
}

std::vector<int64_t> numbers_in(const std::string& text, const std::string& source) {
  std::vector<int64_t> numbers;
  for (size_t begin = text.find_first_not_of(kSeparators); begin != std::string::npos;) {
    const size_t end = std::min(text.find_first_of(kSeparators, begin), text.size());
    int64_t number = 0;
    const auto parsed = std::from_chars(text.data() + begin, text.data() + end, number);
    if (parsed.ec != std::errc{} || parsed.ptr != text.data() + end) {
      throw std::invalid_argument("--tokens: expected whole numbers in " + source + "; got \"" +
                                  text.substr(begin, std::min<size_t>(end - begin, 40)) + "\"");
    }
    numbers.push_back(number);
    begin = text.find_first_not_of(kSeparators, end);
  }
  return numbers;
}

/// A list, a file of tokens as training data has them, or a text of numbers.
std::vector<int64_t> read_tokens(const std::string& argument, int64_t vocab_size) {
  if (argument.find_first_not_of(std::string("0123456789") + kSeparators) == std::string::npos) {
    return numbers_in(argument, "the list");
  }
  if (train::lower_extension(argument) != ".bin") {
    const std::string text = read_text("--tokens", argument);
    expect_text("--tokens", argument, text);
    return numbers_in(text, argument == kStandardInput ? "standard input" : argument);
  }
  const train::TokenSource source(argument, train::DataFormat::kAuto, vocab_size);
  std::vector<int64_t> tokens(static_cast<size_t>(source.num_tokens()));
  source.read(0, source.num_tokens(), tokens.data());
  return tokens;
}

}  // namespace

void add_prompt_options(CLI::App* command, PromptArguments& arguments) {
  auto* text = command->add_option("--prompt", arguments.text, "The text to read");
  auto* file = command->add_option("--prompt-file", arguments.file, "A file with the text; - is standard input")
                   ->type_name("FILE")
                   ->excludes(text);
  command
      ->add_option("--tokens", arguments.tokens,
                   "Numbers of tokens instead, for models whose tokens are not bytes: a list such as 1,2,3, a file of "
                   "numbers, - for standard input, or a .bin file as training reads it")
      ->type_name("TOKENS")
      ->excludes(text)
      ->excludes(file);
}

Prompt read_prompt(const PromptArguments& arguments, const train::RunConfig& config,
                   const std::filesystem::path& carried) {
  if (!arguments.tokens.empty()) return {read_tokens(arguments.tokens, config.model.vocab_size), std::nullopt};
  if (!arguments.text && arguments.file.empty()) {
    throw std::invalid_argument("expected --prompt, --prompt-file or --tokens; got none");
  }
  huggingface::expect_bytes(config, carried, "pass their numbers by --tokens");
  std::string text = arguments.text ? *arguments.text : read_text("--prompt-file", arguments.file);
  if (!arguments.text) expect_text("--prompt-file", arguments.file, text);
  std::vector<int64_t> tokens = inference::bytes_as_tokens(text);
  return {std::move(tokens), std::move(text)};
}

}  // namespace lighthouse::cli
