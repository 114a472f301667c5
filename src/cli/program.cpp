#include "cli/program.h"

#include <c10/util/Exception.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <iostream>
#include <regex>
#include <vector>

#include "cli/commands.h"
#include "cli/stop_signal.h"
#include "text/command_name.h"
#include "text/nearest_word.h"
#include "text/utf8.h"
#include "train/environment.h"

namespace lighthouse::cli {
namespace {

/// Examples in help texts begin lines with "  lighthouse ": with what this program was started by instead.
std::string with_command(std::string footer) {
  const std::string plain = "  lighthouse ";
  const std::string started = "  " + text::command() + " ";
  for (size_t at = footer.find(plain); at != std::string::npos; at = footer.find(plain, at + started.size())) {
    if (at == 0 || footer[at - 1] == '\n') footer.replace(at, plain.size(), started);
  }
  return footer;
}

const CLI::App& given_command(const CLI::App& program) {
  const auto given = program.get_subcommands();
  return given.empty() ? program : *given.front();
}

std::string name_of_command(const CLI::App& command) {
  return command.get_parent() == nullptr ? "lighthouse" : "lighthouse " + command.get_name();
}

std::vector<std::string> names_of_commands(const CLI::App& program) {
  std::vector<std::string> names;
  for (const CLI::App* command : program.get_subcommands([](const CLI::App*) { return true; }))
    names.push_back(command->get_name());
  return names;
}

std::vector<std::string> names_of_options(const CLI::App& command) {
  std::vector<std::string> names;
  for (const CLI::Option* option : command.get_options()) {
    for (const auto& name : option->get_lnames()) names.push_back("--" + name);
  }
  return names;
}

std::string did_you_mean(const std::string& word, const std::vector<std::string>& candidates) {
  const auto nearest = text::nearest_word(word, candidates);
  return nearest ? "; did you mean " + *nearest + "?" : "";
}

/// An option that the command does not have; empty where all are known.
std::string unknown_option(const CLI::App& command) {
  for (const auto& word : command.remaining()) {
    if (word.size() < 2 || word.front() != '-') continue;
    const std::string name = word.substr(0, word.find('='));
    return "no such option: " + name + did_you_mean(name, names_of_options(command));
  }
  return "";
}

/// What the parser says of missing and of repeated values.
std::string plain_words(const std::string& text) {
  static const std::regex missing("(\\S+): 1 required (.+) missing");
  static const std::regex repeated("(\\S+): At Most 1 required but received (\\d+)");
  static const std::regex flag("Could not convert: (\\S+) = (.*)");
  std::smatch parts;
  if (std::regex_match(text, parts, missing)) return parts.str(1) + " takes a value (" + parts.str(2) + "); got none";
  if (std::regex_match(text, parts, repeated))
    return parts.str(1) + " may be given once; got " + parts.str(2) + " values";
  if (std::regex_match(text, parts, flag))
    return parts.str(1) + " must be given alone, or as true or false; got " + parts.str(2);
  return text;
}

std::string what_is_wrong(const CLI::App& program, const CLI::App& command, const CLI::Error& error) {
  const auto left = command.remaining();
  const auto commands = names_of_commands(program);
  // What is unknown is said first: that a required argument is missing is often only its consequence.
  const std::string unknown = unknown_option(command);
  if (!unknown.empty()) return unknown;
  if (&command == &program && (left == std::vector<std::string>{"help"} || left == std::vector<std::string>{"version"}))
    return "no such command: " + left.front() + "; did you mean --" + left.front() + "?";
  if (&command == &program && !left.empty())
    return "no such command: " + left.front() + did_you_mean(left.front(), commands);
  if (&command == &program) return "expected a command: " + text::joined(commands) + "; got none";
  if (!left.empty() && dynamic_cast<const CLI::ExtrasError*>(&error) != nullptr)
    return "one argument too many: " + left.front();
  return plain_words(error.what());
}

/// The first line of an error, without torch's stack trace.
std::string message_of(const std::exception& error) {
  const auto* torch_error = dynamic_cast<const c10::Error*>(&error);
  return torch_error != nullptr ? torch_error->what_without_backtrace() : error.what();
}

}  // namespace

std::unique_ptr<CLI::App> make_parser() {
  auto program = std::make_unique<CLI::App>(
      "Trains language models at long context with Lighthouse attention.\n\n"
      "Most steps train on a short causal sub-sequence that is selected and pooled layer by layer; a short dense "
      "stage\n"
      "follows, and the model that comes out is an ordinary dense one.");
  program->name("lighthouse");
  program->set_version_flag("--version", [] { return "lighthouse " + train::environment().at("lighthouse"); });
  program->require_subcommand(1);
  add_train_command(*program);
  add_generate_command(*program);
  add_demo_command(*program);
  add_report_command(*program);
  add_doctor_command(*program);
  add_bench_command(*program);
  add_inspect_command(*program);
  add_eval_command(*program);
  add_tokenize_command(*program);
  add_export_command(*program);
  add_import_command(*program);
  add_logits_command(*program);
  for (CLI::App* command : program->get_subcommands([](CLI::App*) { return true; }))
    command->footer(with_command(command->get_footer()));
  return program;
}

std::string usage_error(const CLI::App& program, const CLI::Error& error) {
  const CLI::App& command = given_command(program);
  const bool whole = &command == &program;
  return name_of_command(command) + ": " + text::visible(what_is_wrong(program, command, error)) + "\n" +
         text::command() + (whole ? "" : " " + command.get_name()) + " --help says more.\n";
}

int run_program(int argc, const char* const* argv) {
  constexpr int kFailure = 1;
  constexpr int kUsageError = 2;
  const auto program = make_parser();
  program->failure_message([](const CLI::App* app, const CLI::Error& error) { return usage_error(*app, error); });
  try {
    program->parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return program->exit(error) == 0 ? 0 : kUsageError;
  } catch (const ExitWith& exit) {
    return exit.status;
  } catch (const std::exception& error) {
    std::cerr << name_of_command(given_command(*program)) << ": " << text::visible(message_of(error)) << "\n";
    return kFailure;
  }
  return 0;
}

}  // namespace lighthouse::cli
