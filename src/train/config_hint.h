// What an unknown key of a configuration may have meant.
#pragma once

#include <string>
#include <vector>

namespace lighthouse::train {

/// "; the nearest known one is optimizer.learning_rate", or what the section has where none is near. `section` is the
/// table's name ("optimizer", "stages.0", "" for the root), `known` are its keys.
std::string hint_for_key(const std::string& section, const std::string& key, const std::vector<std::string>& known);

}  // namespace lighthouse::train
