#include "huggingface/json_keys.h"

#include <cmath>
#include <fstream>
#include <stdexcept>

namespace lighthouse::huggingface {

Json read_json(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file || std::filesystem::is_directory(path)) throw std::runtime_error("cannot read " + path.string());
  Json object = Json::parse(file, nullptr, /*allow_exceptions=*/false);
  if (!object.is_object()) throw std::runtime_error(path.string() + " is not a JSON object");
  return object;
}

const Json* JsonKeys::find(const std::string& key) const {
  const auto found = object_.find(key);
  return found == object_.end() || found->is_null() ? nullptr : &*found;
}

void JsonKeys::fail(const std::string& key, const std::string& expected) const {
  const Json* const value = find(key);
  std::string got = value == nullptr ? "none" : value->dump();
  constexpr size_t kMostShown = 200;
  if (got.size() > kMostShown) got = got.substr(0, kMostShown) + "...";
  throw std::runtime_error(source_ + ": " + prefix_ + key + " must be " + expected + "; got " + got);
}

int64_t JsonKeys::whole(const std::string& key, int64_t least) const {
  const Json* const value = find(key);
  // An unsigned number may be too large for int64: such a size is as wrong as a negative one.
  if (value == nullptr || !value->is_number_integer() || value->get<int64_t>() < least) {
    fail(key, "a whole number of at least " + std::to_string(least));
  }
  return value->get<int64_t>();
}

int64_t JsonKeys::whole(const std::string& key, int64_t least, int64_t absent) const {
  return has(key) ? whole(key, least) : absent;
}

double JsonKeys::number(const std::string& key, double least) const {
  const Json* const value = find(key);
  if (value == nullptr || !value->is_number() || !std::isfinite(value->get<double>()) || value->get<double>() < least) {
    fail(key, "a number of at least " + Json(least).dump());
  }
  return value->get<double>();
}

double JsonKeys::number(const std::string& key, double least, double absent) const {
  return has(key) ? number(key, least) : absent;
}

bool JsonKeys::boolean(const std::string& key, bool absent) const {
  const Json* const value = find(key);
  if (value != nullptr && !value->is_boolean()) fail(key, "true or false");
  return value == nullptr ? absent : value->get<bool>();
}

std::string JsonKeys::text(const std::string& key, const std::string& absent) const {
  const Json* const value = find(key);
  if (value != nullptr && !value->is_string()) fail(key, "text");
  return value == nullptr ? absent : value->get<std::string>();
}

std::vector<int64_t> JsonKeys::one_or_more(const std::string& key) const {
  const Json* const value = find(key);
  if (value == nullptr) return {};
  std::vector<int64_t> numbers;
  for (const Json& item : value->is_array() ? *value : Json::array({*value})) {
    if (!item.is_number_integer()) fail(key, "a whole number or a list of them");
    numbers.push_back(item.get<int64_t>());
  }
  return numbers;
}

std::optional<JsonKeys> JsonKeys::object(const std::string& key) const {
  const Json* const value = find(key);
  if (value == nullptr) return std::nullopt;
  if (!value->is_object()) fail(key, "an object");
  return JsonKeys(*value, source_, prefix_ + key + ".");
}

}  // namespace lighthouse::huggingface
