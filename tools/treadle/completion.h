// What the shells complete: the subcommands and flags that the parser understands.
#pragma once

#include <string>
#include <vector>

namespace treadle::tool {

struct FlagWords {
  std::vector<std::string> names;  // "-h", "--help"; none of what is no flag but a place
  std::string value;               // "FILE", "random|zeros|ones"; "" of a switch
  std::string help;
};
struct CommandWords {
  std::string name;
  std::string help;
  std::vector<FlagWords> flags;
  std::vector<FlagWords> places;  // MODEL, OUT
};
// The command itself, then its subcommands, as the parser (main.cc) describes them.
std::vector<CommandWords> described_commands();

}  // namespace treadle::tool
