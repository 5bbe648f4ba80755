// treadle completion: the script by which a shell completes the command.
#include "tools/treadle/completion.h"

#include <algorithm>
#include <cctype>
#include <cstdio>
#include <span>

#include "tools/treadle/command.h"

namespace treadle::tool {
namespace {

// The words that a value is one of ("random|zeros|ones"); empty where it is anything else.
std::vector<std::string> choices(const std::string& value) {
  const bool words = std::ranges::all_of(value, [](unsigned char c) {
    return std::islower(c) != 0 || std::isdigit(c) != 0 || c == '|' || c == '_';
  });
  const bool some = value.find('|') != std::string::npos ||
                    (!value.empty() && std::islower(static_cast<unsigned char>(value[0])) != 0);
  std::vector<std::string> out;
  for (size_t begin = 0; words && some && begin <= value.size();) {
    const size_t end = std::min(value.find('|', begin), value.size());
    out.push_back(value.substr(begin, end - begin));
    begin = end + 1;
  }
  return out;
}

std::vector<std::string> place_choices(const CommandWords& command) {
  return command.places.empty() ? std::vector<std::string>{} : choices(command.places[0].value);
}

std::string joined(const std::vector<std::string>& words) {
  std::string text;
  for (const std::string& word : words) text += (text.empty() ? "" : " ") + word;
  return text;
}

std::string flag_names(const CommandWords& command) {
  std::vector<std::string> names;
  for (const FlagWords& flag : command.flags)
    names.insert(names.end(), flag.names.begin(), flag.names.end());
  return joined(names);
}

// In single quotes, with a backslash before each of `special`.
std::string quoted(const std::string& text, std::string_view special) {
  std::string out = "'";
  for (const char c : text) {
    if (special.find(c) != std::string_view::npos) out += '\\';
    out += c == '\'' ? std::string("'\\''") : std::string(1, c);
  }
  return out + "'";
}

std::string reply(const std::string& words) {
  return cat("COMPREPLY=($(compgen -W '", words, "' -- \"$cur\"))");
}

std::string bash_script(const CommandWords& top, std::span<const CommandWords> commands) {
  std::string names, values, flags;
  for (const CommandWords& c : commands) {
    names += c.name + " ";
    for (const FlagWords& flag : c.flags) {
      if (flag.value.empty()) continue;
      const std::string words = joined(choices(flag.value));
      for (const std::string& name : flag.names)
        values += cat("    '", c.name, " ", name, "') ", words.empty() ? "" : reply(words) + "; ",
                      "return ;;\n");
    }
    const std::string places = joined(place_choices(c));
    flags += cat("    ", c.name, ") if [[ $cur == -* ]]; then ", reply(flag_names(c)),
                 places.empty() ? "" : "; else " + reply(places), "; fi ;;\n");
  }
  return cat("# Completes treadle in bash. What is not completed here is a file.\n_treadle() {\n",
             "  local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]}\n",
             "  COMPREPLY=()\n  if [ \"$COMP_CWORD\" -eq 1 ]; then\n    ",
             reply(names + flag_names(top)), "\n    return\n  fi\n",
             "  case \"${COMP_WORDS[1]} $prev\" in\n", values,
             "  esac\n  case \"${COMP_WORDS[1]}\" in\n", flags,
             "  esac\n}\ncomplete -o default -F _treadle treadle\n");
}

// "'*--fill['HELP']: :(random zeros ones)'", of adjacent quoted parts.
std::string zsh_flag(const FlagWords& flag, const std::string& name) {
  const std::string words = joined(choices(flag.value));
  const std::string value = flag.value.empty() ? ""
                            : words.empty()    ? ":value:_files"
                                               : cat(": :(", words, ")");
  return cat("'*", name, "['", quoted(flag.help, "[]:\\"), "']", value, "'");
}

std::string zsh_script(const CommandWords& top, std::span<const CommandWords> commands) {
  std::string names, cases, flags;
  for (const FlagWords& flag : top.flags) {
    for (const std::string& name : flag.names) flags += cat(" \\\n    ", zsh_flag(flag, name));
  }
  for (const CommandWords& c : commands) {
    names += cat("      ", quoted(cat(c.name, ":", c.help), "\\"), "\n");
    cases += cat("        ", c.name, ") _arguments");
    for (const FlagWords& flag : c.flags) {
      for (const std::string& name : flag.names)
        cases += cat(" \\\n          ", zsh_flag(flag, name));
    }
    const std::string places = joined(place_choices(c));
    cases += places.empty() ? " \\\n          '*:file:_files' ;;\n"
                            : cat(" \\\n          '1: :(", places, ")' ;;\n");
  }
  return cat("#compdef treadle\n# Completes treadle in zsh.\n_treadle() {\n",
             "  local context state line\n  typeset -A opt_args\n  _arguments -C", flags,
             " \\\n    '1:command:->command' '*::argument:->argument'\n  case $state in\n",
             "    command)\n      local -a names=(\n", names,
             "      )\n      _describe command names ;;\n    argument)\n      case $line[1] in\n",
             cases, "      esac ;;\n  esac\n}\n",
             "if [ \"$funcstack[1]\" = _treadle ]; then _treadle \"$@\"; else compdef _treadle ",
             "treadle; fi\n");
}

// "complete -c treadle -n CONDITION -l fill -x -a 'random zeros ones' -d HELP"
std::string fish_flag(const std::string& condition, const FlagWords& flag) {
  std::string line = cat("complete -c treadle -n ", condition);
  for (const std::string& name : flag.names)
    line += name.starts_with("--") ? " -l " + name.substr(2) : " -s " + name.substr(1);
  const std::string words = joined(choices(flag.value));
  if (!words.empty()) {
    line += cat(" -x -a '", words, "'");
  } else if (!flag.value.empty()) {
    line += " -r";
  }
  return cat(line, " -d ", quoted(flag.help, "\\"), "\n");
}

std::string fish_script(const CommandWords& top, std::span<const CommandWords> commands) {
  std::string text = "# Completes treadle in fish.\n";
  for (const FlagWords& flag : top.flags) text += fish_flag("__fish_use_subcommand", flag);
  for (const CommandWords& c : commands) {
    text += cat("complete -c treadle -n __fish_use_subcommand -f -a ", c.name, " -d ",
                quoted(c.help, "\\"), "\n");
    const std::string condition = cat("'__fish_seen_subcommand_from ", c.name, "'");
    for (const FlagWords& flag : c.flags) text += fish_flag(condition, flag);
    if (const std::string places = joined(place_choices(c)); !places.empty())
      text += cat("complete -c treadle -n ", condition, " -f -a '", places, "'\n");
  }
  return text;
}

}  // namespace

int run_completion(const Args& args) {
  const std::vector<CommandWords> all = described_commands();
  const std::span<const CommandWords> commands = std::span(all).subspan(1);
  const std::string& shell = args.positional[0];
  if (shell == "bash") {
    std::fputs(bash_script(all[0], commands).c_str(), stdout);
  } else if (shell == "zsh") {
    std::fputs(zsh_script(all[0], commands).c_str(), stdout);
  } else if (shell == "fish") {
    std::fputs(fish_script(all[0], commands).c_str(), stdout);
  } else {
    throw UsageError(cat("'", shell, "' is none of: bash zsh fish"));
  }
  return kExitOk;
}

}  // namespace treadle::tool
