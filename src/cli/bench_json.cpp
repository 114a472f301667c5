#include "cli/bench_json.h"

#include <stdexcept>

#include "cli/bench_report.h"
#include "io/json.h"

namespace lighthouse::cli {
namespace {

using analysis::PassTimes;

Json to_json(const PassTimes& times) {
  return {{"forward_ms", times.forward_ms}, {"forward_backward_ms", times.forward_backward_ms}};
}

PassTimes times_from(const Json& json) {
  return {json.at("forward_ms").get<double>(), json.at("forward_backward_ms").get<double>()};
}

Json to_json(const analysis::LengthResult& length, const analysis::LayerResult& layer) {
  const Geometry& g = layer.geometry;
  Json json = {{"N", length.num_tokens},
               {"S", g.retained_length()},
               {"num_levels", g.num_levels()},
               {"pooling_factor", g.pooling_factor()},
               {"top_k", g.top_k()},
               {"num_tiles", g.num_tiles()},
               {"layer", to_json(layer.layer)},
               {"inner", to_json(layer.inner)},
               {"beside_ms", layer.beside_ms},
               {"beside_over_inner", layer.beside_ms / layer.inner.forward_backward_ms},
               {"peak_bytes", layer.peak_bytes}};
  if (length.dense) {
    const PassTimes& dense = length.dense->times;
    json["dense"] = to_json(dense);
    json["dense"]["repeats"] = length.dense->repeats;
    json["dense"]["peak_bytes"] = length.dense->peak_bytes;
    json["dense_over_layer"] = {{"forward", dense.forward_ms / layer.layer.forward_ms},
                                {"forward_backward", dense.forward_backward_ms / layer.layer.forward_backward_ms}};
  }
  json["copy_bytes_per_second"] = layer.copy_bytes_per_second;
  for (const auto& stage : layer.stages) {
    json["stages"].push_back(
        {{"name", stage.name}, {"ms", stage.ms}, {"bytes", stage.bytes}, {"floor_ms", stage.floor_ms}});
  }
  return json;
}

analysis::LayerResult layer_from(const Json& json) {
  const analysis::Variant variant = variant_from(json);
  const int64_t num_tokens = json.at("N").get<int64_t>();
  analysis::LayerResult layer{.variant = variant,
                              .geometry = Geometry(num_tokens, variant.over(num_tokens)),
                              .layer = times_from(json.at("layer")),
                              .inner = times_from(json.at("inner")),
                              .stages = {}};
  layer.beside_ms = json.at("beside_ms").get<double>();
  layer.peak_bytes = json.at("peak_bytes").get<int64_t>();
  layer.copy_bytes_per_second = json.at("copy_bytes_per_second").get<double>();
  for (const auto& stage : json.at("stages")) {
    layer.stages.push_back({stage.at("name").get<std::string>(), stage.at("ms").get<double>(),
                            stage.at("bytes").get<int64_t>(), stage.at("floor_ms").get<double>()});
  }
  return layer;
}

}  // namespace

Json setting_to_json(const analysis::BenchmarkSetting& setting) {
  return {{"batch", setting.batch},
          {"heads", setting.heads},
          {"kv_heads", setting.kv_heads},
          {"head_dim", setting.head_dim},
          {"dtype", analysis::name_of(setting.dtype)},
          {"causal_selection", setting.causal_selection},
          {"repeats", setting.repeats},
          {"dense", setting.dense}};
}

analysis::BenchmarkSetting setting_from(const Json& json) {
  return {.batch = json.at("batch").get<int64_t>(),
          .heads = json.at("heads").get<int64_t>(),
          .kv_heads = json.at("kv_heads").get<int64_t>(),
          .head_dim = json.at("head_dim").get<int64_t>(),
          .dtype = analysis::dtype_of(json.at("dtype").get<std::string>(), /*cuda=*/true),
          .causal_selection = json.at("causal_selection").get<bool>(),
          .dense = json.at("dense").get<bool>(),
          .repeats = json.at("repeats").get<int64_t>()};
}

analysis::Provenance provenance_from(const Json& json) {
  const Json& device = json.at("device");
  return {.cpu = device.at("cpu").get<std::string>(),
          .threads = device.at("threads").get<int>(),
          .instruction_set = device.at("instruction_set").get<std::string>(),
          .lighthouse = json.at("lighthouse").get<std::string>(),
          .torch = json.at("torch").get<std::string>(),
          .commit = json.at("commit").get<std::string>(),
          .date = json.at("date").get<std::string>(),
          .inner_kernel = json.value("inner_kernel", "")};
}

analysis::Variant variant_from(const Json& json) {
  analysis::Variant variant{json.at("num_levels").get<int64_t>(), json.at("pooling_factor").get<int64_t>(), {}};
  const int64_t top_k = json.at("top_k").get<int64_t>();
  if (top_k != analysis::default_top_k(json.at("N").get<int64_t>())) variant.top_k = top_k;
  return variant;
}

std::string dump(const Json& json) { return io::json_text(json, 1) + "\n"; }

std::string bench_json(const BenchReport& report) {
  const auto& e = report.provenance;
  Json json = {{"lighthouse", e.lighthouse},
               {"torch", e.torch},
               {"commit", e.commit},
               {"date", e.date},
               {"inner_kernel", e.inner_kernel},
               {"device", {{"cpu", e.cpu}, {"threads", e.threads}, {"instruction_set", e.instruction_set}}},
               {"setting", setting_to_json(report.setting)},
               {"skipped", report.skipped},
               {"results", Json::array()}};
  if (e.inner_kernel.empty()) json.erase("inner_kernel");  // as older files have it
  for (const auto& length : report.lengths) {
    for (const auto& layer : length.layers) json["results"].push_back(to_json(length, layer));
  }
  return dump(json);
}

BenchReport bench_from_json(const std::string& text) {
  const Json json = io::parse_json(text, "the file");
  BenchReport report{.provenance = provenance_from(json),
                     .setting = setting_from(json.at("setting")),
                     .skipped = json.at("skipped").get<std::vector<std::string>>(),
                     .lengths = {}};
  for (const auto& result : json.at("results")) {
    const int64_t num_tokens = result.at("N").get<int64_t>();
    if (report.lengths.empty() || report.lengths.back().num_tokens != num_tokens) {
      report.lengths.push_back({.num_tokens = num_tokens, .dense = std::nullopt, .layers = {}});
    }
    auto& length = report.lengths.back();
    length.layers.push_back(layer_from(result));
    if (!result.contains("dense")) continue;
    const Json& dense = result.at("dense");
    length.dense = {times_from(dense), dense.at("repeats").get<int64_t>(), dense.at("peak_bytes").get<int64_t>()};
  }
  if (report.lengths.empty()) throw std::invalid_argument("it has no results");
  return report;
}

}  // namespace lighthouse::cli
