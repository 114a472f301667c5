// What a user types to start the program, for hints that can be pasted.
#pragma once

#include <string>

namespace lighthouse::text {

/// As main() got it. The environment's LIGHTHOUSE_COMMAND, which ./run sets, goes before it.
void set_command(const std::string& argv0);

/// "./run lighthouse", "build/release/bin/lighthouse"; "lighthouse" where nothing was set.
std::string command();

/// A word for the shell: quoted where it has to be.
std::string shell_word(const std::string& word);

}  // namespace lighthouse::text
