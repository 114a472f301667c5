#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <stdexcept>
#include <string>
#include <vector>

#include "cli/commands.h"

namespace lighthouse::cli {
namespace {

/// What Python runs: the module, or one line that says what is missing.
constexpr const char* kStart = R"(import sys
try:
    from lighthouse_attention.tokenize import main
    import tokenizers
except ImportError as error:
    sys.exit(f"lighthouse tokenize: {sys.executable} cannot run it: {error}. Install the Python package with its tokenizers "
             "(pip install --no-build-isolation '.[tokenize]'), or name an interpreter that has them in LIGHTHOUSE_PYTHON.")
except KeyboardInterrupt:
    sys.exit(130)
sys.exit(main(sys.argv[1:])))";

/// Tokenizers are Hugging Face's, in Python. This process becomes that one, so signals and the exit status are its own.
void run_in_python(const std::vector<std::string>& arguments) {
  const char* const named = std::getenv("LIGHTHOUSE_PYTHON");
  std::string python = named != nullptr && *named != '\0' ? named : "python3";
  std::string option = "-c";
  std::string start = kStart;
  std::vector<std::string> rest = arguments;
  std::vector<char*> words = {python.data(), option.data(), start.data()};
  for (auto& argument : rest) words.push_back(argument.data());
  words.push_back(nullptr);
  execvp(python.c_str(), words.data());
  throw std::runtime_error("cannot run " + python + ": " + std::strerror(errno) +
                           ". Expected a Python interpreter; LIGHTHOUSE_PYTHON names another one");
}

}  // namespace

void add_tokenize_command(CLI::App& program) {
  CLI::App* command = program.add_subcommand("tokenize",
                                             "Turn text into a token file, by a Hugging Face tokenizer. Runs the "
                                             "Python package (python3, or LIGHTHOUSE_PYTHON).");
  command->set_help_flag();  // Python answers --help: the options are its own
  command->prefix_command();
  command->callback([command] { run_in_python(command->remaining()); });
}

}  // namespace lighthouse::cli
