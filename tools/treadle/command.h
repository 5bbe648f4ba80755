// A subcommand: a constant row of name, help, flags and function (commands.cc). main.cc parses by
// these rows.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "graph/base/error.h"

namespace treadle::tool {

// Exit codes (documented in README.md).
inline constexpr int kExitOk = 0;
inline constexpr int kExitDiffers = 1;  // ran, but a comparison or check failed
inline constexpr int kExitUsage = 2;
inline constexpr int kExitModel = 3;    // model invalid or unsupported
inline constexpr int kExitInput = 4;    // input data or I/O
inline constexpr int kExitDevice = 5;   // device unavailable, out of memory
inline constexpr int kExitTimeout = 6;  // timeout or cancelled
inline constexpr int kExitInternal = 70;
int exit_code(Code code);

struct Flag {
  const char* name;   // "--input"
  const char* value;  // "[name=]FILE"; "" for a switch
  const char* help;
  const char* group = "Options";  // the heading under which --help lists it
};
struct Positional {
  const char* name;  // "MODEL"
  const char* help;
  bool optional = false;
  bool many = false;
};

// What the user gave. A wrong value of a flag is UsageError naming the flag.
class Args {
 public:
  std::vector<std::string> positional;
  std::map<std::string, std::vector<std::string>> flags;  // by name without dashes

  bool has(std::string_view name) const { return flags.contains(std::string(name)); }
  std::string text(std::string_view name, std::string_view fallback = "") const;
  const std::vector<std::string>& all(std::string_view name) const;
  int64_t integer(std::string_view name, int64_t fallback, int64_t least = 0) const;
  double number(std::string_view name, double fallback) const;
  double positive(std::string_view name, double fallback) const;
  // Of the values X and KEY:X that the flag has, by commas or again: the one for `key`, else the X.
  double number_for(std::string_view name, const std::string& key, double fallback) const;
  // One of `allowed`, the first where the flag is not given.
  std::string choice(std::string_view name, const std::vector<std::string>& allowed) const;
  // Comma-separated values, over all the times that the flag was given.
  std::vector<std::string> list(std::string_view name) const;
  std::vector<double> numbers(std::string_view name, std::vector<double> fallback) const;
};

class UsageError : public std::exception {
 public:
  explicit UsageError(std::string text) : text_(std::move(text)) {}
  const char* what() const noexcept override { return text_.c_str(); }

 private:
  std::string text_;
};

// An error that the model is to blame for, whatever its code.
class ModelError : public Error {
 public:
  explicit ModelError(const Error& error) : Error(error) {}
};

struct Command {
  const char* name;
  const char* help;
  std::vector<Positional> positional;
  std::vector<Flag> flags;
  int (*run)(const Args& args);
};

// THE list of subcommands.
const std::vector<Command>& commands();

int run_run(const Args& args);
int run_bench(const Args& args);
int run_inspect(const Args& args);
int run_profile(const Args& args);
int run_optimize(const Args& args);
int run_compare(const Args& args);
int run_train(const Args& args);
int run_finetune(const Args& args);
int run_eval(const Args& args);
int run_export(const Args& args);
int run_sweep(const Args& args);
int run_new(const Args& args);
int run_check(const Args& args);
int run_ops(const Args& args);
int run_info(const Args& args);
int run_version(const Args& args);
int run_completion(const Args& args);

}  // namespace treadle::tool
