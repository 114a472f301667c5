// What `lighthouse eval` says: tables in the terminal, a page, JSON.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <ostream>
#include <string>
#include <vector>

#include "analysis/copy_task.h"
#include "analysis/position_loss.h"
#include "analysis/provenance.h"
#include "analysis/retrieval.h"

namespace lighthouse::cli {

struct Evaluation {
  std::string run;
  analysis::Provenance provenance;
  std::string device;     ///< "cpu", "cuda".
  std::string precision;  ///< "float32", "bfloat16".
  bool bytes = true;      ///< A token is a byte.
  uint64_t seed = 0;
  int64_t copy_length = 0;
  std::optional<analysis::PositionLoss> loss;
  std::vector<analysis::RetrievalCell> retrieval;
  std::vector<analysis::CopyCell> copy;
  /// Of fresh weights, on the same texts of the shortest length.
  std::optional<analysis::CopyCell> untrained;
};

void print_evaluation(std::ostream& out, const Evaluation& evaluation);
void write_evaluation_page(const std::filesystem::path& path, const Evaluation& evaluation);
std::string evaluation_json(const Evaluation& evaluation);

}  // namespace lighthouse::cli
