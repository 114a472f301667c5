// Keys of a JSON object from elsewhere, each checked as it is taken.
#pragma once

#include <cstdint>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "io/json.h"

namespace lighthouse::huggingface {

using io::Json;

/// Throws std::runtime_error naming the file, and the line and the reason, where it cannot be read or is not a JSON
/// object.
Json read_object(const std::filesystem::path& path);

/// Every complaint is a std::runtime_error that names the file, the key, what was expected and what came. A value for
/// keys that are absent does not stand for null, which transformers refuses for most keys; has() and the optional ones
/// are for those that it takes as absent.
class JsonKeys {
 public:
  JsonKeys(const Json& object, std::string source, std::string prefix = "")
      : object_(object), source_(std::move(source)), prefix_(std::move(prefix)) {}

  /// There, and not null.
  bool has(const std::string& key) const { return find(key) != nullptr; }
  bool is_absent(const std::string& key) const { return !object_.contains(key); }
  std::optional<int64_t> optional_whole(const std::string& key, int64_t least) const;
  int64_t whole(const std::string& key, int64_t least) const;
  int64_t whole(const std::string& key, int64_t least, int64_t absent) const;
  double number(const std::string& key, double least) const;
  double number(const std::string& key, double least, double absent) const;
  bool boolean(const std::string& key, bool absent) const;
  std::string text(const std::string& key, const std::string& absent) const;
  /// A whole number or a list of them; empty where absent or null.
  std::vector<int64_t> one_or_more(const std::string& key) const;
  /// None where absent or null.
  std::optional<JsonKeys> object(const std::string& key) const;
  /// The object itself.
  const Json& all() const { return object_; }

  [[noreturn]] void fail(const std::string& key, const std::string& expected) const;
  const std::string& source() const { return source_; }

 private:
  const Json* find(const std::string& key) const;

  const Json& object_;
  std::string source_;
  std::string prefix_;  // "rope_parameters."
};

}  // namespace lighthouse::huggingface
