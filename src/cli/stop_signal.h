// Signals as a wish to stop, and what a process that they end must not leave behind.
#pragma once

namespace lighthouse::cli {

/// From here on a signal that ends the process removes files and folders that are not whole first. For all commands, at
/// their beginning. Signals that are ignored (by nohup, by a shell for its background jobs) stay ignored.
void clean_up_on_signals();

/// For a command that can stop in good order: from here on SIGINT, SIGTERM, SIGHUP (a connection that is lost), SIGUSR1
/// and SIGUSR2 (a batch system's warnings) are remembered. A second SIGINT or SIGTERM ends the process at once; one
/// within a tenth of a second is the same wish again, as timeout(1) sends it to a process and to its group.
void catch_stop_signals();

/// The signal that came first, 0 while none did.
int stop_signal();

/// Thrown by a command that did what it should and wants another exit status than 0.
struct ExitWith {
  int status;
};

}  // namespace lighthouse::cli
