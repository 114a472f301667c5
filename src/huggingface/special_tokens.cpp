#include "huggingface/special_tokens.h"

#include <limits>

namespace lighthouse::huggingface {
namespace {

std::optional<int64_t> one(const JsonKeys& keys, const std::string& key, const std::optional<int64_t>& absent) {
  if (keys.is_absent(key)) return absent;
  return keys.optional_whole(key, std::numeric_limits<int64_t>::min());  // -1 is how some write that there is none
}

Json to_json(const std::optional<int64_t>& token) { return token ? Json(*token) : Json(nullptr); }

}  // namespace

SpecialTokens read_special_tokens(const JsonKeys& keys, const SpecialTokens& absent) {
  return {one(keys, "bos_token_id", absent.begin), one(keys, "pad_token_id", absent.padding),
          keys.is_absent("eos_token_id") ? absent.end : keys.one_or_more("eos_token_id")};
}

void write_special_tokens(const SpecialTokens& tokens, Json& object) {
  object["bos_token_id"] = to_json(tokens.begin);
  object["eos_token_id"] = tokens.end.empty()       ? Json(nullptr)
                           : tokens.end.size() == 1 ? Json(tokens.end.front())
                                                    : Json(tokens.end);
  object["pad_token_id"] = to_json(tokens.padding);
}

std::vector<int64_t> end_tokens(const std::filesystem::path& folder) {
  if (folder.empty()) return {};
  SpecialTokens absent = kLlamasTokens;
  for (const char* name : {"generation_config.json", "config.json"}) {
    const auto path = folder / name;
    if (!std::filesystem::exists(path)) continue;
    const bool last = std::string(name) == "config.json";
    const Json object = read_object(path);
    auto tokens = read_special_tokens({object, path.string()}, last ? absent : SpecialTokens{}).end;
    if (!tokens.empty()) return tokens;
    absent = {};
  }
  return {};
}

}  // namespace lighthouse::huggingface
