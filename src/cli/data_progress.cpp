#include "cli/data_progress.h"

#include <chrono>
#include <memory>

#include "cli/status_line.h"
#include "text/number_text.h"

namespace lighthouse::cli {

void watch_reading(train::Corpus& corpus) {
  using Clock = std::chrono::steady_clock;
  struct Reading {
    Clock::time_point began;
    uint64_t before = 0;
    StatusLine line;
  };
  const auto reading = std::make_shared<Reading>();
  corpus.on_reading([reading](uint64_t done, uint64_t all) {
    constexpr double kMoment = 3;  // seconds that pass without a word
    if (reading->before == 0 || done < reading->before) reading->began = Clock::now();
    reading->before = done;
    const double gone = std::chrono::duration<double>(Clock::now() - reading->began).count();
    if (done == all) return reading->line.finish();
    if (gone < kMoment || !reading->line.is_due()) return;
    const double left = gone / static_cast<double>(done) * static_cast<double>(all - done);
    reading->line.show("checksum of the data: " + text::bytes_text(static_cast<double>(done)) + " of " +
                       text::bytes_text(static_cast<double>(all)) + " read, about " + text::clock_text(left) + " left");
  });
}

}  // namespace lighthouse::cli
