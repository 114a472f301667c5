#include "huggingface/special_tokens.h"

#include <limits>

namespace lighthouse::huggingface {
namespace {

std::optional<int64_t> one(const JsonKeys& keys, const std::string& key) {
  if (!keys.has(key)) return std::nullopt;
  return keys.whole(key, std::numeric_limits<int64_t>::min());  // -1 is how some write that there is none
}

Json to_json(const std::optional<int64_t>& token) { return token ? Json(*token) : Json(nullptr); }

}  // namespace

SpecialTokens read_special_tokens(const JsonKeys& keys) {
  return {one(keys, "bos_token_id"), one(keys, "pad_token_id"), keys.one_or_more("eos_token_id")};
}

void write_special_tokens(const SpecialTokens& tokens, Json& object) {
  object["bos_token_id"] = to_json(tokens.begin);
  object["eos_token_id"] = tokens.end.empty()       ? Json(nullptr)
                           : tokens.end.size() == 1 ? Json(tokens.end.front())
                                                    : Json(tokens.end);
  object["pad_token_id"] = to_json(tokens.padding);
}

std::vector<int64_t> end_tokens(const std::filesystem::path& folder) {
  for (const char* name : {"generation_config.json", "config.json"}) {
    const auto path = folder / name;
    if (folder.empty() || !std::filesystem::exists(path)) continue;
    const Json object = read_json(path);
    auto tokens = read_special_tokens({object, path.string()}).end;
    if (!tokens.empty()) return tokens;
  }
  return {};
}

}  // namespace lighthouse::huggingface
