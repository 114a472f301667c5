// Options that say what a model reads: a text of bytes, or numbers of tokens.
#pragma once

#include <CLI/App.hpp>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "train/config.h"

namespace lighthouse::cli {

struct PromptArguments {
  std::optional<std::string> text;
  std::string file;
  std::string tokens;
};

void add_prompt_options(CLI::App* command, PromptArguments& arguments);

struct Prompt {
  std::vector<int64_t> tokens;
  std::optional<std::string> text;  ///< None where it was given as numbers.
};

/// Throws std::invalid_argument where none of the options, or more than one, is there, where the numbers are none, and
/// for a text where the model's tokens are not bytes.
Prompt read_prompt(const PromptArguments& arguments, const train::RunConfig& config,
                   const std::filesystem::path& carried);

}  // namespace lighthouse::cli
