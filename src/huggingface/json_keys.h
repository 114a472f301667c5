// Keys of a JSON object from elsewhere, each checked as it is taken.
#pragma once

#include <cstdint>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

namespace lighthouse::huggingface {

using Json = nlohmann::ordered_json;

/// Throws std::runtime_error naming the file where it cannot be read or is not a JSON object.
Json read_json(const std::filesystem::path& path);

/// Every complaint is a std::runtime_error that names the file, the key, what was expected and what came. A key that is
/// null counts as absent.
class JsonKeys {
 public:
  JsonKeys(const Json& object, std::string source, std::string prefix = "")
      : object_(object), source_(std::move(source)), prefix_(std::move(prefix)) {}

  bool has(const std::string& key) const { return find(key) != nullptr; }
  int64_t whole(const std::string& key, int64_t least) const;
  int64_t whole(const std::string& key, int64_t least, int64_t absent) const;
  double number(const std::string& key, double least) const;
  double number(const std::string& key, double least, double absent) const;
  bool boolean(const std::string& key, bool absent) const;
  std::string text(const std::string& key, const std::string& absent) const;
  /// A whole number or a list of them; empty where absent.
  std::vector<int64_t> one_or_more(const std::string& key) const;
  std::optional<JsonKeys> object(const std::string& key) const;

  [[noreturn]] void fail(const std::string& key, const std::string& expected) const;
  const std::string& source() const { return source_; }

 private:
  const Json* find(const std::string& key) const;

  const Json& object_;
  std::string source_;
  std::string prefix_;  // "rope_parameters."
};

}  // namespace lighthouse::huggingface
