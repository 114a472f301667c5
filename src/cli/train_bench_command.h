// `lighthouse bench --train CONFIG`: how fast a configuration trains on this machine.
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

namespace lighthouse::cli {

struct TrainBenchArguments {
  std::string config;
  std::vector<std::string> overrides;
  int64_t repeats = 5;
  std::optional<double> baseline;  ///< Tokens per second of another dense run, to compare with.
  std::string json;
};

void run_train_bench(const TrainBenchArguments& arguments);

/// Prints the tables of what --json wrote. Throws nlohmann's exceptions where it is something else.
void show_train_bench(const nlohmann::ordered_json& json);

}  // namespace lighthouse::cli
