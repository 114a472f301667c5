#include "cli/train_bench_json.h"

#include <nlohmann/json.hpp>
#include <utility>

#include "analysis/provenance.h"
#include "io/json.h"
#include "text/number_text.h"
#include "train/memory_estimate.h"

namespace lighthouse::cli {
namespace {

using analysis::StageBenchmark;
using analysis::TrainBenchmark;
using Json = nlohmann::ordered_json;

TrainBenchmark benchmark_of(const Json& json) {
  TrainBenchmark result;
  json.at("product_flops_per_second").get_to(result.product_flops_per_second);
  json.at("copy_bytes_per_second").get_to(result.copy_bytes_per_second);
  for (const Json& from : json.at("stages")) {
    StageBenchmark stage;
    from.at("name").get_to(stage.name);
    stage.lighthouse = from.at("attention").get<std::string>() == "lighthouse";
    from.at("steps").get_to(stage.steps);
    from.at("step_ms").get_to(stage.step_ms);
    from.at("tokens_per_second").get_to(stage.tokens_per_second);
    from.at("flops_utilisation").get_to(stage.flops_utilisation);
    from.at("peak_bytes").get_to(stage.peak_bytes);
    from.at("peak_reserved_bytes").get_to(stage.peak_reserved_bytes);
    from.at("watched_step_ms").get_to(stage.watched_step_ms);
    for (const Json& part : from.at("parts")) {
      analysis::PartTime time;
      part.at("name").get_to(time.name);
      part.at("ms").get_to(time.ms);
      part.at("floor_ms").get_to(time.floor_ms);
      stage.parts.push_back(std::move(time));
    }
    result.stages.push_back(std::move(stage));
  }
  return result;
}

}  // namespace

std::string train_bench_json(const std::string& file, const train::RunConfig& config, const TrainBenchmark& result) {
  const auto provenance = analysis::read_provenance();
  Json json{
      {"lighthouse", provenance.lighthouse},
      {"torch", provenance.torch},
      {"commit", provenance.commit},
      {"date", provenance.date},
      {"device", train::environment(result.plan).at("device")},
      {"config", train::to_toml(config)},
      {"file", file},
      {"precision", train::environment(result.plan).at("precision")},
      {"recompute", train::name_of(result.plan.recompute)},
      {"estimated_bytes",
       train::estimate_memory(config, static_cast<int64_t>(torch::elementSize(result.plan.type)), result.plan.recompute)
           .total()},
      {"product_flops_per_second", result.product_flops_per_second},
      {"copy_bytes_per_second", result.copy_bytes_per_second},
      {"stages", Json::array()}};
  for (const auto& stage : result.stages) {
    Json parts = Json::array();
    for (const auto& part : stage.parts) {
      parts.push_back({{"name", part.name}, {"ms", part.ms}, {"floor_ms", part.floor_ms}});
    }
    json["stages"].push_back({{"name", stage.name},
                              {"attention", stage.lighthouse ? "lighthouse" : "dense"},
                              {"steps", stage.steps},
                              {"step_ms", stage.step_ms},
                              {"tokens_per_second", stage.tokens_per_second},
                              {"flops_utilisation", stage.flops_utilisation},
                              {"peak_bytes", stage.peak_bytes},
                              {"peak_reserved_bytes", stage.peak_reserved_bytes},
                              {"watched_step_ms", stage.watched_step_ms},
                              {"parts", parts}});
  }
  return io::json_text(json, 1) + "\n";
}

RecordedTrainBench train_bench_from_json(const Json& json) {
  return {json.at("file").get<std::string>(),
          json.at("device").get<std::string>() + ", " + json.at("precision").get<std::string>() + ", recompute " +
              json.at("recompute").get<std::string>() + "; needed about " +
              text::bytes_text(json.at("estimated_bytes").get<double>()),
          benchmark_of(json)};
}

}  // namespace lighthouse::cli
