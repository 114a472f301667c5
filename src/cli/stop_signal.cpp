#include "cli/stop_signal.h"

#include <csignal>
#include <initializer_list>

namespace lighthouse::cli {
namespace {

volatile std::sig_atomic_t caught = 0;

extern "C" void remember_signal(int signal) {
  caught = signal;
  for (const int each : {SIGINT, SIGTERM}) std::signal(each, SIG_DFL);  // the next one, of either kind, ends at once
}

}  // namespace

void catch_stop_signals() {
  for (const int signal : {SIGINT, SIGTERM}) std::signal(signal, remember_signal);
}

int stop_signal() { return caught; }

}  // namespace lighthouse::cli
