#include "cli/stop_signal.h"

#include <time.h>

#include <array>
#include <atomic>
#include <csignal>
#include <cstdint>

#include "io/unfinished.h"

namespace lighthouse::cli {
namespace {

constexpr std::array kStopSignals = {SIGINT, SIGTERM, SIGHUP, SIGUSR1, SIGUSR2};

std::atomic<int> caught = 0;
std::atomic<int64_t> first_request = 0;  // when the first SIGINT or SIGTERM came, in milliseconds
static_assert(std::atomic<int64_t>::is_always_lock_free, "signal handlers write it");

int64_t milliseconds() {
  timespec now{};
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<int64_t>(now.tv_sec) * 1000 + now.tv_nsec / 1'000'000;
}

extern "C" void end_at_once(int signal) {
  io::remove_unfinished();
  std::signal(signal, SIG_DFL);
  std::raise(signal);  // once this handler has returned
}

extern "C" void remember_signal(int signal) {
  int none = 0;
  caught.compare_exchange_strong(none, signal);
  if (signal != SIGINT && signal != SIGTERM) return;
  constexpr int64_t kSameRequest = 100;
  const int64_t now = milliseconds();
  int64_t before = 0;
  if (first_request.compare_exchange_strong(before, now) || now - before < kSameRequest) return;
  end_at_once(signal);
}

void handle(int signal, void (*handler)(int)) {
  struct sigaction action {};
  if (::sigaction(signal, nullptr, &action) != 0 || action.sa_handler == SIG_IGN) return;
  action = {};
  action.sa_handler = handler;
  action.sa_flags = SA_RESTART;
  ::sigaction(signal, &action, nullptr);
}

}  // namespace

void clean_up_on_signals() {
  for (const int signal : kStopSignals) handle(signal, end_at_once);
  handle(SIGPIPE, end_at_once);
}

void catch_stop_signals() {
  for (const int signal : kStopSignals) handle(signal, remember_signal);
}

int stop_signal() { return caught; }

}  // namespace lighthouse::cli
