// Numbers, words and bytes as people read them.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "text/command_name.h"
#include "text/nearest_word.h"
#include "text/number_text.h"
#include "text/utf8.h"

namespace lighthouse::test {
namespace {

TEST(Text, NumbersReadBackByTheShortestDecimal) {
  EXPECT_EQ(text::shortest(0.003), "0.003");
  EXPECT_EQ(text::shortest(0.1 + 0.2), "0.30000000000000004");
  EXPECT_EQ(text::shortest(1e-8), "1e-08");
  EXPECT_EQ(text::shortest(500000), "500000");
  EXPECT_EQ(text::shortest(1e15), "1e+15");
  EXPECT_EQ(text::shortest(1e-4), "0.0001");
  EXPECT_EQ(text::shortest(-0.0), "-0");
}

TEST(Text, CountsHaveTheirPlurals) {
  EXPECT_EQ(text::count_of(1, "step"), "1 step");
  EXPECT_EQ(text::count_of(0, "step"), "0 steps");
  EXPECT_EQ(text::count_of(2, "entry", "entries"), "2 entries");
}

TEST(Text, SizesHaveThreeFiguresWhateverTheyAre) {
  EXPECT_EQ(text::bytes_text(0), "0 B");
  EXPECT_EQ(text::bytes_text(1), "1 B");
  EXPECT_EQ(text::bytes_text(999), "999 B");
  EXPECT_EQ(text::bytes_text(999.6), "1.00 kB");
  EXPECT_EQ(text::bytes_text(13.1e6), "13.1 MB");
  EXPECT_EQ(text::bytes_text(999.6e6), "1.00 GB");
  EXPECT_EQ(text::bytes_text(1.55e12), "1.55 TB");
  EXPECT_EQ(text::bytes_text(85e9), "85.0 GB");
  EXPECT_EQ(text::bytes_text(123456e18), "123456 EB");
  EXPECT_EQ(text::bytes_text(INFINITY), "?");
  EXPECT_EQ(text::scaled(8.53e10, "FLOP/s"), "85.3 GFLOP/s");
}

TEST(Text, TimesAreMinutesAndHours) {
  EXPECT_EQ(text::clock_text(0), "0:00");
  EXPECT_EQ(text::clock_text(59.6), "1:00");
  EXPECT_EQ(text::clock_text(245), "4:05");
  EXPECT_EQ(text::clock_text(100 * 3600 + 5), "100:00:05");
  EXPECT_EQ(text::clock_text(-3), "0:00");
  for (const double unknown : {std::nan(""), double(INFINITY), 1e300}) EXPECT_EQ(text::clock_text(unknown), "?");
}

TEST(Text, WhatTerminalsActOnIsShownInDigits) {
  EXPECT_EQ(text::visible("a\tb\nc \u00e9\u3042"), "a\tb\nc \u00e9\u3042");
  EXPECT_EQ(text::visible("\x1b[2J\r\a\x7f"), "\\x1b[2J\\x0d\\x07\\x7f");
  EXPECT_EQ(text::visible("\xff\xc0\x80\xed\xa0\x80"), "\\xff\\xc0\\x80\\xed\\xa0\\x80");
  EXPECT_EQ(text::visible("\u009b2J \u202eabc"), "\\xc2\\x9b2J \\xe2\\x80\\xaeabc");
  EXPECT_EQ(text::visible(std::string("\0", 1)), "\\x00");
  EXPECT_TRUE(text::is_utf8("\u3042"));
  EXPECT_FALSE(text::is_utf8("\xe3\x81"));
}

TEST(Text, BytesOneByOneShowTheSame) {
  std::string bytes;
  for (int i = 0; i < 256; ++i) bytes += static_cast<char>(i);
  bytes += "\u00e9\u3042\U0001F600 \xe3\x81x\xf0\x9f\xf0\x9f\x98\x80\xe3";
  text::VisibleStream stream;
  std::string shown;
  for (const char byte : bytes) shown += stream.add(byte);
  EXPECT_EQ(shown + stream.finish(), text::visible(bytes));
  EXPECT_EQ(stream.finish(), "");
  EXPECT_EQ(stream.add('\xe3'), "") << "a third of a letter waits";
  EXPECT_EQ(stream.add('\x81'), "");
  EXPECT_EQ(stream.add('\x82'), "\u3042");
}

TEST(Text, TheNearestWordIsNearOrNone) {
  const std::vector<std::string> words = {"train", "generate", "--max-new-tokens", "--temperature", "learning_rate"};
  EXPECT_EQ(text::edit_distance("stpes", "steps"), 1U);
  EXPECT_EQ(text::edit_distance("", "abc"), 3U);
  EXPECT_EQ(text::edit_distance("kitten", "sitting"), 3U);
  EXPECT_EQ(text::nearest_word("trian", words), "train");
  EXPECT_EQ(text::nearest_word("--temp", words), "--temperature");
  EXPECT_EQ(text::nearest_word("--max-tokens", words), "--max-new-tokens");
  EXPECT_EQ(text::nearest_word("rate", words), "learning_rate");
  for (const char* far : {"", "lr", "x", "zebra", "--nonsense"})
    EXPECT_EQ(text::nearest_word(far, words), std::nullopt) << far;
}

TEST(Text, WordsAreQuotedForTheShellWhereTheyMustBe) {
  EXPECT_EQ(text::shell_word("runs/example-cpu"), "runs/example-cpu");
  EXPECT_EQ(text::shell_word("my run"), "'my run'");
  EXPECT_EQ(text::shell_word("it's"), "'it'\\''s'");
  EXPECT_EQ(text::shell_word(""), "''");
  EXPECT_EQ(text::shell_word("a*b"), "'a*b'");
}

}  // namespace
}  // namespace lighthouse::test
