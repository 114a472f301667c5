// The lighthouse program: parsing and printing. What it does is in the layers below.
#include <c10/util/Exception.h>
#include <malloc.h>

#include <CLI/CLI.hpp>
#include <iostream>
#include <limits>

#include "cli/commands.h"
#include "cli/stop_signal.h"

namespace {

/// glibc hands large freed blocks back to the system, and every training step would fetch them again page by page.
void keep_freed_memory() {
  mallopt(M_MMAP_MAX, 0);
  mallopt(M_TRIM_THRESHOLD, std::numeric_limits<int>::max());
}

/// The first line of an error, without torch's stack trace.
std::string message_of(const std::exception& error) {
  const auto* torch_error = dynamic_cast<const c10::Error*>(&error);
  return torch_error != nullptr ? torch_error->what_without_backtrace() : error.what();
}

}  // namespace

int main(int argc, char** argv) {
  keep_freed_memory();
  CLI::App program{
      "Trains language models at long context with Lighthouse attention.\n\n"
      "Most steps train on a short causal sub-sequence that is selected and pooled layer by layer; a short dense "
      "stage\n"
      "follows, and the model that comes out is an ordinary dense one."};
  program.name("lighthouse");
  program.set_version_flag("--version", std::string("lighthouse ") + LIGHTHOUSE_VERSION);
  program.require_subcommand(1);
  lighthouse::cli::add_train_command(program);
  lighthouse::cli::add_generate_command(program);
  lighthouse::cli::add_demo_command(program);
  lighthouse::cli::add_report_command(program);
  lighthouse::cli::add_doctor_command(program);
  lighthouse::cli::add_bench_command(program);
  lighthouse::cli::add_inspect_command(program);
  lighthouse::cli::add_eval_command(program);
  lighthouse::cli::add_tokenize_command(program);
  lighthouse::cli::add_export_command(program);
  lighthouse::cli::add_import_command(program);
  lighthouse::cli::add_logits_command(program);
  try {
    program.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    const int code = program.exit(error);
    return code == 0 ? 0 : 2;
  } catch (const lighthouse::cli::ExitWith& exit) {
    return exit.status;
  } catch (const std::exception& error) {
    const auto commands = program.get_subcommands();
    std::cerr << "lighthouse" << (commands.empty() ? "" : " " + commands.front()->get_name()) << ": "
              << message_of(error) << "\n";
    return 1;
  }
  return 0;
}
