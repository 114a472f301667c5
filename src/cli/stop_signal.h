// SIGINT and SIGTERM as a wish to stop: the first is remembered, the second ends the process as usual.
#pragma once

namespace lighthouse::cli {

/// Catches both signals from here on, for a command that can stop in good order.
void catch_stop_signals();
/// The signal that came, 0 while none did.
int stop_signal();

/// Thrown by a command that did what it should and wants another exit status than 0.
struct ExitWith {
  int status;
};

}  // namespace lighthouse::cli
