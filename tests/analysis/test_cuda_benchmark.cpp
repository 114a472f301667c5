// The CUDA benchmark without a GPU: cases, the arithmetic of floors and limits, and what is written of results.
#include <nlohmann/json.hpp>

#include "analysis/cuda_benchmark.h"
#include "analysis/cuda_device.h"
#include "analysis/cuda_graph.h"
#include "cli/cuda_bench_report.h"
#include "train/temporary_folder.h"

namespace lighthouse::test {
namespace {

using analysis::BenchmarkSetting;
using analysis::CudaCase;
using analysis::CudaResult;
using analysis::Figure;
using analysis::Layout;
using analysis::PassFigures;
using analysis::Variant;

BenchmarkSetting setting_of(int64_t heads, int64_t kv_heads) {
  BenchmarkSetting setting;
  setting.heads = heads;
  setting.kv_heads = kv_heads;
  setting.head_dim = 128;
  setting.dtype = at::kBFloat16;
  return setting;
}

PassFigures passes(double forward, double forward_backward) {
  return {Figure::of(forward), Figure::of(forward_backward)};
}

CudaResult result_at(int64_t num_tokens, double layer_ms) {
  CudaResult r;
  r.where.num_tokens = num_tokens;
  r.repeats = 7;
  r.layer = passes(layer_ms, 3 * layer_ms);
  r.inner = passes(layer_ms / 2, 1.5 * layer_ms);
  r.dense = passes(20 * layer_ms, 70 * layer_ms);
  r.flash = num_tokens > analysis::kLongestFlash ? PassFigures{} : passes(30 * layer_ms, 100 * layer_ms);
  r.layer_peak_bytes = passes(1e9, 2.5e9);
  r.dense_peak_bytes = {Figure::of(1e9), Figure::none("out of memory")};
  r.copy_bytes_per_second = Figure::of(2e12);
  const auto traffic = traffic_of(setting_of(8, 8), r.where.geometry());
  r.stages = {{"select", Figure::of(0.25), traffic.select},
              {"gather", Figure::none("failed: an error"), traffic.gather},
              {"cascade", Figure::of(0.03125), 0}};
  return r;
}

/// What a run might give, with figures that are missing for each reason.
cli::CudaBenchReport made_up() {
  cli::CudaBenchReport report;
  report.provenance = analysis::read_provenance();
  report.cuda = {"A GPU", "9.0", 8.5e10, "9.10.2"};
  report.command = "lighthouse bench --device cuda";
  report.setting = setting_of(8, 8);
  report.skipped = {"N=64: skipped."};
  report.results = {result_at(16384, 0.5), result_at(131072, 6), result_at(262144, 24)};
  report.results.back().where.layout = Layout::kBnhd;
  report.results.back().where.causal_selection = true;
  report.results.back().where.variant.top_k = 2048;
  report.results.back().stages.clear();
  report.extras.emplace();
  auto& extras = *report.extras;
  extras.graph.where.num_tokens = 16384;
  extras.graph.graph = Figure::of(0.75);
  extras.graph.layer = Figure::of(1.0);
  extras.graph.dense = Figure::of(12.0);
  extras.long_case.num_tokens = 524288;
  extras.long_case.variant.top_k = 2048;
  extras.modes = {{false, passes(10, 30), passes(1e9, 2e9)}, {true, PassFigures{}, passes(1e9, 3e9)}};
  return report;
}

TEST(CudaFigure, RatiosKeepTheReason) {
  EXPECT_EQ(*ratio(Figure::of(6), Figure::of(2)).value, 3);
  EXPECT_EQ(ratio(Figure::none("out of memory"), Figure::of(2)).missing, "out of memory");
  EXPECT_EQ(ratio(Figure::of(2), Figure{}).missing, "not measured");
}

TEST(CudaCases, LengthsThenRulesThenLayouts) {
  const auto setting = setting_of(8, 8);
  const auto plan = make_plan(setting, {2048, 1024}, {Variant{3, 4, {}}});
  const auto cases = cuda_cases(setting, plan, {false, true}, {Layout::kBhnd, Layout::kBnhd});
  ASSERT_EQ(cases.size(), 8U);
  EXPECT_EQ(cases[0].num_tokens, 1024);
  EXPECT_EQ(cases[0].name(), "paper bhnd L=3 p=4 k=N/64");
  EXPECT_EQ(cases[3].name(), "causal bnhd L=3 p=4 k=N/64");
  EXPECT_EQ(cases[4].num_tokens, 2048);
  auto odd = setting;
  odd.head_dim = 7;
  expect_error([&] { cuda_cases(odd, plan, {false}, {Layout::kBhnd}); }, {"head-dim must be even on CUDA", "got 7"});
}

TEST(CudaCases, FewerRepeatsAtLength) {
  BenchmarkSetting setting;
  EXPECT_EQ(repeats_at(setting, 131072), 7);
  EXPECT_EQ(repeats_at(setting, 262144), 3);
  setting.repeats = 2;
  EXPECT_EQ(repeats_at(setting, 524288), 2);
}

TEST(CudaCases, Dtypes) {
  EXPECT_EQ(analysis::dtype_of("float16", /*cuda=*/true), at::kHalf);
  EXPECT_EQ(analysis::name_of(at::kHalf), "float16");
  expect_error([] { analysis::dtype_of("float64", /*cuda=*/true); }, {"float32, bfloat16 or float16; got float64"});
}

TEST(CudaLimit, TrafficIsInBytesOfTheTensors) {
  const CudaCase where{.num_tokens = 16384, .variant = {}};
  const Geometry geometry = where.geometry();
  const int64_t n = 16384;
  const int64_t s = geometry.retained_length();
  const int64_t row = 2 * 128;
  const auto traffic = traffic_of(setting_of(8, 2), geometry);
  EXPECT_EQ(traffic.select, (8 + 2) * n * row);
  EXPECT_EQ(traffic.gather, (8 + 2 + 2) * (n + s) * row);
  EXPECT_EQ(traffic.scatter, 8 * (n + s) * row);
  EXPECT_EQ(traffic.rotary, 2 * (8 + 2) * n * row + 2 * n * 64 * 4);
  EXPECT_EQ(traffic.forward(), traffic.select + traffic.gather + traffic.scatter);
  EXPECT_EQ(traffic.forward_backward(), traffic.select + 2 * traffic.gather + 2 * traffic.scatter);
}

TEST(CudaLimit, InnerCallAndFloors) {
  const auto setting = setting_of(8, 8);
  CudaResult r = result_at(16384, 1);
  const auto traffic = traffic_of(setting, r.where.geometry());
  EXPECT_DOUBLE_EQ(*floor_ms(2'000'000'000, Figure::of(2e12)).value, 1);
  EXPECT_DOUBLE_EQ(*limit_of(setting, r).forward.value, 0.5 + 1e3 * static_cast<double>(traffic.forward()) / 2e12);
  EXPECT_DOUBLE_EQ(*limit_of(setting, r).forward_backward.value,
                   1.5 + 1e3 * static_cast<double>(traffic.forward_backward()) / 2e12);
  r.inner.forward = Figure::none("out of memory");
  EXPECT_EQ(limit_of(setting, r).forward.missing, "out of memory");
}

TEST(CudaLimit, Rates) {
  const auto setting = setting_of(8, 8);
  EXPECT_DOUBLE_EQ(forward_operations(setting, 1000), 2.0 * 8 * 128 * 1e6);
  EXPECT_DOUBLE_EQ(forward_backward_operations(setting, 1000), 3.5 * forward_operations(setting, 1000));
  EXPECT_DOUBLE_EQ(*rates(setting, 1000, passes(1, 1)).forward.value, 2.048) << "2.048e9 operations in a millisecond";
}

TEST(CudaBenchReport, JsonIsReadBackWhole) {
  auto report = made_up();
  report.provenance.inner_kernel = "flash";
  const std::string json = cli::cuda_json(report);
  const auto again = cli::cuda_from_json(json);
  EXPECT_EQ(cli::cuda_json(again), json);
  EXPECT_EQ(cli::cuda_text(again), cli::cuda_text(report));
  EXPECT_NE(cli::cuda_setting_text(again).find("attention kernel flash"), std::string::npos);
  const auto parsed = nlohmann::json::parse(json);
  EXPECT_EQ(parsed["device"]["gpu"], "A GPU");
  EXPECT_EQ(parsed["results"][0]["ms"]["layer"]["forward"], 0.5);
  EXPECT_EQ(parsed["results"][0]["dense_over_layer"]["forward"], 20.0);
  EXPECT_EQ(parsed["results"][0]["peak_bytes"]["dense"]["forward_backward"], "out of memory");
  EXPECT_EQ(parsed["results"][2]["ms"]["flash_attention_2"]["forward"], "not measured");
  EXPECT_THROW(cli::cuda_from_json("{}"), nlohmann::json::exception);
}

TEST(CudaBenchReport, TablesSayWhatIsMissing) {
  const auto report = made_up();
  for (const auto& [title, table] : cli::cuda_tables(report)) {
    EXPECT_FALSE(table.rows.empty()) << title;
    for (const auto& row : table.rows) EXPECT_EQ(row.size(), table.header.size()) << title;
  }
  const std::string text = cli::cuda_text(report);
  for (const char* words : {"20.0x", "no memory", "failed", "deterministic", "16.0x",
                            "N=16384 paper bhnd L=3 p=4 k=N/64, gather: failed: an error.",
                            "memory of dense, forward and backward: out of memory."}) {
    EXPECT_NE(text.find(words), std::string::npos) << words;
  }
  EXPECT_EQ(text.find("not measured"), std::string::npos);
  EXPECT_EQ(text.find("nan"), std::string::npos);
}

TEST(CudaBenchReport, PageAndFigures) {
  const auto report = made_up();
  const TemporaryFolder folder;
  const auto read = [&](const char* name) {
    std::ifstream file(folder.path() / name);
    return std::string{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
  };
  cli::write_cuda_page(folder.path() / "page.html", report);
  EXPECT_NE(read("page.html").find("Deterministic mode"), std::string::npos);
  cli::write_cuda_figures(folder.path() / "figure.svg", report);
  EXPECT_EQ(read("figure.svg").rfind("<svg ", 0), 0U);
  // One layout and rule: the third result is another.
  EXPECT_NE(read("figure.svg").find("× at 128K"), std::string::npos);
  EXPECT_NE(read("figure-ratio.svg").find("limit, forward"), std::string::npos);
  auto without = report;
  without.results.clear();
  cli::write_cuda_page(folder.path() / "extras.html", without);
  EXPECT_NE(read("extras.html").find("CUDA graph"), std::string::npos);
}

TEST(CudaDevice, WhyNotNamesWhatToDo) {
  if (analysis::cuda_usable()) GTEST_SKIP() << "there is a GPU";
  const std::string why = analysis::why_no_cuda();
  if (kernels::cuda::in_this_build()) {
    EXPECT_NE(why.find("nvidia-smi"), std::string::npos);
    return;
  }
  EXPECT_NE(why.find("LIGHTHOUSE_CUDA=on"), std::string::npos);
  EXPECT_THROW(analysis::CudaGraph([] {}), std::runtime_error);
}

/// Wherever the user stands: another repository's commit says nothing.
TEST(Provenance, TheCommitIsThatOfTheSources) {
  const TemporaryFolder folder;
  const auto before = std::filesystem::current_path();
  unsetenv("LIGHTHOUSE_COMMIT");
  const std::string commit = analysis::read_provenance().commit;
  const std::string repository = folder.path().string();
  const std::string commands =
      "cd '" + repository + "' && git init -q && git -c user.name=a -c user.email=a@b.c commit -q --allow-empty -m a";
  EXPECT_EQ(std::system(commands.c_str()), 0);
  std::filesystem::current_path(folder.path());
  setenv("GIT_DIR", (repository + "/.git").c_str(), 1);
  EXPECT_EQ(analysis::read_provenance().commit, commit);
  unsetenv("GIT_DIR");
  setenv("LIGHTHOUSE_COMMIT", "abc1234", 1);
  EXPECT_EQ(analysis::read_provenance().commit, "abc1234") << "as whoever runs a copy of the files names it";
  unsetenv("LIGHTHOUSE_COMMIT");
  std::filesystem::current_path(before);
}

}  // namespace
}  // namespace lighthouse::test
