#include "analysis/benchmark_plan.h"

#include <ATen/ops/empty.h>

#include <algorithm>
#include <stdexcept>

#include "lighthouse/attention.h"

namespace lighthouse::analysis {
namespace {

[[noreturn]] void fail(const std::string& expected, const std::string& got) {
  throw std::invalid_argument(expected + "; got " + got);
}

void check_at_least_one(const std::string& name, int64_t value) {
  if (value < 1) fail(name + " must be at least 1", std::to_string(value));
}

void check_setting(const BenchmarkSetting& setting) {
  check_at_least_one("batch", setting.batch);
  check_at_least_one("heads", setting.heads);
  check_at_least_one("kv-heads", setting.kv_heads);
  check_at_least_one("head-dim", setting.head_dim);
  check_at_least_one("repeats", setting.repeats);
  if (setting.heads % setting.kv_heads != 0) {
    fail("kv-heads must divide heads",
         "heads=" + std::to_string(setting.heads) + ", kv-heads=" + std::to_string(setting.kv_heads));
  }
  name_of(setting.dtype);
}

}  // namespace

int64_t default_top_k(int64_t num_tokens) { return Geometry(num_tokens, {}).top_k(); }

PyramidOptions Variant::over(int64_t num_tokens) const {
  return {num_levels, pooling_factor, top_k.value_or(default_top_k(num_tokens)), std::nullopt};
}

std::string Variant::name() const {
  return "L=" + std::to_string(num_levels) + " p=" + std::to_string(pooling_factor) +
         " k=" + (top_k ? std::to_string(*top_k) : "N/64");
}

at::ScalarType dtype_of(const std::string& name, bool cuda) {
  if (name == "float32") return at::kFloat;
  if (name == "bfloat16") return at::kBFloat16;
  if (name == "float16" && cuda) return at::kHalf;
  fail(cuda ? "dtype must be float32, bfloat16 or float16" : "dtype must be float32 or bfloat16", name);
}

std::string name_of(at::ScalarType dtype) {
  if (dtype == at::kFloat) return "float32";
  if (dtype == at::kBFloat16) return "bfloat16";
  if (dtype == at::kHalf) return "float16";
  fail("dtype must be float32, bfloat16 or float16", c10::toString(dtype));
}

Plan make_plan(const BenchmarkSetting& setting, std::vector<int64_t> lengths, const std::vector<Variant>& variants) {
  check_setting(setting);
  for (const int64_t n : lengths) check_at_least_one("n", n);
  std::sort(lengths.begin(), lengths.end());
  lengths.erase(std::unique(lengths.begin(), lengths.end()), lengths.end());
  Plan plan;
  for (const int64_t n : lengths) {
    LengthPlan cases{n, {}};
    for (const auto& variant : variants) {
      const Geometry geometry(n, variant.over(n));  // throws for a wrong option, named
      if (!geometry.is_dense()) {
        cases.variants.push_back(variant);
        continue;
      }
      plan.skipped.push_back("N=" + std::to_string(n) + " " + variant.name() +
                             ": skipped, for S=" + std::to_string(geometry.retained_length()) +
                             " rows of N would be gathered, so that the layer is dense attention.");
    }
    if (!cases.variants.empty()) plan.lengths.push_back(std::move(cases));
  }
  if (plan.lengths.empty()) {
    throw std::invalid_argument("expected a case with S < N; got none" +
                                (plan.skipped.empty() ? std::string() : ": " + plan.skipped.front()));
  }
  return plan;
}

std::string inner_kernel_of(const BenchmarkSetting& setting, at::DeviceType device) {
  const auto query = at::empty({1, 1, 2, setting.head_dim}, at::TensorOptions(setting.dtype).device(device));
  return lighthouse::name_of(chosen_inner_kernel(query));
}

}  // namespace lighthouse::analysis
