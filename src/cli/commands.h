// The subcommands: each adds itself, with its help, to the program's parser.
#pragma once

#include <CLI/App.hpp>

namespace lighthouse::cli {

void add_train_command(CLI::App& program);
void add_generate_command(CLI::App& program);
void add_demo_command(CLI::App& program);
void add_report_command(CLI::App& program);
void add_doctor_command(CLI::App& program);
void add_bench_command(CLI::App& program);
void add_inspect_command(CLI::App& program);
void add_eval_command(CLI::App& program);
void add_tokenize_command(CLI::App& program);
void add_export_command(CLI::App& program);
void add_import_command(CLI::App& program);
void add_logits_command(CLI::App& program);

}  // namespace lighthouse::cli
