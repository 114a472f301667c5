// TOML from text that may hold any letters.
#pragma once

#include <toml++/toml.h>

#include <string>

namespace lighthouse::train {

/// As toml::parse, which has undefined behaviour (toml++ 3.3) on letters such as é or の where white space could stand:
/// it sees them as %C3%A9 here, and strings get them back. Throws toml::parse_error, and std::invalid_argument on text
/// that is not UTF-8 or has both such letters and an escaped %.
toml::table parse_toml(const std::string& text, const std::string& source = {});

/// A value as TOML: numbers by the shortest decimal that reads back to them.
std::string to_toml_text(const toml::node& value);

/// A document of such values that parse_toml reads back to the same table. Throws std::invalid_argument for a text that
/// is not UTF-8, which no TOML can hold.
std::string to_toml_document(const toml::table& root);

}  // namespace lighthouse::train
