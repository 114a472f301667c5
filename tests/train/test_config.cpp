// The configuration: what is read, what is refused and with which words.
#include "temporary_folder.h"
#include "train/config.h"
#include "train/schedule.h"

namespace lighthouse::test {
namespace {

using train::parse_config;

constexpr const char* kWhole = R"(
seed = 7
output_dir = "runs/x"
[model]
hidden_size = 64
num_attention_heads = 4
num_key_value_heads = 2
num_hidden_layers = 3
full_attention_layers = [0, 2]
rope_scaling = {factor = 4.0, original_max_position_embeddings = 512}
[attention]
top_k = 16
causal_selection = true
[data]
paths = ["a", "b"]
include = ["*.py"]
context_length = 512
[optimizer]
learning_rate = 1e-3
[schedule]
kind = "constant-then-decay"
[training]
batch_size = 2
accumulation_steps = 3
[[stages]]
attention = "lighthouse"
steps = 10
top_k = 8
[[stages]]
name = "recovery"
attention = "dense"
steps = 5
)";

std::string with(const std::string& text, const std::string& from, const std::string& to) {
  std::string out = text;
  out.replace(out.find(from), from.size(), to);
  return out;
}

TEST(Config, ReadsEveryPart) {
  const auto config = parse_config(kWhole, "test");
  EXPECT_EQ(config.seed, 7);
  EXPECT_EQ(config.model.head_dim, 16);
  EXPECT_EQ(config.model.num_key_value_heads, 2);
  EXPECT_EQ(config.model.full_attention_layers, (std::vector<int64_t>{0, 2}));
  EXPECT_EQ(config.model.rope_scaling->factor, 4.0);
  EXPECT_TRUE(config.attention.causal_selection);
  EXPECT_EQ(config.stages.size(), 2U);
  EXPECT_EQ(config.stages[0].name, "lighthouse");
  EXPECT_EQ(config.attention_of(config.stages[0]).top_k, 8);
  EXPECT_FALSE(config.stages[1].lighthouse);
  EXPECT_EQ(config.total_steps(), 15);
  EXPECT_EQ(config.tokens_per_step(), 2 * 3 * 512);
}

TEST(Config, NamesStagesApart) {
  const auto config =
      parse_config(with(kWhole, "name = \"recovery\"\nattention = \"dense\"", "attention = \"lighthouse\""), "test");
  EXPECT_EQ(config.stages[0].name, "lighthouse");
  EXPECT_EQ(config.stages[1].name, "lighthouse-2");
}

TEST(Config, WritesWhatItReads) {
  const std::string text = train::to_toml(parse_config(kWhole, "test"));
  EXPECT_EQ(train::to_toml(parse_config(text, "again")), text);
}

TEST(Config, OverridesComeLast) {
  const auto config = parse_config(kWhole, "test",
                                   {"optimizer.learning_rate=0.5", "stages.0.steps=3", "stages[1].steps=4",
                                    "output_dir=runs/y", "data.paths=[\"c\"]", "training.num_threads=1"});
  EXPECT_EQ(config.optimizer.learning_rate, 0.5);
  EXPECT_EQ(config.total_steps(), 7);
  EXPECT_EQ(config.output_dir, "runs/y");
  EXPECT_EQ(config.data.paths, (std::vector<std::string>{"c"}));
  EXPECT_EQ(config.training.num_threads, 1);
}

TEST(Config, RefusesWithTheKeyTheExpectationAndTheValue) {
  const auto expect = [](const std::string& from, const std::string& to, const std::vector<std::string>& parts) {
    expect_error([&] { parse_config(with(kWhole, from, to), "run.toml"); }, parts);
  };
  expect("[optimizer]", "[optimizer]\nepsilon = 0", {"optimizer.epsilon must be", "got 0"});
  expect("[optimizer]", "[optimizer]\nbeta1 = 1", {"optimizer.beta1 must be", "0.999999; got 1"});
  expect("hidden_size = 64", "hidden_sise = 64", {"run.toml", "unknown key model.hidden_sise", "model.hidden_size"});
  expect("seed = 7", "sede = 7", {"unknown key sede", "nearest known one is seed"});
  expect("hidden_size = 64", "hidden_size = \"64\"", {"model.hidden_size must be a whole number of at least 1; got"});
  expect("hidden_size = 64", "hidden_size = 0", {"model.hidden_size must be", "got 0"});
  expect("learning_rate = 1e-3", "learning_rate = -1",
         {"optimizer.learning_rate must be a number of at least 0", "got -1"});
  expect("learning_rate = 1e-3", "learning_rate = nan", {"optimizer.learning_rate"});
  expect("learning_rate = 1e-3", "learning_rate = 9007199254740993", {"optimizer.learning_rate must be a number"});
  expect("name = \"recovery\"", "name = \"lighthouse\"\nsteps = 1\n[[stages]]\nname = \"lighthouse\"",
         {"two named lighthouse"});
  expect("kind = \"constant-then-decay\"", "kind = \"step\"", {"schedule.kind must be one of", "\"cosine\"", "step"});
  expect("steps = 10", "steps = -1", {"stages.0.steps", "at least 0"});
  expect("steps = 10", "", {"every stage needs its steps"});
  expect("attention = \"dense\"", "attention = \"sparse\"", {"stages.1.attention must be one of", "\"dense\""});
  expect("top_k = 16", "top_k = 16\nnum_tiles = 3", {"stage lighthouse", "num_tiles must divide top_k / 2"});
  expect("top_k = 16", "top_k = 16\ncover_prefix = false", {"cover_prefix must be true with causal_selection"});
  expect("paths = [\"a\", \"b\"]", "paths = []", {"data.paths must name at least one"});
  expect("paths = [\"a\", \"b\"]", "paths = [1]", {"data.paths must be an array of texts"});
  expect("seed = 7", "seed = = 7", {"run.toml:2"});
  expect_error([] { parse_config("", "empty.toml"); }, {"at least one [[stages]]"});
  expect_error([] { parse_config(kWhole, "t", {"nonsense"}); }, {"--set expects key=value", "nonsense"});
  expect_error([] { parse_config(kWhole, "t", {"stages.9.steps=1"}); }, {"stages.9.steps=1"});
  expect_error([] { parse_config(kWhole, "t", {"model.hiden_size=1"}); }, {"unknown key model.hiden_size"});
  expect_error([] { train::load_config("/no/such/file.toml"); }, {"/no/such/file.toml"});
}

TEST(Config, LettersBeyondAsciiAreTextInStringsAndErrorsElsewhere) {
  const auto name = [](const std::string& line) {
    return parse_config("output_dir = " + line + "\n[data]\npaths = ['a']\n[[stages]]\nattention='dense'\nsteps=1\n",
                        "test")
        .output_dir;
  };
  EXPECT_EQ(name("\"runs/caf\u00e9\"  # \u3042"), "runs/caf\u00e9");
  EXPECT_EQ(name("'\u3042 100%41'"), "\u3042 100%41");
  EXPECT_EQ(name("\"\"\"\\\n  \u3042\"\"\""), "\u3042");
  EXPECT_EQ(name("\"\\u00e9\\u002541\""), "\u00e9%41");
  EXPECT_EQ(parse_config("\xEF\xBB\xBF" + std::string(kWhole), "test", {"output_dir=runs/caf\u00e9"}).output_dir,
            "runs/caf\u00e9");
  for (const char* bad : {"\u00e9", "20's\u3042", "20s=\"\u3042", "1 \u3000", "[\u3042]", "\"\u3042 \\u002541\"",
                          "\"\xE8\"", "\"\xC0\x80\"", "\"\xED\xA0\x80\"", "\"\xF4\x90\x80\x80\"", "\"\xE3\x81\""})
    EXPECT_THROW(name(bad), std::invalid_argument) << bad;
}

TEST(Schedule, Shapes) {
  train::ScheduleConfig schedule;
  schedule.warmup_steps = 10;
  const auto rate = [&](int64_t step) { return train::learning_rate(schedule, 1.0, step, 110); };
  for (const auto kind : {train::ScheduleKind::kConstant, train::ScheduleKind::kLinear, train::ScheduleKind::kCosine,
                          train::ScheduleKind::kConstantThenDecay}) {
    schedule.kind = kind;
    EXPECT_DOUBLE_EQ(rate(0), 0.1);
    EXPECT_DOUBLE_EQ(rate(9), 1.0);
    for (int64_t step = 10; step < 109; ++step) EXPECT_GE(rate(step), rate(step + 1));
  }
  schedule.kind = train::ScheduleKind::kConstant;
  EXPECT_DOUBLE_EQ(rate(109), 1.0);
  schedule.kind = train::ScheduleKind::kLinear;
  EXPECT_DOUBLE_EQ(rate(60), 0.5);
  EXPECT_NEAR(rate(109), 0.01, 1e-12);
  schedule.kind = train::ScheduleKind::kCosine;
  EXPECT_NEAR(rate(60), 0.5, 1e-12);
  schedule.kind = train::ScheduleKind::kConstantThenDecay;
  schedule.decay_fraction = 0.5;
  schedule.final_fraction = 0.1;
  EXPECT_DOUBLE_EQ(rate(55), 1.0);
  EXPECT_LT(rate(56), 1.0);
  EXPECT_GT(rate(109), 0.1);
}

}  // namespace
}  // namespace lighthouse::test
