// The CUDA benchmark's JSON, there and back. A figure is a number, or a text that says why there is none.
#include <nlohmann/json.hpp>
#include <stdexcept>

#include "cli/bench_json.h"
#include "cli/cuda_bench_report.h"
#include "io/json.h"

namespace lighthouse::cli {
namespace {

using analysis::CudaCase;
using analysis::CudaResult;
using analysis::Figure;
using analysis::PassFigures;

Json to_json(const Figure& figure) { return figure.value ? Json(*figure.value) : Json(figure.missing); }

Figure figure_from(const Json& json) {
  return json.is_string() ? Figure::none(json.get<std::string>()) : Figure::of(json.get<double>());
}

Json to_json(const PassFigures& figures) {
  return {{"forward", to_json(figures.forward)}, {"forward_backward", to_json(figures.forward_backward)}};
}

PassFigures passes_from(const Json& json) {
  return {figure_from(json.at("forward")), figure_from(json.at("forward_backward"))};
}

Json to_json(const CudaCase& where) {
  const Geometry g = where.geometry();
  return {{"N", where.num_tokens},
          {"S", g.retained_length()},
          {"num_levels", g.num_levels()},
          {"pooling_factor", g.pooling_factor()},
          {"top_k", g.top_k()},
          {"rule", where.causal_selection ? "causal" : "paper"},
          {"layout", name_of(where.layout)}};
}

CudaCase case_from(const Json& json) {
  CudaCase where;
  where.num_tokens = json.at("N").get<int64_t>();
  where.variant = variant_from(json);
  where.causal_selection = json.at("rule") == "causal";
  where.layout = json.at("layout") == "bnhd" ? analysis::Layout::kBnhd : analysis::Layout::kBhnd;
  return where;
}

Json to_json(const CudaBenchReport& report, const CudaResult& r) {
  const Geometry g = r.where.geometry();
  const PassFigures limit = limit_of(report.setting, r);
  const auto over = [](const PassFigures& a, const PassFigures& b) {
    return to_json(PassFigures{ratio(a.forward, b.forward), ratio(a.forward_backward, b.forward_backward)});
  };
  Json json = to_json(r.where);
  json["repeats"] = r.repeats;
  json["ms"] = {{"layer", to_json(r.layer)},
                {"inner", to_json(r.inner)},
                {"dense", to_json(r.dense)},
                {"flash_attention_2", to_json(r.flash)}};
  json["peak_bytes"] = {{"layer", to_json(r.layer_peak_bytes)}, {"dense", to_json(r.dense_peak_bytes)}};
  json["copy_bytes_per_second"] = to_json(r.copy_bytes_per_second);
  json["stages"] = Json::array();
  for (const auto& stage : r.stages) {
    Json entry = {{"name", stage.name}, {"ms", to_json(stage.ms)}, {"bytes", stage.bytes}};
    if (stage.bytes > 0) entry["floor_ms"] = to_json(floor_ms(stage.bytes, r.copy_bytes_per_second));
    json["stages"].push_back(entry);
  }
  // What follows is computed of the above, for readers of the file.
  json["limit_ms"] = to_json(limit);
  json["limit_over_layer"] = over(limit, r.layer);
  json["dense_over_layer"] = over(r.dense, r.layer);
  json["dense_over_limit"] = over(r.dense, limit);
  json["tflops"] = {{"layer", to_json(rates(report.setting, g.retained_length(), r.layer))},
                    {"inner", to_json(rates(report.setting, g.retained_length(), r.inner))},
                    {"dense", to_json(rates(report.setting, g.num_tokens(), r.dense))},
                    {"flash_attention_2", to_json(rates(report.setting, g.num_tokens(), r.flash))}};
  return json;
}

CudaResult result_from(const Json& json) {
  CudaResult r;
  r.where = case_from(json);
  r.repeats = json.at("repeats").get<int64_t>();
  const Json& ms = json.at("ms");
  r.layer = passes_from(ms.at("layer"));
  r.inner = passes_from(ms.at("inner"));
  r.dense = passes_from(ms.at("dense"));
  r.flash = passes_from(ms.at("flash_attention_2"));
  r.layer_peak_bytes = passes_from(json.at("peak_bytes").at("layer"));
  r.dense_peak_bytes = passes_from(json.at("peak_bytes").at("dense"));
  r.copy_bytes_per_second = figure_from(json.at("copy_bytes_per_second"));
  for (const auto& stage : json.at("stages")) {
    r.stages.push_back(
        {stage.at("name").get<std::string>(), figure_from(stage.at("ms")), stage.at("bytes").get<int64_t>()});
  }
  return r;
}

Json to_json(const analysis::CudaExtras& extras) {
  Json graph = to_json(extras.graph.where);
  graph["forward_backward_ms"] = {{"graph", to_json(extras.graph.graph)},
                                  {"layer", to_json(extras.graph.layer)},
                                  {"dense", to_json(extras.graph.dense)}};
  Json modes = to_json(extras.long_case);
  modes["modes"] = Json::array();
  for (const auto& mode : extras.modes) {
    modes["modes"].push_back(
        {{"deterministic", mode.deterministic}, {"ms", to_json(mode.ms)}, {"peak_bytes", to_json(mode.peak_bytes)}});
  }
  return {{"cuda_graph", graph}, {"deterministic", modes}};
}

analysis::CudaExtras extras_from(const Json& json) {
  analysis::CudaExtras extras;
  const Json& graph = json.at("cuda_graph");
  const Json& ms = graph.at("forward_backward_ms");
  extras.graph = {case_from(graph), figure_from(ms.at("graph")), figure_from(ms.at("layer")),
                  figure_from(ms.at("dense"))};
  extras.long_case = case_from(json.at("deterministic"));
  for (const auto& mode : json.at("deterministic").at("modes")) {
    extras.modes.push_back(
        {mode.at("deterministic").get<bool>(), passes_from(mode.at("ms")), passes_from(mode.at("peak_bytes"))});
  }
  return extras;
}

}  // namespace

std::string cuda_json(const CudaBenchReport& report) {
  const auto& p = report.provenance;
  Json json = {{"lighthouse", p.lighthouse},
               {"torch", p.torch},
               {"cudnn", report.cuda.cudnn},
               {"commit", p.commit},
               {"date", p.date},
               {"inner_kernel", p.inner_kernel},
               {"command", report.command},
               {"device",
                {{"gpu", report.cuda.gpu},
                 {"compute_capability", report.cuda.compute_capability},
                 {"memory_bytes", report.cuda.memory_bytes},
                 {"cpu", p.cpu},
                 {"threads", p.threads},
                 {"instruction_set", p.instruction_set}}},
               {"setting", setting_to_json(report.setting)},
               {"skipped", report.skipped},
               {"results", Json::array()}};
  if (p.inner_kernel.empty()) json.erase("inner_kernel");  // as older files have it
  for (const auto& r : report.results) json["results"].push_back(to_json(report, r));
  if (report.extras) json["extras"] = to_json(*report.extras);
  return dump(json);
}

CudaBenchReport cuda_from_json(const std::string& text) {
  const Json json = io::parse_json(text, "the file");
  const Json& device = json.at("device");
  CudaBenchReport report;
  report.provenance = provenance_from(json);
  report.cuda = {device.at("gpu").get<std::string>(), device.at("compute_capability").get<std::string>(),
                 device.at("memory_bytes").get<double>(), json.at("cudnn").get<std::string>()};
  report.command = json.at("command").get<std::string>();
  report.setting = setting_from(json.at("setting"));
  report.skipped = json.at("skipped").get<std::vector<std::string>>();
  for (const auto& r : json.at("results")) report.results.push_back(result_from(r));
  if (json.contains("extras")) report.extras = extras_from(json.at("extras"));
  return report;
}

}  // namespace lighthouse::cli
