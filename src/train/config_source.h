// Where the values of a configuration come from: a file, and the overrides that --set names.
#pragma once

#include <toml++/toml.h>

#include <string>
#include <vector>

namespace lighthouse::train {

/// One "optimizer.learning_rate=1e-3". Values that are not TOML are texts.
class ConfigOverride {
 public:
  /// Throws std::invalid_argument where it is no key=value.
  explicit ConfigOverride(const std::string& text);

  /// Puts the value in its place, and the tables around it. Throws std::invalid_argument where it has none.
  void apply(toml::table& root) const;

  /// Whether it is this key's value, a value in it, or that of a table that the key is in.
  bool sets(const std::string& key) const;
  /// As it was given.
  const std::string& text() const { return text_; }

 private:
  std::string text_;
  std::vector<std::string> keys_;  ///< "stages", "0", "steps"
  std::string value_;
};

struct ConfigSource {
  std::string name;  ///< Of the file, or what stands for it in errors.
  std::vector<ConfigOverride> overrides;

  /// Where the key's value comes from, for errors: "run.toml", "--set seed=x".
  std::string of(const std::string& key) const;
  /// All of it, for what no single key is wrong about: "run.toml with --set seed=1".
  std::string whole() const;
};

}  // namespace lighthouse::train
