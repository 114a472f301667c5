// Writes the pages that the program writes only after minutes of work, from figures that are given here:
// write_pages FOLDER DENSE_RUN LIGHTHOUSE_RUN.
#include <cmath>
#include <iostream>
#include <limits>

#include "cli/demo_page.h"
#include "cli/eval_report.h"
#include "train/run_folder.h"

namespace lighthouse::test {
namespace {

namespace fs = std::filesystem;

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

cli::ReportedRun read_run(const fs::path& folder, const std::string& name) {
  return {name, train::load_config(folder / "config.toml"), train::read_metrics(folder / "metrics.jsonl")};
}

analysis::PositionBucket bucket(int64_t begin, int64_t end, double loss, double half) {
  analysis::PositionBucket bucket;
  bucket.begin = begin;
  bucket.end = end;
  bucket.count = (end - begin) * 16;
  bucket.loss.value = loss;
  bucket.loss.interval = {loss - half, loss + half};
  return bucket;
}

cli::Evaluation evaluation(const std::string& run, double loss, int64_t lengths) {
  cli::Evaluation e;
  e.run = run;
  e.device = "cpu";
  e.precision = "float32";
  e.provenance.lighthouse = "0.1.0";
  e.provenance.torch = "2.11";
  e.provenance.commit = "0123abc";
  e.provenance.date = "2026-11-27";
  e.copy_length = 32;
  e.loss = analysis::PositionLoss{16, {}, bucket(0, 4096, loss, 0.01)};
  for (int64_t begin = 0, end = 128; end <= 4096; begin = end, end *= 2)
    e.loss->buckets.push_back(bucket(begin, end, loss + 20.0 / static_cast<double>(end), 0.02));
  for (int64_t i = 0; i < lengths; ++i) {
    for (const int64_t depth : {0, 15, 30, 50, 70, 85, 100}) {
      e.retrieval.push_back({1024 << i, depth, (depth / 15 + i) % 11, 10});
      e.copy.push_back({1024 << i, depth, std::vector<double>(10, 0.01 * static_cast<double>(depth)), {1, 2, 3}});
    }
  }
  e.untrained = e.copy.front();
  return e;
}

void write_all(const fs::path& folder, const fs::path& dense, const fs::path& lighthouse) {
  const std::string sample = "def main(\n\tself): \x1b[31m\xff <b>\"'&\xE2\x80\xAE" + std::string(300, 'x') + "\n";
  cli::write_demo_page(folder / "demo.html", {read_run(dense, "dense"), read_run(lighthouse, "Lighthouse")},
                       "12M bytes of text from /usr/lib/python3; 6 layers of width 96, 795K parameters.", sample);
  cli::write_evaluation_page(folder / "eval.html", evaluation("runs/example-cpu", 1.234, 3));
  cli::Evaluation unusual = evaluation("<b>\x01\xff" + std::string(200, 'r'), kNan, 14);
  unusual.loss->buckets.front().loss.value = 2.5;
  unusual.bytes = false;
  cli::write_evaluation_page(folder / "eval-unusual.html", unusual);
}

}  // namespace
}  // namespace lighthouse::test

int main(int count, char** arguments) try {
  if (count != 4) throw std::invalid_argument("expected FOLDER DENSE_RUN LIGHTHOUSE_RUN");
  lighthouse::test::write_all(arguments[1], arguments[2], arguments[3]);
  return 0;
} catch (const std::exception& error) {
  std::cerr << error.what() << "\n";
  return 1;
}
