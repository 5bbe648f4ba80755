// The command `treadle`: one parser over the table of subcommands, and errors to exit codes.
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <iostream>
#include <new>

#include "graph/base/suggestion.h"
#include "tools/treadle/command.h"
#include "tools/treadle/completion.h"

namespace treadle::tool {
namespace {

constexpr const char* kDescription = "Treadle: loads, optimizes and runs ONNX models";

struct Place {
  std::string text;
  const CLI::Option* option = nullptr;  // null for the one that takes many
};

struct Parsed {
  CLI::App* app = nullptr;
  std::vector<Place> positional;
  std::vector<std::string> rest;  // of the positional that takes many
  std::map<std::string, std::vector<std::string>> values;
  std::map<std::string, int> switches;
};

void add_command(CLI::App& top, const Command& command, Parsed& parsed) {
  parsed.app = top.add_subcommand(command.name, command.help)->footer("");
  parsed.positional.resize(command.positional.size());
  for (size_t i = 0; i < command.positional.size(); ++i) {
    const Positional& p = command.positional[i];
    CLI::Option* option = p.many
                              ? parsed.app->add_option(p.name, parsed.rest, p.help)
                              : parsed.app->add_option(p.name, parsed.positional[i].text, p.help);
    option->option_text(p.optional ? "(optional)" : " ")->required(!p.optional);
    if (!p.many) parsed.positional[i].option = option;
  }
  for (const Flag& flag : command.flags) {
    const std::string key = std::string(flag.name).substr(2);
    if (*flag.value == '\0') {
      parsed.app->add_flag(flag.name, parsed.switches[key], flag.help)->group(flag.group);
    } else {
      parsed.app->add_option(flag.name, parsed.values[key], flag.help)
          ->type_name(flag.value)
          ->group(flag.group)
          ->allow_extra_args(false)
          ->expected(1)
          ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
    }
  }
}

Args args_of(const Parsed& parsed) {
  Args args;
  for (const Place& p : parsed.positional) {
    if (p.option != nullptr && p.option->count() > 0) args.positional.push_back(p.text);
  }
  args.positional.insert(args.positional.end(), parsed.rest.begin(), parsed.rest.end());
  for (const auto& [name, values] : parsed.values) {
    if (!values.empty()) args.flags[name] = values;
  }
  for (const auto& [name, count] : parsed.switches) {
    if (count > 0) args.flags[name] = {};
  }
  return args;
}

int run_guarded(const Command& command, const Args& args) {
  try {
    return command.run(args);
  } catch (const UsageError& e) {
    std::fprintf(stderr, "treadle %s: %s\n", command.name, e.what());
    return kExitUsage;
  } catch (const Error& e) {
    std::fprintf(stderr, "treadle %s: %s: %s\n", command.name,
                 std::string(code_name(e.code())).c_str(), e.what());
    return dynamic_cast<const ModelError*>(&e) != nullptr ? kExitModel : exit_code(e.code());
  } catch (const std::bad_alloc&) {
    std::fprintf(stderr, "treadle %s: out of memory\n", command.name);
    return kExitDevice;
  } catch (const std::filesystem::filesystem_error& e) {
    std::fprintf(stderr, "treadle %s: %s: %s\n", command.name, code_name(Code::kIo).data(),
                 e.what());
    return kExitInput;
  } catch (const std::exception& e) {
    std::fprintf(stderr, "treadle %s: internal: %s\n", command.name, e.what());
    return kExitInternal;
  }
}

// libgomp reads its settings when it is loaded, so they take effect only in a new image. Threads
// that wait for work then spin 1,000 rounds, not milliseconds: as fast while regions follow each
// other, and the processors are free for others when they do not.
void restart_with_short_spins(char** argv) {
  if (getenv("GOMP_SPINCOUNT") != nullptr || getenv("OMP_WAIT_POLICY") != nullptr) return;
  setenv("GOMP_SPINCOUNT", "1000", 1);
  execv("/proc/self/exe", argv);
}

// "treadle help run" is "treadle run --help"; the rest as given.
std::vector<std::string> words(int argc, char** argv) {
  std::vector<std::string> args(argv + 1, argv + argc);
  if (!args.empty() && args[0] == "help") {
    args.erase(args.begin());
    args.insert(args.begin() + (args.empty() ? 0 : 1), "--help");
  }
  return args;
}

// "" unless the first word is no subcommand.
std::string unknown_command(const std::vector<std::string>& args) {
  if (args.empty() || args[0].starts_with("-")) return "";
  std::vector<std::string> names;
  for (const Command& command : commands()) {
    if (command.name == args[0]) return "";
    names.emplace_back(command.name);
  }
  return cat("unknown command '", args[0], "'", suggestion(args[0], names, "; see treadle --help"));
}

// The parser of the table of subcommands, into `parsed`.
void describe(CLI::App& top, std::vector<Parsed>& parsed) {
  top.set_version_flag("-V,--version", "treadle " TREADLE_VERSION);
  top.footer(
      "treadle COMMAND --help lists the flags of each.\n"
      "Exit codes: 0 ok, 1 a comparison failed, 2 usage, 3 model invalid or unsupported,\n"
      "4 input data or file, 5 device or memory, 6 timeout, 70 internal.");
  const std::vector<Command>& table = commands();
  parsed.resize(table.size());
  for (size_t i = 0; i < table.size(); ++i) add_command(top, table[i], parsed[i]);
}

// The command of the first word; null: that is a flag.
const Command* command_of(const std::vector<std::string>& args) {
  const auto found = std::ranges::find(commands(), args.front(), &Command::name);
  return found == commands().end() ? nullptr : &*found;
}

std::string usage(const Command& command) {
  std::string text = cat("; usage: treadle ", command.name, " [OPTIONS]");
  for (const Positional& p : command.positional) {
    const std::string name = cat(p.name, p.many ? "..." : "");
    text += p.optional ? cat(" [", name, "]") : " " + name;
  }
  return text;
}

// Of words that no flag and no place takes.
std::string unexpected(const Command* command, const std::vector<std::string>& words) {
  const auto dashed = std::ranges::find_if(words, [](auto& w) { return w.starts_with("-"); });
  const std::string word = dashed == words.end() ? words.front() : *dashed;
  const std::string flag = word.substr(0, word.find('='));
  if (command == nullptr)
    return cat("there is no flag '", flag, "' here: the flags of a command follow it");
  if (dashed == words.end()) return cat("'", word, "' is one word too many", usage(*command));
  std::vector<std::string> names;
  for (const Flag& f : command->flags) names.emplace_back(f.name);
  return cat("there is no flag '", flag, "'",
             suggestion(flag, names, cat("; treadle ", command->name, " --help lists them")));
}

// The parser's errors in words that tell what the command takes.
std::string refusal(const Command* command, const CLI::App& top, const CLI::ParseError& e) {
  const std::string text = e.what();
  if (dynamic_cast<const CLI::ExtrasError*>(&e) != nullptr)
    return unexpected(command, top.remaining(true));
  if (dynamic_cast<const CLI::ArgumentMismatch*>(&e) != nullptr)
    return cat(text.substr(0, text.find(':')), " wants a value");
  if (dynamic_cast<const CLI::RequiredError*>(&e) != nullptr && command != nullptr)
    return text + usage(*command);
  return text;
}

CommandWords words_of(const CLI::App& app) {
  CommandWords words{app.get_name(), app.get_description(), {}, {}};
  for (const CLI::Option* option : app.get_options()) {
    if (option->get_positional()) {
      words.places.push_back({{}, option->get_name(true), option->get_description()});
      continue;
    }
    FlagWords flag{{}, option->get_type_name(), option->get_description()};
    for (const std::string& name : option->get_snames()) flag.names.push_back("-" + name);
    for (const std::string& name : option->get_lnames()) flag.names.push_back("--" + name);
    words.flags.push_back(std::move(flag));
  }
  return words;
}

int run_main(int argc, char** argv) {
  CLI::App top(kDescription, "treadle");
  std::vector<Parsed> parsed;
  describe(top, parsed);
  const std::vector<Command>& table = commands();
  std::vector<std::string> args = words(argc, argv);
  if (const std::string problem = unknown_command(args); !problem.empty()) {
    std::fprintf(stderr, "treadle: %s\n", problem.c_str());
    return kExitUsage;
  }
  if (args.empty()) {
    std::fputs(top.help().c_str(), stderr);
    return kExitUsage;
  }
  const Command* command = command_of(args);
  try {
    std::reverse(args.begin(), args.end());  // as CLI11 takes them
    top.parse(args);
  } catch (const CLI::ParseError& e) {
    if (e.get_exit_code() == 0) return top.exit(e);  // --help, --version
    std::fprintf(stderr, "treadle%s: %s\n",
                 command == nullptr ? "" : cat(" ", command->name).c_str(),
                 refusal(command, top, e).c_str());
    return kExitUsage;
  }
  for (size_t i = 0; i < table.size(); ++i) {
    if (parsed[i].app->parsed()) return run_guarded(table[i], args_of(parsed[i]));
  }
  return kExitUsage;
}

// What was not printed was not delivered.
int flushed(int code) {
  std::cout.flush();
  if (std::fflush(stdout) == 0 && std::ferror(stdout) == 0 && std::cout.good()) return code;
  std::fprintf(stderr, "treadle: cannot write to the standard output\n");
  return code == kExitOk ? kExitInput : code;
}

}  // namespace

std::vector<CommandWords> described_commands() {
  CLI::App top(kDescription, "treadle");
  std::vector<Parsed> parsed;
  describe(top, parsed);
  std::vector<CommandWords> all = {words_of(top)};
  for (const Parsed& p : parsed) all.push_back(words_of(*p.app));
  return all;
}

}  // namespace treadle::tool

int main(int argc, char** argv) {
  treadle::tool::restart_with_short_spins(argv);
  return treadle::tool::flushed(treadle::tool::run_main(argc, argv));
}
