#include "huggingface/byte_tokenizer.h"

#include <array>
#include <nlohmann/json.hpp>
#include <stdexcept>

#include "huggingface/json_keys.h"
#include "train/text_tokens.h"

namespace lighthouse::huggingface {
namespace {

/// The character that stands for each byte in vocabularies of the ByteLevel kind: the byte's own in Latin-1 where that
/// is printed and no space, and U+0100 onwards for the others, in their order.
std::array<char32_t, 256> byte_characters() {
  std::array<char32_t, 256> characters{};
  char32_t other = 256;
  for (char32_t byte = 0; byte < 256; ++byte) {
    const bool printed = (byte > 0x20 && byte < 0x7F) || (byte > 0xA0 && byte != 0xAD);
    characters[byte] = printed ? byte : other++;
  }
  return characters;
}

/// Of a character below U+0800.
std::string utf8(char32_t character) {
  if (character < 0x80) return {static_cast<char>(character)};
  return {static_cast<char>(0xC0 | (character >> 6)), static_cast<char>(0x80 | (character & 0x3F))};
}

Json byte_vocabulary() {
  Json vocabulary = Json::object();
  const auto characters = byte_characters();
  for (size_t byte = 0; byte < characters.size(); ++byte) vocabulary[utf8(characters[byte])] = byte;
  return vocabulary;
}

}  // namespace

bool is_byte_tokenizer(const std::filesystem::path& path) {
  const nlohmann::json found = io::read_sorted_json(path);  // in which the order of keys does not count
  if (!found.is_object()) throw std::runtime_error(path.string() + " is not a JSON object");
  const auto at = [&](const char* pointer) {
    return found.value(nlohmann::json::json_pointer(pointer), nlohmann::json());
  };
  return at("/model/vocab") == nlohmann::json(byte_vocabulary()) && at("/model/merges").empty() &&
         at("/added_tokens").empty() && at("/normalizer").empty();
}

bool has_other_tokenizer(const std::filesystem::path& carried) {
  if (carried.empty()) return false;
  if (std::filesystem::exists(carried / "tokenizer.json")) return !is_byte_tokenizer(carried / "tokenizer.json");
  for (const char* name : {"tokenizer.model", "vocab.json", "vocab.txt", "merges.txt", "spiece.model", "tekken.json"}) {
    if (std::filesystem::exists(carried / name)) return true;
  }
  return false;
}

bool reads_bytes(const train::RunConfig& config, const std::filesystem::path& carried) {
  if (has_other_tokenizer(carried)) return false;
  const bool has_tokenizer = !carried.empty() && std::filesystem::exists(carried / "tokenizer.json");
  return has_tokenizer || config.model.vocab_size == train::kByteTokens ||
         config.data.format == train::DataFormat::kText || config.data.format == train::DataFormat::kBytes;
}

void expect_bytes(const train::RunConfig& config, const std::filesystem::path& carried, const std::string& what_to_do) {
  if (reads_bytes(config, carried)) return;
  throw std::invalid_argument(train::tokens_are_not_bytes(config.model.vocab_size) + "; " + what_to_do);
}

std::string byte_tokenizer_json() {
  const Json byte_level = {
      {"type", "ByteLevel"}, {"add_prefix_space", false}, {"trim_offsets", false}, {"use_regex", false}};
  const Json tokenizer = {{"version", "1.0"},
                          {"truncation", nullptr},
                          {"padding", nullptr},
                          {"added_tokens", Json::array()},
                          {"normalizer", nullptr},
                          {"pre_tokenizer", byte_level},
                          {"post_processor", nullptr},
                          {"decoder", byte_level},
                          {"model",
                           {{"type", "BPE"},
                            {"dropout", nullptr},
                            {"unk_token", nullptr},
                            {"continuing_subword_prefix", nullptr},
                            {"end_of_word_suffix", nullptr},
                            {"fuse_unk", false},
                            {"byte_fallback", false},
                            {"ignore_merges", false},
                            {"vocab", byte_vocabulary()},
                            {"merges", Json::array()}}}};
  return io::json_text(tokenizer, 2) + "\n";
}

std::string byte_tokenizer_config_json() {
  // Longer texts than the model's context are the caller's to cut, so there is no model_max_length.
  const Json config = {{"tokenizer_class", "PreTrainedTokenizerFast"}, {"clean_up_tokenization_spaces", false}};
  return io::json_text(config, 2) + "\n";
}

}  // namespace lighthouse::huggingface
