// What the JSON of the CPU's and of CUDA's benchmark have in common.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "analysis/benchmark_plan.h"
#include "analysis/provenance.h"

namespace lighthouse::cli {

using Json = nlohmann::ordered_json;

Json setting_to_json(const analysis::BenchmarkSetting& setting);
analysis::BenchmarkSetting setting_from(const Json& json);
/// Of the whole file.
analysis::Provenance provenance_from(const Json& json);
/// Of one result, with its N. A budget that is the default one is taken for the default.
analysis::Variant variant_from(const Json& json);

std::string dump(const Json& json);

}  // namespace lighthouse::cli
