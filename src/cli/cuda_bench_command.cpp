#include "cli/cuda_bench_command.h"

#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <fstream>
#include <optional>

#include "analysis/cuda_benchmark.h"
#include "cli/progress.h"

namespace lighthouse::cli {
namespace {

using analysis::CudaCase;

/// What runs, and the time left: rewritten in place on a terminal, a line per case elsewhere.
class CudaProgress {
 public:
  CudaProgress(const analysis::BenchmarkSetting& setting, const std::vector<CudaCase>& cases)
      : setting_(setting), cases_(cases), terminal_(isatty(STDERR_FILENO) == 1) {}

  void activity(const std::string& what) const {
    if (!terminal_) return;
    const std::string place =
        index_ < cases_.size() ? "N=" + std::to_string(cases_[index_].num_tokens) : std::string("extras");
    std::fprintf(stderr, "\r\033[K%s: %s | %s", place.c_str(), what.c_str(), clocks().c_str());
    std::fflush(stderr);
  }

  void finished(const analysis::CudaResult& result) {
    const double seconds = seconds_since(case_started_);
    // The first case pays for loading kernels too.
    unit_ = std::max(0.0, seconds - kSecondsBeside) / cost(result.where);
    index_ += 1;
    case_started_ = Clock::now();
    const auto text = [](const analysis::Figure& figure) {
      char ms[32];
      if (!figure.value) return figure.missing;
      std::snprintf(ms, sizeof(ms), "%.3f ms", *figure.value);
      return std::string(ms);
    };
    std::fprintf(stderr, "%sN=%lld %s: Lighthouse %s, dense %s | %s\n", terminal_ ? "\r\033[K" : "",
                 static_cast<long long>(result.where.num_tokens), result.where.name().c_str(),
                 text(result.layer.forward_backward).c_str(), text(result.dense.forward_backward).c_str(),
                 clocks().c_str());
  }

  void finished_extras() const {
    std::fprintf(stderr, "%sextras done | %s\n", terminal_ ? "\r\033[K" : "", clocks().c_str());
  }

 private:
  using Clock = std::chrono::steady_clock;

  /// What a case takes beside dense attention: short samples are brought to a fixed length.
  static constexpr double kSecondsBeside = 2;

  static double seconds_since(Clock::time_point begin) {
    return std::chrono::duration<double>(Clock::now() - begin).count();
  }

  /// Of dense attention over the whole case, in units of one query-key pair.
  double cost(const CudaCase& where) const {
    const auto n = static_cast<double>(where.num_tokens);
    return n * n * static_cast<double>(repeats_at(setting_, where.num_tokens) + 4);
  }

  std::string clocks() const {
    std::string text = clock_text(seconds_since(started_)) + " gone";
    if (!unit_) return text + ", time left not known before the first case is done";
    double left = 0;
    for (size_t i = index_; i < cases_.size(); ++i) {
      const double expected = kSecondsBeside + *unit_ * cost(cases_[i]);
      left += i == index_ ? std::max(0.0, expected - seconds_since(case_started_)) : expected;
    }
    return text + ", about " + clock_text(left) + " left";
  }

  const analysis::BenchmarkSetting& setting_;
  const std::vector<CudaCase>& cases_;
  bool terminal_;
  size_t index_ = 0;
  std::optional<double> unit_;
  Clock::time_point started_ = Clock::now();
  Clock::time_point case_started_ = started_;
};

}  // namespace

std::string command_line() {
  std::ifstream file("/proc/self/cmdline", std::ios::binary);
  std::string name;
  std::getline(file, name, '\0');
  std::string command = "lighthouse";
  for (std::string word; std::getline(file, word, '\0');) command += " " + word;
  return command;
}

void measure_cuda_report(CudaBenchReport& report, const std::vector<CudaCase>& cases, bool extras) {
  report.provenance = analysis::read_provenance();
  report.cuda = analysis::read_cuda_provenance();
  report.command = command_line();
  CudaProgress progress(report.setting, cases);
  const auto activity = [&](const std::string& what) { progress.activity(what); };
  for (const auto& where : cases) {
    report.results.push_back(analysis::measure_cuda(report.setting, where, activity));
    progress.finished(report.results.back());
  }
  if (!extras) return;
  report.extras = analysis::measure_cuda_extras(report.setting, activity);
  progress.finished_extras();
}

}  // namespace lighthouse::cli
