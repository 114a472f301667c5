// Standard input, output and error as a process gets them.
#pragma once

namespace lighthouse::cli {

/// Opens those that are closed on /dev/null, before anything else is opened: a file of ours would get their number, and
/// what is printed would be written into it.
void open_closed_standard_files();

/// The exit status of a command that ends with `status`: 1 in place of 0 where standard output could not take all that
/// was printed, which standard error then says.
int finish_output(int status);

}  // namespace lighthouse::cli
