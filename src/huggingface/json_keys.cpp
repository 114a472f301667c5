#include "huggingface/json_keys.h"

#include <cmath>
#include <stdexcept>

namespace lighthouse::huggingface {

Json read_object(const std::filesystem::path& path) {
  Json object = io::read_json(path);
  if (!object.is_object()) throw std::runtime_error(path.string() + " is not a JSON object");
  return object;
}

const Json* JsonKeys::find(const std::string& key) const {
  const auto found = object_.find(key);
  return found == object_.end() || found->is_null() ? nullptr : &*found;
}

void JsonKeys::fail(const std::string& key, const std::string& expected) const {
  const Json* const value = find(key);
  std::string got = is_absent(key) ? "none" : value == nullptr ? "none (null)" : io::json_text(*value);
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
  return is_absent(key) ? absent : whole(key, least);
}

std::optional<int64_t> JsonKeys::optional_whole(const std::string& key, int64_t least) const {
  return has(key) ? std::optional(whole(key, least)) : std::nullopt;
}

double JsonKeys::number(const std::string& key, double least) const {
  const Json* const value = find(key);
  if (value == nullptr || !value->is_number() || !std::isfinite(value->get<double>()) || value->get<double>() < least) {
    fail(key, "a number of at least " + io::json_text(Json(least)));
  }
  return value->get<double>();
}

double JsonKeys::number(const std::string& key, double least, double absent) const {
  return is_absent(key) ? absent : number(key, least);
}

bool JsonKeys::boolean(const std::string& key, bool absent) const {
  if (is_absent(key)) return absent;
  const Json* const value = find(key);
  if (value == nullptr || !value->is_boolean()) fail(key, "true or false");
  return value->get<bool>();
}

std::string JsonKeys::text(const std::string& key, const std::string& absent) const {
  if (is_absent(key)) return absent;
  const Json* const value = find(key);
  if (value == nullptr || !value->is_string()) fail(key, "text");
  return value->get<std::string>();
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
