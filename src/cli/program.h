// The program's parser with all commands, and what becomes of a command line.
#pragma once

#include <CLI/App.hpp>
#include <memory>
#include <string>

namespace lighthouse::cli {

std::unique_ptr<CLI::App> make_parser();

/// What is wrong with a command line that did not parse, with the command or option that a mistyped one may have meant.
std::string usage_error(const CLI::App& program, const CLI::Error& error);

/// Parses, runs the command and prints what goes wrong. Returns the exit status: 0, 1 for a failure, 2 for a command
/// line that does not parse, or what the command says (128 and a signal's number where one stopped it).
int run_program(int argc, const char* const* argv);

}  // namespace lighthouse::cli
