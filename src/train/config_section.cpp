#include "train/config_section.h"

#include <algorithm>
#include <cmath>
#include <stdexcept>

#include "text/nearest_word.h"
#include "text/number_text.h"
#include "text/utf8.h"
#include "train/config_hint.h"
#include "train/toml_text.h"

namespace lighthouse::train {
namespace {

/// Smaller numbers, and their squares, are 0 in float32.
constexpr double kLeastNumber = 1e-30;

bool is_one_line(const std::string& text) {
  return text.find_first_of(std::string("\n\t\0", 3)) == std::string::npos && text::visible(text) == text;
}

std::string bounds_text(const std::string& what, const std::string& least, const std::string& most) {
  return what + " of at least " + least + " and at most " + most;
}

}  // namespace

void ConfigSection::integer(const char* key, int64_t& out, int64_t least, int64_t most) {
  if (const toml::node* node = find(key)) out = integer_of(key, *node, least, most);
}

void ConfigSection::integer(const char* key, std::optional<int64_t>& out, int64_t least, int64_t most) {
  if (const toml::node* node = find(key)) out = integer_of(key, *node, least, most);
}

void ConfigSection::number(const char* key, double& out, double least, double most) {
  const toml::node* node = find(key);
  if (node == nullptr) return;
  const auto value = node->value<double>();
  const bool in_range = node->is_number() && value && std::isfinite(*value) && *value >= least && *value <= most;
  const bool vanishes = in_range && *value != 0 && std::abs(*value) < kLeastNumber;
  if (vanishes)
    fail_value(key, bounds_text("0 or a number", text::shortest(kLeastNumber), text::shortest(most)), *node);
  if (!in_range) fail_value(key, bounds_text("a number", text::shortest(least), text::shortest(most)), *node);
  out = *value;
}

void ConfigSection::boolean(const char* key, bool& out) {
  const toml::node* node = find(key);
  if (node == nullptr) return;
  if (!node->is_boolean()) fail_value(key, "true or false", *node);
  out = *node->value<bool>();
}

void ConfigSection::text(const char* key, std::string& out) {
  const toml::node* node = find(key);
  if (node == nullptr) return;
  if (!node->is_string()) fail_value(key, "text in quotes", *node);
  const auto value = *node->value<std::string>();
  if (!is_one_line(value)) fail_value(key, "text of one line without control characters", *node);
  out = value;
}

void ConfigSection::texts(const char* key, std::vector<std::string>& out) {
  const toml::array* array = find_array(key);
  if (array == nullptr) return;
  out.clear();
  for (const toml::node& node : *array) {
    if (!node.is_string()) fail_value(key, "an array of texts", node);
    out.push_back(*node.value<std::string>());
    // The system would take the part before it for the whole name.
    if (out.back().find('\0') != std::string::npos) fail_value(key, "an array of texts without the character 0", node);
  }
}

void ConfigSection::integers(const char* key, std::vector<int64_t>& out) {
  const toml::array* array = find_array(key);
  if (array == nullptr) return;
  out.clear();
  for (const toml::node& node : *array) out.push_back(integer_of(key, node, 0, 1 << 20));
}

std::optional<ConfigSection> ConfigSection::table(const char* key) {
  const toml::node* node = find(key);
  if (node == nullptr) return std::nullopt;
  if (!node->is_table()) fail_value(key, "a table", *node);
  return ConfigSection(*node->as_table(), full_name(key), source_);
}

std::vector<ConfigSection> ConfigSection::tables(const char* key) {
  std::vector<ConfigSection> sections;
  const toml::array* array = find_array(key);
  if (array == nullptr) return sections;
  for (const toml::node& node : *array) {
    if (!node.is_table()) fail_value(key, "an array of tables", node);
    sections.emplace_back(*node.as_table(), full_name(key) + "." + std::to_string(sections.size()), source_);
  }
  return sections;
}

void ConfigSection::finish() const {
  for (const auto& [key, node] : table_) {
    const std::string name(key.str());
    if (known_.contains(name)) continue;
    const std::string full = full_name(name);
    throw std::invalid_argument(source_.of(full) + ": unknown key " + full +
                                hint_for_key(name_, name, {known_.begin(), known_.end()}));
  }
}

void ConfigSection::fail_value(const char* key, const std::string& expected, const toml::node& got) const {
  const std::string full = full_name(key);
  const std::string value = got.is_table() ? "a table" : got.is_array() ? "an array" : to_toml_text(got);
  throw std::invalid_argument(source_.of(full) + ": " + full + " must be " + expected + "; got " + value);
}

const toml::node* ConfigSection::find(const char* key) {
  known_.insert(key);
  return table_.get(key);
}

const toml::array* ConfigSection::find_array(const char* key) {
  const toml::node* node = find(key);
  if (node == nullptr) return nullptr;
  if (!node->is_array()) fail_value(key, "an array", *node);
  return node->as_array();
}

int64_t ConfigSection::integer_of(const char* key, const toml::node& node, int64_t least, int64_t most) const {
  const auto value = node.value_exact<int64_t>();  // value() casts what does not fit
  if (!value || *value < least || *value > most) {
    fail_value(key, bounds_text("a whole number", std::to_string(least), std::to_string(most)), node);
  }
  return *value;
}

std::optional<size_t> ConfigSection::choice_of(const char* key, const std::vector<std::string>& names) {
  const toml::node* node = find(key);
  if (node == nullptr) return std::nullopt;
  std::string expected;
  for (size_t i = 0; i < names.size(); ++i) {
    if (node->is_string() && *node->value<std::string>() == names[i]) return i;
    expected += (i == 0 ? "\"" : ", \"") + names[i] + "\"";
  }
  fail_value(key, "one of " + expected, *node);
}

}  // namespace lighthouse::train
