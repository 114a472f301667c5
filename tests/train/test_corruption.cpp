// Damaged files: 200 random mutations each of a checkpoint, a plain safetensors file, a token file and a configuration.
// Each must end in an error that names the file, or in a run that is right.
#include <torch/types.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <functional>
#include <iostream>
#include <map>
#include <random>
#include <sstream>

#include "tiny_run.h"
#include "train/device.h"
#include "train/memory_estimate.h"
#include "train/run_folder.h"
#include "train/trainer.h"

namespace lighthouse::test {
namespace {

namespace fs = std::filesystem;
using Random = std::mt19937_64;
using train::FolderUse;
using train::RunConfig;
using train::RunFolder;
using train::Trainer;

constexpr int kMutations = 200;

size_t below(Random& random, size_t bound) { return std::uniform_int_distribution<size_t>(0, bound - 1)(random); }

struct Mutation {
  const char* name;
  std::function<void(std::string& bytes, Random& random)> apply;
};

size_t header_end(const std::string& bytes) {
  uint64_t size = 0;
  std::memcpy(&size, bytes.data(), sizeof(size));
  return sizeof(size) + size;
}

void flip_bit(std::string& bytes, size_t begin, size_t end, Random& random) {
  bytes[begin + below(random, end - begin)] ^= static_cast<char>(1 << below(random, 8));
}

const std::vector<Mutation>& byte_mutations() {
  static const std::vector<Mutation> mutations = {
      {"bit flipped", [](std::string& b, Random& r) { flip_bit(b, 0, b.size(), r); }},
      {"cut short", [](std::string& b, Random& r) { b.resize(below(r, b.size())); }},
      {"bytes appended", [](std::string& b, Random& r) { b.append(1 + below(r, 100), 'x'); }},
      {"byte inserted", [](std::string& b, Random& r) { b.insert(below(r, b.size()), 1, static_cast<char>(r())); }},
      {"byte removed", [](std::string& b, Random& r) { b.erase(below(r, b.size()), 1); }},
      {"block of zeros",
       [](std::string& b, Random& r) {
         const size_t at = below(r, b.size());
         std::fill_n(b.begin() + static_cast<std::ptrdiff_t>(at), std::min<size_t>(b.size() - at, 512), '\0');
       }},
      {"two blocks swapped",
       [](std::string& b, Random& r) {
         const size_t size = std::min<size_t>(64, b.size() / 2);
         const size_t one = below(r, b.size() - 2 * size + 1);
         const size_t two = one + size + below(r, b.size() - one - 2 * size + 1);
         std::swap_ranges(b.begin() + static_cast<std::ptrdiff_t>(one),
                          b.begin() + static_cast<std::ptrdiff_t>(one + size),
                          b.begin() + static_cast<std::ptrdiff_t>(two));
       }},
      {"emptied", [](std::string& b, Random&) { b.clear(); }},
  };
  return mutations;
}

/// A digit, a letter or a word in the header becomes another: what is left is often JSON, and wrong.
const std::vector<Mutation>& header_mutations() {
  const auto replace_one = [](std::string& b, Random& r, const std::string& from, const std::string& to) {
    std::vector<size_t> places;
    const size_t end = std::min(header_end(b), b.size());
    for (size_t at = b.find(from); at != std::string::npos && at < end; at = b.find(from, at + 1)) places.push_back(at);
    if (!places.empty()) b.replace(places[below(r, places.size())], from.size(), to);
  };
  static const std::vector<Mutation> mutations = {
      {"header length changed", [](std::string& b, Random& r) { flip_bit(b, 0, 8, r); }},
      {"header bit flipped", [](std::string& b, Random& r) { flip_bit(b, 8, header_end(b), r); }},
      {"header digit changed",
       [=](std::string& b, Random& r) {
         const std::string digits = "0123456789";
         replace_one(b, r, std::string(1, digits[below(r, 10)]), std::string(1, digits[below(r, 10)]));
       }},
      {"dtype changed", [=](std::string& b, Random& r) { replace_one(b, r, "F32", below(r, 2) != 0 ? "I32" : "F64"); }},
      {"ranges overlap or leave holes",
       [=](std::string& b, Random& r) { replace_one(b, r, "\"data_offsets\":[", "\"data_offsets\":[1"); }},
      {"name changed", [=](std::string& b, Random& r) { replace_one(b, r, "weight", "w3ight"); }},
      {"name doubled", [=](std::string& b, Random& r) { replace_one(b, r, "k_proj", "v_proj"); }},
  };
  return mutations;
}

std::string read_bytes(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

/// Applies mutations in turn; `check` throws an error or finishes what is a right run (or fails the test itself). An
/// error must name `source`.
void expect_errors_or_right_runs(const std::string& what, const std::vector<Mutation>& mutations,
                                 const std::string& original, const std::string& source,
                                 const std::function<void(const std::string& bytes)>& check) {
  Random random(20261123);
  std::map<std::string, std::array<int, 2>> counts;  // errors, right runs
  for (int i = 0; i < kMutations; ++i) {
    const Mutation& mutation = mutations[static_cast<size_t>(i) % mutations.size()];
    std::string bytes = original;
    mutation.apply(bytes, random);
    try {
      check(bytes);
      ++counts[mutation.name][1];
    } catch (const std::exception& error) {
      ++counts[mutation.name][0];
      EXPECT_NE(std::string(error.what()).find(source), std::string::npos)
          << what << ", " << mutation.name << ": " << error.what();
    }
  }
  std::cout << what << ", " << kMutations << " mutations (named errors, right runs):";
  for (const auto& [name, count] : counts) std::cout << "\n  " << name << ": " << count[0] << ", " << count[1];
  std::cout << "\n";
}

std::vector<Mutation> joined(std::vector<Mutation> a, const std::vector<Mutation>& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

bool same(const model::NamedTensors& a, const model::NamedTensors& b) {
  if (a.size() != b.size()) return false;
  for (size_t i = 0; i < a.size(); ++i) {
    if (a[i].first != b[i].first || !torch::equal(a[i].second, b[i].second)) return false;
  }
  return true;
}

TEST(Corruption, Checkpoints) {
  const TemporaryFolder folder;
  RunConfig config = tiny_run(folder);
  config.stages = {stage(true, 2)};
  {
    Trainer trainer(config);
    RunFolder run_folder(config, FolderUse::kNew);
    run_folder.begin(std::nullopt);
    trainer.run({}, &run_folder);
  }
  const fs::path path = train::checkpoint_path(fs::path(config.output_dir) / "checkpoints", 2);
  const train::Checkpoint original = train::read_checkpoint(path);
  expect_errors_or_right_runs("checkpoint", joined(byte_mutations(), header_mutations()), read_bytes(path),
                              path.string(), [&](const std::string& bytes) {
                                std::ofstream(path, std::ios::binary) << bytes;
                                RunFolder run_folder(config, FolderUse::kResume);
                                const auto found = run_folder.newest_checkpoint([](const std::string&) {});
                                Trainer trainer(config);
                                trainer.restore(*found, path.string());
                                EXPECT_TRUE(same(found->weights, original.weights));
                                EXPECT_TRUE(same(found->first_moments, original.first_moments));
                                EXPECT_TRUE(same(found->second_moments, original.second_moments));
                                EXPECT_EQ(found->position.step, 2);
                              });
}

TEST(Corruption, SafetensorsWithoutAChecksum) {
  // As other programs write them: here only the structure can be wrong. What is read must fit its own header.
  const TemporaryFolder folder;
  const RunConfig config = tiny_run(folder);
  const model::Decoder decoder(config.model);
  const fs::path path = folder.path() / "model.safetensors";
  model::write_safetensors(path, model::named_parameters(*decoder));
  std::string original = read_bytes(path);
  const std::string key = "lighthouse.checksum";
  original.replace(original.find(key), key.size(), "somebody's own note");
  expect_errors_or_right_runs("safetensors", joined(header_mutations(), byte_mutations()), original, path.string(),
                              [&](const std::string& bytes) {
                                std::ofstream(path, std::ios::binary) << bytes;
                                const auto file = model::read_safetensors(path);
                                EXPECT_FALSE(file.checksum_verified);
                                model::Decoder fresh(config.model);
                                model::load_parameters(*fresh, file.tensors, path.string());
                              });
}

TEST(Corruption, TokenFiles) {
  const TemporaryFolder folder;
  std::vector<int32_t> header(256, 0);
  header[0] = 20240520;
  header[1] = 1;
  header[2] = 3000;
  std::string original(reinterpret_cast<const char*>(header.data()), 1024);
  for (int i = 0; i < 3000; ++i) {
    original.push_back(static_cast<char>(i * 7 % 256));
    original.push_back('\0');
  }
  const fs::path path = folder.path() / "tokens.bin";
  train::DataConfig data;
  data.paths = {path.string()};
  data.context_length = 128;
  data.validation_fraction = 0.1;
  std::vector<Mutation> mutations = byte_mutations();
  mutations.push_back({"header changed", [](std::string& b, Random& r) { flip_bit(b, 0, 12, r); }});
  mutations.push_back({"token beyond the vocabulary", [](std::string& b, Random& r) {
                         b[1025 + 2 * below(r, 3000)] = static_cast<char>(1 + below(r, 255));
                       }});
  expect_errors_or_right_runs("token file", mutations, original, path.string(), [&](const std::string& bytes) {
    std::ofstream(path, std::ios::binary) << bytes;
    try {
      train::Corpus corpus(data, 1, 256);
      std::vector<int64_t> tokens(129);
      const auto expect_tokens = [&] {
        for (const int64_t token : tokens) ASSERT_TRUE(token >= 0 && token < 256);
      };
      for (int64_t i = 0; i < corpus.training_sequences(); ++i) {
        corpus.read_training_sequence(i, tokens.data());
        expect_tokens();
      }
      for (int64_t i = 0; i < corpus.validation_sequences(); ++i) {
        corpus.read_validation_sequence(i, corpus.validation_sequences(), tokens.data());
        expect_tokens();
      }
    } catch (const std::runtime_error& error) {
      // Data that is too small is about all files together.
      if (std::string(error.what()).find("the data is too small") == std::string::npos) throw;
    }
  });
}

/// Changes of a text file by lines and words.
const std::vector<Mutation>& text_mutations() {
  const auto lines_of = [](const std::string& text) {
    std::vector<std::string> lines;
    std::istringstream stream(text);
    for (std::string line; std::getline(stream, line);) lines.push_back(line);
    return lines;
  };
  const auto text_of = [](const std::vector<std::string>& lines) {
    std::string text;
    for (const auto& line : lines) text += line + "\n";
    return text;
  };
  const auto with_value = [=](std::string& b, Random& r, const std::vector<std::string>& values) {
    auto lines = lines_of(b);
    std::string& line = lines[below(r, lines.size())];
    const size_t equals = line.find('=');
    if (equals != std::string::npos) line = line.substr(0, equals + 1) + " " + values[below(r, values.size())];
    b = text_of(lines);
  };
  static const std::vector<Mutation> mutations = {
      {"line removed",
       [=](std::string& b, Random& r) {
         auto lines = lines_of(b);
         lines.erase(lines.begin() + static_cast<std::ptrdiff_t>(below(r, lines.size())));
         b = text_of(lines);
       }},
      {"line doubled",
       [=](std::string& b, Random& r) {
         auto lines = lines_of(b);
         const size_t at = below(r, lines.size());
         lines.insert(lines.begin() + static_cast<std::ptrdiff_t>(at), lines[at]);
         b = text_of(lines);
       }},
      {"lines swapped",
       [=](std::string& b, Random& r) {
         auto lines = lines_of(b);
         std::swap(lines[below(r, lines.size())], lines[below(r, lines.size())]);
         b = text_of(lines);
       }},
      {"extreme number",
       [=](std::string& b, Random& r) {
         with_value(b, r,
                    {"-1", "0", "1", "3", "1000000", "2147483648", "9223372036854775807", "-9223372036854775808",
                     "1e308", "-1e308", "1e-320", "inf", "nan", "0.1"});
       }},
      {"value of another type",
       [=](std::string& b, Random& r) {
         with_value(b, r, {"true", "\"text\"", "[]", "[1, \"a\"]", "{}", "1979-05-27"});
       }},
      {"key mistyped",
       [](std::string& b, Random& r) {
         const size_t equals = b.find('=', below(r, b.size()));
         if (equals != std::string::npos && equals > 2) b[equals - 2] = 'q';
       }},
  };
  return mutations;
}

TEST(Corruption, Configurations) {
  const TemporaryFolder folder;
  RunConfig config = tiny_run(folder);
  config.model.rope_scaling = model::RopeScaling{};
  config.attention.num_tiles = 2;
  const std::string source = "mutated.toml";
  expect_errors_or_right_runs(
      "configuration", joined(text_mutations(), byte_mutations()), train::to_toml(config), source,
      [&](const std::string& text) {
        RunConfig parsed = train::parse_config(text, source);
        EXPECT_EQ(train::to_toml(train::parse_config(train::to_toml(parsed), source)), train::to_toml(parsed));
        // What passes must train, if only for a step, where that takes no minutes.
        parsed.stages.resize(1);
        parsed.stages[0].steps = 1;
        const bool quick = train::estimate_memory(parsed, 4, model::Recompute::kNone).total() < 1e8 &&
                           parsed.tokens_per_step() < 10000 && parsed.training.num_threads < 9;
        try {
          if (quick) Trainer(parsed).run();
          if (!quick) train::plan_compute(parsed);
        } catch (const std::exception& error) {
          EXPECT_FALSE(std::string(error.what()).empty());
        }
      });
}

}  // namespace
}  // namespace lighthouse::test
