// JSON: what is wrong in it, where, and texts that are not UTF-8.
#include <nlohmann/json.hpp>

#include "io/json.h"
#include "io/system_error.h"
#include "temporary_folder.h"

namespace lighthouse::test {
namespace {

TEST(Json, NamesTheLineAndTheReason) {
  const auto expect = [](const std::string& text, const std::vector<std::string>& parts) {
    expect_error([&] { io::parse_json(text, "config.json"); }, parts);
  };
  expect("{\"a\": 1,\n\"b\": NaN}", {"config.json:2: expected JSON; got", "no NaN and no Infinity"});
  expect("{\"a\": 1,\n\n\"b\": -Infinity}", {"config.json:3: ", "no NaN and no Infinity"});
  expect("{\"a\": Infinity}", {"config.json:1: ", "no NaN and no Infinity"});
  expect("{\n// what it is\n\"a\": 1}", {"config.json:2: ", "no comments"});
  expect("{\n# what it is\n\"a\": 1}", {"config.json:2: ", "no comments"});
  expect("{\"a\": 1,\n}", {"config.json:2: ", "no comma after the last item"});
  expect("[1, 2,]", {"config.json:1: ", "no comma after the last item"});
  expect("{'a': 1}", {"config.json:1: ", "double quotes"});
  expect("{\"a\": [1,\n2", {"config.json:2: ", "unexpected end of input"});
  expect("", {"config.json:1: ", "unexpected end of input"});
  expect("{\"a\": 1e999}", {"config.json:1: ", "1e999"});
  expect("{\"a\": \"\xff\"}", {"config.json:1: ", "UTF-8"});
  expect("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 3\n",
         {"config.json is a Git LFS pointer", "git lfs pull"});
  EXPECT_EQ(io::parse_json("\xEF\xBB\xBF{\"a\": 1}", "x")["a"], 1) << "a mark of byte order is none of the text";
}

/// Hundreds of thousands of brackets end a process that follows them by calling itself.
TEST(Json, HasALimitOfDepth) {
  const auto nested = [](const std::string& open, const std::string& close, size_t depth) {
    std::string text;
    for (size_t i = 0; i < depth; ++i) text += open;
    text += "1";
    for (size_t i = 0; i < depth; ++i) text += close;
    return text;
  };
  EXPECT_TRUE(io::parse_json(nested("[", "]", io::kMostJsonDepth), "x").is_array());
  for (const size_t depth : {io::kMostJsonDepth + 1, size_t{100000}, size_t{500000}}) {
    expect_error([&] { io::parse_json(nested("[", "]", depth), "x"); }, {"x:1: ", "more than 200", "at byte 200"});
    expect_error([&] { io::parse_json(nested("{\"a\":", "}", depth), "x"); }, {"more than 200", "at byte 1000"});
    expect_error([&] { io::parse_json(std::string(depth, '['), "x"); }, {"more than 200"});
  }
  EXPECT_EQ(io::parse_json("\"" + std::string(1000, '[') + "\\\"[[\"", "x").get<std::string>().size(), 1003U)
      << "brackets in a text are no lists";
  std::string many = "[[]";
  for (int i = 0; i < 1000; ++i) many += ",[]";
  EXPECT_EQ(io::parse_json(many + "]", "x").size(), 1001U) << "lists beside each other are not within each other";
}

TEST(Json, ReadsFiles) {
  const TemporaryFolder folder;
  EXPECT_EQ(io::read_json(folder.write("a.json", "{\"b\": 1, \"a\": 2}")).begin().key(), "b");
  EXPECT_EQ(io::read_sorted_json(folder.path() / "a.json").begin().key(), "a");
  expect_error([&] { io::read_json(folder.path() / "none"); }, {"cannot read", "none", "No such file"});
  expect_error([&] { io::read_json(folder.path()); }, {"cannot read", "Is a directory"});
  EXPECT_THROW(io::read_json(folder.path()), io::SystemError);
}

TEST(Json, IsWrittenWhateverTheBytes) {
  const io::Json value = {{"run", "runs/caf\xe9"}, {"n", 1}};
  EXPECT_EQ(io::json_text(value), "{\"run\":\"runs/caf\xEF\xBF\xBD\",\"n\":1}");
  EXPECT_EQ(io::parse_json(io::json_text(value, 2), "x")["n"], 1);
}

}  // namespace
}  // namespace lighthouse::test
