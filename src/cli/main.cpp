// The lighthouse program: parsing and printing. What it does is in the layers below.
#include <malloc.h>

#include <limits>

#include "cli/program.h"
#include "cli/standard_files.h"
#include "cli/stop_signal.h"
#include "text/command_name.h"

namespace {

/// glibc hands large freed blocks back to the system, and every training step would fetch them again page by page.
void keep_freed_memory() {
  mallopt(M_MMAP_MAX, 0);
  mallopt(M_TRIM_THRESHOLD, std::numeric_limits<int>::max());
}

}  // namespace

int main(int argc, char** argv) {
  lighthouse::cli::open_closed_standard_files();
  keep_freed_memory();
  lighthouse::cli::clean_up_on_signals();
  if (argc > 0) lighthouse::text::set_command(argv[0]);
  return lighthouse::cli::finish_output(lighthouse::cli::run_program(argc, argv));
}
