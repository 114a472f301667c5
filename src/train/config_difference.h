// What two configurations do not agree on.
#pragma once

#include <string>
#include <vector>

#include "train/config.h"

namespace lighthouse::train {

struct ConfigDifference {
  std::string key;     ///< "model.hidden_size", "stages.0.steps"
  std::string before;  ///< As TOML; "absent" where the key is not there.
  std::string now;

  bool is_of_model() const { return key.starts_with("model."); }
  /// Whether a run may go on with the new value and still be the same run: such keys change what is recorded or kept,
  /// or where files are (the data's bytes are compared apart), not what is computed.
  bool is_harmless() const;
};

std::vector<ConfigDifference> config_differences(const RunConfig& before, const RunConfig& now);

/// A line for each: "\n  model.hidden_size: 96 before, 128 now".
std::string to_text(const std::vector<ConfigDifference>& differences);

}  // namespace lighthouse::train
