// One table of a configuration while it is read: each key with what it may be.
#pragma once

#include <toml++/toml.h>

#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "train/config_source.h"

namespace lighthouse::train {

/// Counts and sizes beyond this fit no machine, and products of a few of them must fit 64 bits.
inline constexpr int64_t kMostCount = int64_t{1} << 40;

/// Takes keys out of a table; what is left at the end is unknown. Throws std::invalid_argument naming where the value
/// comes from, the key, what was expected and what came.
class ConfigSection {
 public:
  /// The table and the source must live as long.
  ConfigSection(const toml::table& table, std::string name, const ConfigSource& source)
      : table_(table), name_(std::move(name)), source_(source) {}

  void integer(const char* key, int64_t& out, int64_t least, int64_t most = kMostCount);
  void integer(const char* key, std::optional<int64_t>& out, int64_t least, int64_t most = kMostCount);
  /// Finite and, since it is used in float32, 0 or not so small that it would be 0 there.
  void number(const char* key, double& out, double least, double most);
  void boolean(const char* key, bool& out);
  /// A text of one line.
  void text(const char* key, std::string& out);
  void texts(const char* key, std::vector<std::string>& out);
  void integers(const char* key, std::vector<int64_t>& out);

  /// One of the named values.
  template <typename T>
  void choice(const char* key, T& out, const std::vector<std::pair<std::string, T>>& choices) {
    std::vector<std::string> names;
    for (const auto& [name, value] : choices) names.push_back(name);
    if (const auto found = choice_of(key, names)) out = choices[*found].second;
  }

  std::optional<ConfigSection> table(const char* key);
  std::vector<ConfigSection> tables(const char* key);

  bool has(const char* key) const { return table_.contains(key); }

  /// Throws if a key was not asked for.
  void finish() const;

 private:
  std::string full_name(const std::string& key) const { return name_.empty() ? key : name_ + "." + key; }
  const toml::node* find(const char* key);
  const toml::array* find_array(const char* key);
  int64_t integer_of(const char* key, const toml::node& node, int64_t least, int64_t most) const;
  std::optional<size_t> choice_of(const char* key, const std::vector<std::string>& names);
  [[noreturn]] void fail_value(const char* key, const std::string& expected, const toml::node& got) const;

  const toml::table& table_;
  std::string name_;
  const ConfigSource& source_;
  std::set<std::string> known_;
};

}  // namespace lighthouse::train
