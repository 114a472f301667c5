// Every key of a configuration, for help texts.
#pragma once

#include <string>
#include <vector>

namespace lighthouse::train {

struct ConfigKey {
  std::string key;            ///< "optimizer.learning_rate"; of the stages "stages.steps"
  std::string default_value;  ///< As TOML, or a word such as "required".
  std::string meaning;
};

/// In the order of the sections.
const std::vector<ConfigKey>& config_keys();

/// All of them as lines of text, a heading per section.
std::string describe_config_keys();

}  // namespace lighthouse::train
