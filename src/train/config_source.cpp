#include "train/config_source.h"

#include <algorithm>
#include <sstream>
#include <stdexcept>

#include "text/number_text.h"
#include "train/toml_text.h"

namespace lighthouse::train {
namespace {

[[noreturn]] void fail_override(const std::string& text, const std::string& problem) {
  throw std::invalid_argument("--set " + text + ": " + problem);
}

/// "stages.0.steps" and "stages[0].steps" alike.
std::vector<std::string> keys_of_path(std::string path) {
  std::replace(path.begin(), path.end(), '[', '.');
  std::erase(path, ']');
  std::vector<std::string> keys;
  std::istringstream parts(path + ".");
  for (std::string key; std::getline(parts, key, '.');) keys.push_back(key);
  return keys;
}

toml::node* item_of(toml::array& array, const std::string& key) {
  const bool digits = !key.empty() && key.size() < 6 && key.find_first_not_of("0123456789") == std::string::npos;
  return digits ? array.get(std::stoul(key)) : nullptr;
}

}  // namespace

ConfigOverride::ConfigOverride(const std::string& text) : text_(text) {
  const size_t equals = text.find('=');
  if (equals == std::string::npos || equals == 0) {
    throw std::invalid_argument("--set expects key=value; got " + (text.empty() ? "an empty text" : text));
  }
  keys_ = keys_of_path(text.substr(0, equals));
  value_ = text.substr(equals + 1);
  for (const auto& key : keys_) {
    if (key.empty() || key.find_first_of(" \t\"'") != std::string::npos)
      fail_override(text, "expected a key such as optimizer.learning_rate or stages.0.steps before the =");
  }
}

void ConfigOverride::apply(toml::table& root) const {
  toml::node* node = &root;
  for (size_t i = 0; i + 1 < keys_.size(); ++i) {
    if (auto* array = node->as_array()) {
      node = item_of(*array, keys_[i]);
      if (node == nullptr) {
        fail_override(text_, keys_[i - 1] + " has " +
                                 text::count_of(static_cast<int64_t>(array->size()), "entry", "entries") +
                                 ", counted from 0; got " + keys_[i]);
      }
    } else if (auto* table = node->as_table()) {
      table->insert(keys_[i], toml::table{});  // kept as it is where there is one
      node = table->get(keys_[i]);
    } else {
      fail_override(text_, keys_[i - 1] + " is a value, which has no " + keys_[i]);
    }
  }
  auto* const table = node->as_table();
  if (table == nullptr) {
    const std::string& whole = keys_[keys_.size() - 2];  // the root is a table, so there is one before the last
    fail_override(text_, node->is_array() ? "expected the number of an entry and its key, as " + whole + ".0.steps"
                                          : whole + " is a value, which has no " + keys_.back());
  }
  toml::table value;
  try {
    value = parse_toml("value = " + value_, "--set " + text_);
  } catch (const toml::parse_error&) {
    value.insert_or_assign("value", value_);
  }
  if (value.size() != 1) fail_override(text_, "expected one value");
  table->insert_or_assign(keys_.back(), *value.get("value"));
}

bool ConfigOverride::sets(const std::string& key) const {
  std::string path;
  for (const auto& part : keys_) path += (path.empty() ? "" : ".") + part;
  return key == path || key.starts_with(path + ".") || path.starts_with(key + ".");
}

std::string ConfigSource::of(const std::string& key) const {
  // The last one counts.
  const auto found =
      std::find_if(overrides.rbegin(), overrides.rend(), [&](const ConfigOverride& one) { return one.sets(key); });
  return found == overrides.rend() ? name : "--set " + found->text();
}

std::string ConfigSource::whole() const {
  std::string text = name;
  for (const auto& one : overrides) text += (&one == &overrides.front() ? " with --set " : " --set ") + one.text();
  return text;
}

}  // namespace lighthouse::train
