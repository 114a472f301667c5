// The benchmark: plans, figures, memory, and what is written of them.
#include <torch/types.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "analysis/benchmark.h"
#include "analysis/memory_peak.h"
#include "analysis/provenance.h"
#include "cli/bench_charts.h"
#include "cli/bench_report.h"
#include "lighthouse/attention.h"
#include "train/temporary_folder.h"

namespace lighthouse::test {
namespace {

using analysis::BenchmarkSetting;
using analysis::Variant;

constexpr int64_t kTokens = 512;

BenchmarkSetting small_setting() {
  BenchmarkSetting setting;
  setting.batch = 2;
  setting.kv_heads = 2;
  setting.head_dim = 8;
  setting.repeats = 2;
  return setting;
}

/// A short run of two pyramids over two lengths, measured once.
const cli::BenchReport& small_report() {
  static const cli::BenchReport report = [] {
    cli::BenchReport r{
        .provenance = analysis::read_provenance(), .setting = small_setting(), .skipped = {}, .lengths = {}};
    const auto plan = make_plan(r.setting, {kTokens, 2 * kTokens}, {Variant{3, 4, {}}, Variant{2, 4, 16}});
    for (const auto& length : plan.lengths) r.lengths.push_back(measure(r.setting, length));
    return r;
  }();
  return report;
}

/// The same with one pyramid: what the figure shows most of.
cli::BenchReport one_pyramid() {
  cli::BenchReport report = small_report();
  for (auto& length : report.lengths) length.layers.erase(length.layers.begin() + 1, length.layers.end());
  return report;
}

size_t count(const std::string& text, const std::string& part) {
  size_t found = 0;
  for (size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + part.size())) ++found;
  return found;
}

/// Each element that is opened is closed, in order.
void expect_balanced(const std::string& xml) {
  std::vector<std::string> open;
  for (size_t at = xml.find('<'); at != std::string::npos; at = xml.find('<', at + 1)) {
    const size_t end = xml.find('>', at);
    ASSERT_NE(end, std::string::npos);
    const std::string tag = xml.substr(at + 1, end - at - 1);
    const std::string name = tag.substr(tag[0] == '/' ? 1 : 0, tag.find_first_of(" />", 1) - (tag[0] == '/' ? 1 : 0));
    if (tag[0] == '/') {
      ASSERT_FALSE(open.empty()) << tag;
      EXPECT_EQ(open.back(), tag.substr(1));
      open.pop_back();
    } else if (tag.back() != '/') {
      open.push_back(name);
    }
  }
  EXPECT_TRUE(open.empty()) << open.back() << " is not closed";
}

TEST(MemoryPeak, CountsBlocksWhileTheyLive) {
  const auto before = at::empty({1000}, at::kByte);
  const int64_t peak = analysis::memory_peak([] {
    auto a = at::empty({1 << 20}, at::kByte);
    auto b = at::empty({1 << 18}, at::kFloat);
    a.reset();
    const auto c = at::empty({1 << 19}, at::kByte);
  });
  EXPECT_EQ(peak, 2 << 20);
  EXPECT_EQ(analysis::memory_peak([] {}), 0);
  EXPECT_EQ(before.nbytes(), 1000U);
}

TEST(MemoryPeak, WhatWasThereBeforeIsNotCountedWhenFreed) {
  at::Tensor kept;
  EXPECT_EQ(analysis::memory_peak([&] { kept = at::empty({4096}, at::kByte); }), 4096);
  const int64_t peak = analysis::memory_peak([&] {
    kept.reset();
    const auto other = at::empty({1024}, at::kByte);
  });
  EXPECT_EQ(peak, 1024);
}

TEST(MemoryPeak, BackwardIsCounted) {
  auto x = at::ones({1 << 16}, at::kFloat).requires_grad_();
  const auto grad = at::ones({1 << 16}, at::kFloat);
  const int64_t peak = analysis::memory_peak([&] { (2 * x).backward(grad); });
  const auto bytes = static_cast<int64_t>(x.nbytes());
  EXPECT_GE(peak, 2 * bytes) << "the output and the gradient";
  EXPECT_LE(peak, 3 * bytes + 4096);
}

TEST(BenchmarkPlan, DefaultBudgets) {
  EXPECT_EQ(analysis::default_top_k(65536), 1024);
  EXPECT_EQ(analysis::default_top_k(4096), 64);
  EXPECT_EQ(analysis::default_top_k(1), 2);
  for (int64_t n = 1; n < 3000; n += 7) {
    EXPECT_EQ(Geometry(n, Variant{3, 4, {}}.over(n)).top_k(), Geometry(n, {}).top_k()) << "the library's, N=" << n;
  }
  EXPECT_EQ((Variant{3, 4, {}}.name()), "L=3 p=4 k=N/64");
}

TEST(BenchmarkPlan, LengthsAscendAndIdleCasesAreNamed) {
  const auto plan = make_plan(small_setting(), {1024, 64, 1024, 512}, {Variant{3, 4, 128}, Variant{3, 4, 16}});
  ASSERT_EQ(plan.lengths.size(), 2U);
  EXPECT_EQ(plan.lengths[0].num_tokens, 512);
  EXPECT_EQ(plan.lengths[0].variants.size(), 1U);
  EXPECT_EQ(plan.lengths[1].variants.size(), 2U);
  EXPECT_EQ(plan.skipped.size(), 3U);
  EXPECT_NE(plan.skipped.front().find("N=64 L=3 p=4 k=128: skipped"), std::string::npos) << plan.skipped.front();
}

TEST(BenchmarkPlan, WrongValuesAreNamed) {
  const auto plan = [](const auto& change, int64_t n = kTokens, Variant variant = {}) {
    BenchmarkSetting setting = small_setting();
    change(setting);
    make_plan(setting, {n}, {variant});
  };
  const auto same = [](BenchmarkSetting&) {};
  expect_error([&] { plan(same, kTokens, {3, 4, 15}); }, {"top_k must be even", "top_k=15"});
  expect_error([&] { plan(same, kTokens, {3, 1, 16}); }, {"pooling_factor must be at least 2", "got 1"});
  expect_error([&] { plan(same, kTokens, {0, 4, 16}); }, {"num_levels must be between", "got 0"});
  expect_error([&] { plan(same, 0); }, {"n must be at least 1; got 0"});
  expect_error([&] { plan(same, 16, {3, 4, 64}); }, {"S < N", "N=16"});
  expect_error([&] { plan([](auto& s) { s.kv_heads = 3; }); }, {"kv-heads must divide heads", "heads=4, kv-heads=3"});
  expect_error([&] { plan([](auto& s) { s.repeats = 0; }); }, {"repeats must be at least 1; got 0"});
  expect_error([&] { plan([](auto& s) { s.head_dim = -8; }); }, {"head-dim must be at least 1; got -8"});
  expect_error([] { analysis::dtype_of("float16"); }, {"dtype must be float32 or bfloat16; got float16"});
}

TEST(Benchmark, FiguresAreFiniteAndPositive) {
  const auto positive = [](double value) { return std::isfinite(value) && value > 0; };
  for (const auto& length : small_report().lengths) {
    ASSERT_TRUE(length.dense);
    EXPECT_EQ(length.dense->repeats, 2);
    EXPECT_TRUE(positive(length.dense->times.forward_ms));
    EXPECT_GT(length.dense->times.forward_backward_ms, length.dense->times.forward_ms);
    ASSERT_EQ(length.layers.size(), 2U);
    for (const auto& layer : length.layers) {
      EXPECT_EQ(layer.geometry.retained_length(),
                retained_length(length.num_tokens, layer.variant.over(length.num_tokens)));
      EXPECT_TRUE(positive(layer.inner.forward_ms));
      EXPECT_GT(layer.inner.forward_backward_ms, layer.inner.forward_ms);
      EXPECT_GT(layer.layer.forward_ms, layer.inner.forward_ms);
      EXPECT_GT(layer.layer.forward_backward_ms, layer.inner.forward_backward_ms);
      EXPECT_TRUE(positive(layer.beside_ms));
      EXPECT_TRUE(positive(layer.copy_bytes_per_second));
      ASSERT_EQ(layer.stages.size(), 5U);
      for (const auto& stage : layer.stages) EXPECT_TRUE(positive(stage.ms) && positive(stage.floor_ms)) << stage.name;
    }
  }
}

TEST(Benchmark, FloorsAndMemoryAreInBytesOfTheTensors) {
  const auto& length = small_report().lengths.front();
  const auto& layer = length.layers.front();
  const int64_t row = 4 * 8 * 2;  // bytes of one token of one head, both sequences
  const int64_t s = layer.geometry.retained_length();
  EXPECT_EQ(layer.stages[0].bytes, (4 + 2) * kTokens * row) << "select reads q and k";
  EXPECT_EQ(layer.stages[1].bytes, (4 + 2 + 2) * (kTokens + s) * row) << "gather";
  EXPECT_EQ(layer.stages[2].bytes, 4 * (kTokens + s) * row) << "scatter";
  EXPECT_EQ(layer.stages[3].bytes, layer.stages[2].bytes);
  EXPECT_EQ(layer.stages[4].bytes, layer.stages[1].bytes);
  // The output and three gradients are there at the end.
  EXPECT_GE(length.dense->peak_bytes, (4 + 4 + 2 + 2) * kTokens * row);
  EXPECT_GE(layer.peak_bytes, (4 + 4 + 2 + 2) * kTokens * row);
}

TEST(Benchmark, ExpectedTimesGrowWithTheSquare) {
  const auto& report = small_report();
  const auto seconds = [&](int64_t n) {
    return expected_seconds(report.setting, {n, {Variant{3, 4, {}}}}, report.lengths.front());
  };
  EXPECT_GT(seconds(1 << 13), 0);
  EXPECT_NEAR(seconds(1 << 13) / seconds(1 << 12), 4, 0.5);
}

TEST(BenchReport, JsonHasEveryFigure) {
  const auto json = nlohmann::json::parse(cli::bench_json(small_report()));
  EXPECT_EQ(json["lighthouse"], analysis::read_provenance().lighthouse);
  EXPECT_EQ(json["setting"]["kv_heads"], 2);
  EXPECT_GE(json["device"]["threads"], 1);
  ASSERT_EQ(json["results"].size(), 4U);
  for (const auto& result : json["results"]) {
    for (const char* key : {"N", "S", "top_k", "beside_ms", "peak_bytes", "copy_bytes_per_second"}) {
      EXPECT_TRUE(result[key].is_number()) << key;
    }
    EXPECT_EQ(result["stages"].size(), 5U);
    EXPECT_GT(result["dense_over_layer"]["forward_backward"], 0.0);
  }
}

TEST(BenchReport, FigureIsWellFormed) {
  const auto report = one_pyramid();
  const std::string svg = report::to_standalone_svg(cli::bench_figure(report));
  expect_balanced(svg);
  EXPECT_EQ(svg.rfind("<svg xmlns='http://www.w3.org/2000/svg'", 0), 0U);
  EXPECT_EQ(count(svg, "<path "), 4U);
  EXPECT_EQ(count(svg, "stroke-dasharray='6 4'"), 1U);
  EXPECT_NE(svg.find("× at 1K"), std::string::npos);
  EXPECT_EQ(svg.find("nan"), std::string::npos);
  expect_balanced(report::to_standalone_svg(cli::bench_figure(small_report())));
  for (const auto& chart : cli::bench_charts(small_report())) expect_balanced(report::to_figure(chart));
}

TEST(BenchReport, TablesAndPage) {
  const auto& report = small_report();
  EXPECT_EQ(cli::bench_table(report).rows.size(), 4U);
  for (const auto& row : cli::bench_table(report).rows) EXPECT_EQ(row.size(), cli::bench_table(report).header.size());
  const TemporaryFolder folder;
  cli::write_bench_page(folder.path() / "page.html", report);
  std::ifstream file(folder.path() / "page.html");
  const std::string page{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
  EXPECT_EQ(count(page, "<svg class='plot'"), 5U);
  EXPECT_NE(page.find("gather backward"), std::string::npos);
}

TEST(BenchReport, WithoutDense) {
  cli::BenchReport report = one_pyramid();
  report.setting.dense = false;
  for (auto& length : report.lengths) length.dense.reset();
  EXPECT_FALSE(nlohmann::json::parse(cli::bench_json(report))["results"][0].contains("dense"));
  EXPECT_EQ(cli::bench_table(report).rows.front()[6], "-");
  EXPECT_EQ(count(report::to_standalone_svg(cli::bench_figure(report)), "<path "), 3U);
  EXPECT_EQ(cli::bench_charts(report).size(), 3U);
}

TEST(LineChart, NamesAtLineEndsStandApart) {
  report::LineChart chart;
  for (int i = 0; i < 6; ++i) chart.series.push_back({.name = "line", .points = {{1, 1}, {2, 2}}, .color = i});
  const std::string svg = report::to_standalone_svg(chart);
  std::vector<double> heights;
  const std::string label = "<text class='name ";
  for (size_t at = svg.find(label); at != std::string::npos; at = svg.find(label, at + 1))
    heights.push_back(std::stod(svg.substr(svg.find(" y='", at) + 4)));
  ASSERT_EQ(heights.size(), 6U);
  for (size_t i = 1; i < heights.size(); ++i) EXPECT_GE(heights[i] - heights[i - 1], 15.9);
}

}  // namespace
}  // namespace lighthouse::test
