// Command lines: which numbers options take, what is said of those that they refuse, and of mistyped words.
#include <gtest/gtest.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdlib>
#include <regex>
#include <string>
#include <vector>

#include "cli/number_option.h"
#include "cli/program.h"

namespace lighthouse::test {
namespace {

/// What the program says of a command line that must not parse.
std::string error_of(std::vector<std::string> words) {
  const auto program = cli::make_parser();
  std::reverse(words.begin(), words.end());  // as CLI11 takes them
  try {
    program->parse(words);
  } catch (const CLI::ParseError& error) {
    return cli::usage_error(*program, error);
  } catch (const std::exception& error) {
    return std::string("parsed, and failed: ") + error.what();
  }
  return "parsed";
}

void expect_parts(const std::string& text, const std::vector<std::string>& parts) {
  for (const auto& part : parts)
    EXPECT_NE(text.find(part), std::string::npos) << "\"" << part << "\" is not in: " << text;
}

struct NumberOption {
  std::string command;
  std::string name;
  CLI::Option* option;
  bool whole;
};

/// All options of all commands whose values are numbers.
std::vector<NumberOption> number_options(CLI::App& program) {
  std::vector<NumberOption> found;
  for (CLI::App* command : program.get_subcommands([](CLI::App*) { return true; })) {
    for (CLI::Option* option : command->get_options()) {
      const std::string type = option->get_type_name();
      const bool real = type.starts_with("FLOAT");
      if (real || type.starts_with("INT") || type.starts_with("UINT"))
        found.push_back({command->get_name(), option->get_name(), option, !real});
    }
  }
  return found;
}

TEST(Options, EveryNumberHasBoundsAndIsDecimal) {
  const auto program = cli::make_parser();
  const auto options = number_options(*program);
  EXPECT_GE(options.size(), 30U);
  for (const auto& [command, name, option, whole] : options) {
    SCOPED_TRACE(command + " " + name);
    ASSERT_NO_THROW(option->get_validator(0)) << "an option without bounds";
    const CLI::Validator& validator = *option->get_validator(0);
    std::vector<std::string> refused = {"",     " ",     "nan",    "-nan", "inf",         "-inf",
                                        "0x10", "1e400", "-1",     "-0.5", " 1",          "1 ",
                                        "1,2",  "ten",   "1e-60x", "+-1",  "1e999999999", "99999999999999999999999",
                                        "--1",  "1\n",   "\xff"};
    if (whole) refused.insert(refused.end(), {"1.5", "1e3", "0b1", "18446744073709551616"});
    for (std::string value : refused) {
      const std::string problem = validator(value);
      EXPECT_TRUE(problem.starts_with("expected a ")) << "\"" << value << "\": " << problem;
      EXPECT_NE(problem.find("; got "), std::string::npos) << problem;
    }
    EXPECT_NE(option->get_type_name().find(':'), std::string::npos) << "--help names the bounds";
  }
}

TEST(Options, BoundsAreWhatTheyAreSaidToBe) {
  const auto said = [](const CLI::Validator& validator, std::string value) { return validator(value); };
  const auto few = cli::whole_number(1, 4096);
  EXPECT_EQ(said(few, "1") + said(few, "4096"), "");
  EXPECT_EQ(said(few, "0"), "expected a whole number from 1 to 4096; got 0");
  EXPECT_EQ(said(few, "4097"), "expected a whole number from 1 to 4096; got 4097");
  EXPECT_EQ(said(cli::whole_number(3, std::numeric_limits<int64_t>::max()), "2"),
            "expected a whole number of at least 3; got 2");
  EXPECT_EQ(said(cli::seed_number(), "18446744073709551615"), "");
  EXPECT_EQ(said(cli::seed_number(), "18446744073709551616"),
            "expected a whole number from 0 to 18446744073709551615; got 18446744073709551616");
  const auto share = cli::real_number_above(0, 1);
  EXPECT_EQ(said(share, "1") + said(share, "1e-300") + said(share, ".5"), "");
  EXPECT_EQ(said(share, "0"), "expected a number above 0, at most 1; got 0");
  EXPECT_EQ(said(share, "1.0000001"), "expected a number above 0, at most 1; got 1.0000001");
  EXPECT_EQ(said(cli::real_number(0, 1e6), ""), "expected a number from 0 to 1000000; got an empty text");
  EXPECT_EQ(said(cli::one_of({"auto", "cpu", "cuda"}), "tpu"), "expected auto, cpu or cuda; got tpu");
  // Not octal: CLI11 by itself takes 010 for 8.
  std::string octal = "010";
  EXPECT_EQ(few(octal), "");
  EXPECT_EQ(octal, "10");
}

TEST(Options, WrongValuesNameTheOptionTheBoundAndTheValue) {
  expect_parts(error_of({"generate", "run", "--seed", "-1"}),
               {"lighthouse generate: --seed: expected", "18446744073709551615; got -1"});
  expect_parts(error_of({"generate", "run", "--temperature", "1e-60"}),
               {"--temperature: expected a number, 0 or from 1e-06 to 1000000; got 1e-60"});
  expect_parts(error_of({"generate", "run", "--top-p", "0"}), {"--top-p: expected a number above 0, at most 1; got 0"});
  expect_parts(error_of({"generate", "run", "--top-p", "nan"}), {"--top-p: ", "got nan"});
  expect_parts(error_of({"generate", "run", "--stop", "1", "-3"}), {"--stop: ", "got -3"});
  expect_parts(error_of({"demo", "--data", "x", "--minutes", "-1"}),
               {"--minutes: expected a number above 0, at most 1000000; got -1"});
  expect_parts(error_of({"bench", "--n", "0"}), {"--n: expected a whole number from 1 to 1099511627776; got 0"});
  expect_parts(error_of({"generate", "run", "--max-new-tokens", "-1"}),
               {"--max-new-tokens: expected a whole number from 0 to 2147483647; got -1"});
  expect_parts(error_of({"generate", "run", "--max-new-tokens", "9223372036854775807"}), {"from 0 to 2147483647; got"});
  expect_parts(error_of({"generate", "run", "--precision", "int8"}),
               {"--precision: expected auto, float32 or bfloat16; got int8"});
  expect_parts(error_of({"logits", "run", "--device", "tpu"}), {"--device: expected auto, cpu or cuda; got tpu"});
  expect_parts(error_of({"bench", "--threads", "0"}), {"--threads: expected a whole number from 1 to 4096; got 0"});
  expect_parts(error_of({"bench", "--rule", "mine"}), {"--rule: expected paper, causal or both; got mine"});
  expect_parts(error_of({"bench", "--layout", "bdhn"}), {"--layout: expected bhnd, bnhd or both; got bdhn"});
  expect_parts(error_of({"bench", "--device", "tpu"}), {"--device: expected cpu or cuda; got tpu"});
  expect_parts(error_of({"eval", "run", "--device", "tpu"}), {"--device: expected auto, cpu or cuda; got tpu"});
  expect_parts(error_of({"eval", "run", "--sequences", "0"}), {"--sequences: expected a whole number from 1 to"});
  expect_parts(error_of({"eval", "run", "--trials", "0"}), {"--trials: expected a whole number from 1 to"});
  expect_parts(error_of({"eval", "run", "--copy-length", "2"}), {"--copy-length: expected a whole number from 3 to"});
  expect_parts(error_of({"bench", "--top-k", "0"}), {"--top-k: expected a whole number from 2"});
  expect_parts(error_of({"bench", "--train", "c.toml", "--baseline", "inf"}),
               {"--baseline: expected a number above 0", "got inf"});
  expect_parts(error_of({"eval", "run", "--depths", "0", "101"}),
               {"--depths: expected a whole number from 0 to 100; got 101"});
  expect_parts(error_of({"eval", "run", "--tasks", "poetry"}),
               {"--tasks: expected loss, retrieval or copy; got poetry"});
  expect_parts(error_of({"inspect", "run", "--text", "x", "--layer", "0x1"}), {"--layer: ", "got 0x1"});
  expect_parts(error_of({"logits", "run", "--threads", "5000"}),
               {"--threads: expected a whole number from 1 to 4096; got 5000"});
}

TEST(Options, MistypedWordsAreNamedWithWhatTheyMayHaveMeant) {
  expect_parts(error_of({"trian", "c.toml"}), {"lighthouse: no such command: trian; did you mean train?"});
  expect_parts(error_of({"xyzzy"}), {"no such command: xyzzy\n"});
  expect_parts(error_of({}), {"lighthouse: expected a command: train, generate", "got none"});
  expect_parts(error_of({"train", "--stpes", "3"}), {"lighthouse train: no such option: --stpes\n"});
  expect_parts(error_of({"train", "c.toml", "--resmue"}), {"no such option: --resmue; did you mean --resume?"});
  expect_parts(error_of({"train", "--over-write"}), {"did you mean --overwrite?"});
  expect_parts(error_of({"generate", "--temp=1"}), {"no such option: --temp; did you mean --temperature?"});
  expect_parts(error_of({"generate", "run", "--max-tokens", "9"}), {"did you mean --max-new-tokens?"});
  expect_parts(error_of({"help"}), {"no such command: help; did you mean --help?"});
  expect_parts(error_of({"report", "run", "--html"}), {"lighthouse report: --html takes a value (FILE); got none"});
  expect_parts(error_of({"eval", "run", "--seed", "1", "--seed", "2"}), {"--seed may be given once; got 2 values"});
  expect_parts(error_of({"train", "c.toml", "--resume=maybe"}),
               {"--resume must be given alone, or as true or false; got maybe"});
  expect_parts(error_of({"report"}), {"lighthouse report: runs is required"});
  expect_parts(error_of({"train", "a.toml", "b.toml"}), {"one argument too many: b.toml"});
  expect_parts(error_of({"bench", "--no-such\x1b[2J"}), {"no such option: --no-such\\x1b[2J"});
}

TEST(Options, HintsAndExamplesCallTheProgramByTheWordsThatStartIt) {
  setenv("LIGHTHOUSE_COMMAND", "./run lighthouse", 1);
  expect_parts(error_of({"report"}), {"\n./run lighthouse report --help says more.\n"});
  const auto program = cli::make_parser();
  const std::regex step("step-([0-9]+)");
  for (const CLI::App* command : program->get_subcommands([](const CLI::App*) { return true; })) {
    const std::string footer = command->get_footer();
    if (command->get_name() == "tokenize") continue;  // Python's
    EXPECT_NE(footer.find("\n  ./run lighthouse " + command->get_name()), std::string::npos) << footer;
    EXPECT_EQ(footer.find("\n  lighthouse "), std::string::npos) << footer;
    // Checkpoints' names have eight digits.
    for (std::sregex_iterator found(footer.begin(), footer.end(), step), end; found != end; ++found)
      EXPECT_EQ((*found)[1].length(), 8) << found->str();
  }
  unsetenv("LIGHTHOUSE_COMMAND");
}

}  // namespace
}  // namespace lighthouse::test
