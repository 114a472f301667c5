#include "cli/cuda_bench_command.h"

#include <algorithm>
#include <chrono>
#include <fstream>
#include <optional>

#include "analysis/cuda_benchmark.h"
#include "cli/number_text.h"
#include "cli/status_line.h"
#include "text/command_name.h"
#include "text/number_text.h"

namespace lighthouse::cli {
namespace {

using analysis::CudaCase;

/// What runs, and the time left: rewritten in place on a terminal, a line per case elsewhere.
class CudaProgress {
 public:
  CudaProgress(const analysis::BenchmarkSetting& setting, const std::vector<CudaCase>& cases)
      : setting_(setting), cases_(cases) {}

  void activity(const std::string& what) {
    if (!line_.on_terminal()) return;
    const std::string place =
        index_ < cases_.size() ? "N=" + std::to_string(cases_[index_].num_tokens) : std::string("extras");
    line_.show(place + ": " + what + " | " + clocks());
  }

  void finished(const analysis::CudaResult& result) {
    const double seconds = seconds_since(case_started_);
    // The first case pays for loading kernels too.
    unit_ = std::max(0.0, seconds - kSecondsBeside) / cost(result.where);
    index_ += 1;
    case_started_ = Clock::now();
    const auto time = [](const analysis::Figure& figure) {
      return figure.value ? number("%.3f ms", *figure.value) : figure.missing;
    };
    line_.print("N=" + std::to_string(result.where.num_tokens) + " " + result.where.name() + ": Lighthouse " +
                time(result.layer.forward_backward) + ", dense " + time(result.dense.forward_backward) + " | " +
                clocks());
  }

  void finished_extras() { line_.print("extras done | " + clocks()); }

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
    const std::string gone = text::clock_text(seconds_since(started_)) + " gone";
    if (!unit_) return gone + ", time left not known before the first case is done";
    double left = 0;
    for (size_t i = index_; i < cases_.size(); ++i) {
      const double expected = kSecondsBeside + *unit_ * cost(cases_[i]);
      left += i == index_ ? std::max(0.0, expected - seconds_since(case_started_)) : expected;
    }
    return gone + ", about " + text::clock_text(left) + " left";
  }

  const analysis::BenchmarkSetting& setting_;
  const std::vector<CudaCase>& cases_;
  StatusLine line_;
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
  for (std::string word; std::getline(file, word, '\0');) command += " " + text::shell_word(word);
  return command;
}

void measure_cuda_report(CudaBenchReport& report, const std::vector<CudaCase>& cases, bool extras) {
  report.provenance = analysis::read_provenance();
  report.provenance.inner_kernel = inner_kernel_of(report.setting, at::kCUDA);
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
