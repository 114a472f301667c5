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

TEST(Config, TheDefaultTopKIsByTheContext) {
  const auto config = parse_config(with(kWhole, "[attention]\ntop_k = 16", "[attention]"), "test",
                                   {"stages.1.attention=\"lighthouse\""});
  EXPECT_EQ(config.attention.top_k, std::nullopt);
  EXPECT_EQ(config.attention_of(config.stages[0]).top_k, 8) << "the stage's own";
  EXPECT_EQ(Geometry(config.data.context_length, config.attention_of(config.stages[1])).top_k(), 8) << "512 / 64";
  const auto again = parse_config(train::to_toml(config), "again");
  EXPECT_EQ(again.attention.top_k, std::nullopt) << "a configuration that leaves it out is stored so";
  EXPECT_EQ(parse_config(train::to_toml(parse_config(kWhole, "test")), "again").attention.top_k, 16);
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
  expect("hidden_size = 64", "hidden_size = \"64\"",
         {"model.hidden_size must be a whole number of at least 1 and at most", "got \"64\""});
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
  expect_error([] { parse_config(kWhole, "t", {"stages.9.steps=1"}); },
               {"--set stages.9.steps=1: stages has 2 entries, counted from 0; got 9"});
  expect_error([] { parse_config(kWhole, "t", {"model.hiden_size=1"}); }, {"unknown key model.hiden_size"});
  expect_error([] { train::load_config("/no/such/file.toml"); }, {"/no/such/file.toml: there is no folder /no/such"});
}

TEST(Config, NumbersAreWrittenByTheShortestDecimal) {
  const std::string text =
      train::to_toml(parse_config(with(kWhole, "1e-3", "0.003"), "test", {"model.rope_theta=5e5"}));
  for (const char* line :
       {"\nlearning_rate = 0.003\n", "\nbeta1 = 0.9\n", "\nrope_theta = 500000.0\n", "\nepsilon = 1e-08\n",
        "\nclip_norm = 1.0\n", "\n[model.rope_scaling]\nfactor = 4.0\n", "\nseed = 7\n", "\npaths = [\"a\", \"b\"]\n"})
    EXPECT_NE(text.find(line), std::string::npos) << line << text;
  EXPECT_EQ(text.find("00000000"), std::string::npos) << text;
}

TEST(Config, AnyTextThatItTakesIsWrittenAndReadBack) {
  for (const std::string name : {"a \"b\" 'c' \\ #%41", "caf\u00e9 \u3042", "[x] = {y}", "\\u0041", "-*?$(x)`"}) {
    auto config = parse_config(kWhole, "test");
    config.output_dir = name;
    config.data.paths = {name, "tab\there", "line\nbreak"};
    const auto again = parse_config(train::to_toml(config), "again");
    EXPECT_EQ(again.output_dir, name);
    EXPECT_EQ(again.data.paths, config.data.paths);
  }
  auto config = parse_config(kWhole, "test");
  config.init = "caf\xe9";
  EXPECT_EQ(parse_config(train::to_toml(config), "again").init, "caf\\xe9") << "TOML is UTF-8";
}

TEST(Config, EveryNumberHasBoundsThatErrorsName) {
  const auto expect = [](const std::string& setting, const std::string& words) {
    expect_error([&] { parse_config(kWhole, "t", {setting}); }, {"--set " + setting + ": ", words});
  };
  for (const char* key : {"seed",
                          "model.vocab_size",
                          "model.hidden_size",
                          "model.intermediate_size",
                          "model.num_hidden_layers",
                          "model.num_attention_heads",
                          "model.num_key_value_heads",
                          "model.head_dim",
                          "attention.num_levels",
                          "attention.pooling_factor",
                          "attention.top_k",
                          "attention.num_tiles",
                          "data.context_length",
                          "schedule.warmup_steps",
                          "training.batch_size",
                          "training.accumulation_steps",
                          "training.validation_interval",
                          "training.validation_sequences",
                          "training.log_interval",
                          "training.num_threads",
                          "training.max_skipped_steps",
                          "checkpoint.interval",
                          "checkpoint.keep",
                          "stages.0.steps",
                          "stages.0.top_k"}) {
    for (const char* value : {"-1", "1.0", "nan", "\"1\"", "", "true", "1e3", "[1]", "99999999999999999999"})
      expect(std::string(key) + "=" + value, std::string(key) + " must be a whole number of at least ");
    if (std::string(key) != "seed") expect(std::string(key) + "=9223372036854775807", "and at most ");
  }
  for (const char* key :
       {"model.rope_theta", "model.rms_norm_eps", "model.initializer_range", "data.validation_fraction",
        "optimizer.learning_rate", "optimizer.beta1", "optimizer.beta2", "optimizer.epsilon", "optimizer.weight_decay",
        "optimizer.clip_norm", "schedule.decay_fraction", "schedule.final_fraction", "model.rope_scaling.factor"}) {
    for (const char* value : {"-1", "nan", "-nan", "inf", "1e300", "\"1\"", "", "true"})
      expect(std::string(key) + "=" + value, std::string(key) + " must be a number of at least ");
  }
  expect("optimizer.learning_rate=1e-60",
         "optimizer.learning_rate must be 0 or a number of at least 1e-30 and at most 1e+30; got 1e-60");
  expect("seed=9223372036854775808", "and at most 9223372036854775807; got");
  expect("model.num_hidden_layers=1000000000000", "at least 1 and at most 65536; got 1000000000000");
  expect("output_dir=5", "output_dir must be text in quotes; got 5");
  expect("stages.0.name=\"a\\u001b[2J\"", "text of one line without control characters; got \"a\\u001B[2J\"");
  expect("data.paths=[\"a\\u0000b\"]", "without the character 0");
}

TEST(Config, HintsNameTheKeyThatWasMeant) {
  const auto hint = [](const std::string& key, const std::string& words) {
    expect_error([&] { parse_config(kWhole, "t", {key + "=1"}); }, {"--set " + key + "=1: unknown key ", words});
  };
  hint("optimizer.lr", "; the nearest known one is optimizer.learning_rate");
  hint("lr", "; the nearest known one is optimizer.learning_rate");
  hint("training.learning_rate", "; the nearest known one is optimizer.learning_rate");
  hint("batch_size", "; the nearest known one is training.batch_size");
  hint("model.seq_len", "; the nearest known one is data.context_length");
  hint("training.max_steps", "; the nearest known one is stages.0.steps");
  hint("stages.1.k", "; the nearest known one is stages.1.top_k");
  hint("stages.1.stpes", "; the nearest known one is stages.1.steps");
  hint("model.d_model", "; the nearest known one is model.hidden_size");
  hint("model.num-hidden-layers", "; the nearest known one is model.num_hidden_layers");
  hint("optimizer.wd", "; the nearest known one is optimizer.weight_decay");
  hint("schedule.warmup", "; the nearest known one is schedule.warmup_steps");
  hint("modle.hidden_size", "unknown key modle; the nearest known one is model");
  hint("checkpoint.zebra", "unknown key checkpoint.zebra; expected one of interval, keep");
}

TEST(Config, ErrorsNameTheOverrideThatIsWrong) {
  const auto expect = [](const std::string& setting, const std::vector<std::string>& parts) {
    expect_error([&] { parse_config(kWhole, "run.toml", {"seed=3", setting}); }, parts);
  };
  expect("stages.0.top_k=3", {"run.toml with --set seed=3 --set stages.0.top_k=3: ", "top_k must be even"});
  expect("model={hidden_size=0}", {"--set model={hidden_size=0}: model.hidden_size must be"});
  expect("seed.x=1", {"--set seed.x=1: seed is a value, which has no x"});
  expect("stages.steps=1", {"--set stages.steps=1: expected the number of an entry and its key, as stages.0.steps"});
  expect("a..b=1", {"--set a..b=1: expected a key such as"});
  expect("=1", {"--set expects key=value; got =1"});
  expect("", {"--set expects key=value; got an empty text"});
  expect_error([] { parse_config(with(kWhole, "seed = 7", "seed = -7"), "run.toml", {"model.hidden_size=8"}); },
               {"run.toml: seed must be"});
}

TEST(Config, AFileThatIsNoneIsNamedWithWhatIsThere) {
  const TemporaryFolder folder;
  const auto path = [&](const std::string& name) { return (folder.path() / name).string(); };
  expect_error([&] { train::load_config(path("run.toml")); }, {path("run.toml") + ": no such file"});
  folder.write("small.toml", kWhole);
  folder.write("large.toml", kWhole);
  expect_error([&] { train::load_config(path("samll.toml")); },
               {"no such file; did you mean " + path("small.toml") + "?"});
  expect_error([&] { train::load_config(path("zebra.toml")); }, {"has large.toml, small.toml"});
  expect_error([&] { train::load_config(folder.path()); }, {"got a folder with large.toml, small.toml"});
  expect_error([&] { train::load_config(path("small.toml/x")); }, {path("small.toml/x")});
  folder.write("data.bin", std::string(5 << 20, 'x'));
  expect_error([&] { train::load_config(path("data.bin")); }, {"expected a TOML file of less than 4.19 MB"});
  folder.write("w.safetensors", "x");
  expect_error([&] { train::load_config(path("w.safetensors")); }, {"got weights"});
  folder.write("empty.toml", "");
  expect_error([&] { train::load_config(path("empty.toml")); }, {"expected at least one [[stages]]"});
  folder.write("mark.toml", "\xEF\xBB\xBF" + std::string(kWhole));
  EXPECT_EQ(train::load_config(path("mark.toml")).seed, 7) << "a byte-order mark is passed over";
  std::string lines = kWhole;
  for (size_t at = 0; (at = lines.find('\n', at)) != std::string::npos; at += 2) lines.replace(at, 1, "\r\n");
  folder.write("windows.toml", lines);
  EXPECT_EQ(train::load_config(path("windows.toml")).seed, 7);
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
