// The command `treadle`: a table of subcommands, one parser over it, and errors to exit codes.
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <cstdlib>
#include <iostream>
#include <new>

#include "tools/treadle/command.h"

namespace treadle::tool {
namespace {

const std::vector<Flag> kModelFlags = {
    {"--device", "DEVICE", "cpu (default) or reference"},
    {"--threads", "N", "threads to compute with (default: the processors this process may use)"},
    {"--no-fallback", "", "fail where the device does not run a node"},
    {"--no-optimize", "", "run the graph as it is"},
    {"--skip-pass", "A,B", "leave out these optimizer passes"},
    {"--stop-after", "N", "stop the optimizer after N rewrites"},
    {"--overridable", "A,B", "initializers that stay inputs"},
    {"--json", "", "print one JSON object and nothing else"},
};

const std::vector<Flag> kInputFlags = {
    {"--input", "[NAME=]FILE", "an input: .npy .npz .pb .bin .jpg .png"},
    {"--shape", "NAME:1x3x224x224", "shape of an input that has symbolic dimensions"},
    {"--fill", "random|zeros|ones", "what the inputs hold that have no file"},
    {"--seed", "N", "seed of --fill random (0)"},
    {"--mean", "A,B,C", "pictures: subtracted after scaling (0)"},
    {"--std", "A,B,C", "pictures: divided by (1)"},
    {"--scale", "X", "pictures: 0..255 is multiplied by it (1/255)"},
    {"--color", "rgb|bgr", "pictures: order of the channels (rgb)"},
    {"--resize", "crop|stretch", "pictures: short side and centre crop, or both sides (crop)"},
    {"--layout", "nchw|nhwc", "pictures: layout of the input (from its shape)"},
};

const std::vector<Flag> kToleranceFlags = {
    {"--rtol", "X", "relative tolerance (1e-3)"},
    {"--atol", "X", "absolute tolerance (1e-4)"},
};

std::vector<Flag> join(std::initializer_list<std::vector<Flag>> lists) {
  std::vector<Flag> all;
  for (const auto& list : lists) all.insert(all.end(), list.begin(), list.end());
  return all;
}

std::vector<Command> commands() {
  return {
      {"run",
       "Runs a model on given inputs and prints its outputs",
       {"MODEL"},
       join({kModelFlags,
             kInputFlags,
             kToleranceFlags,
             {{"--test-data", "DIR",
               "input_N.pb and output_N.pb: run and compare, exit 1 when they differ"},
              {"--outputs", "A,B", "compute these outputs only"},
              {"--save-outputs", "F.npz", "write the outputs"},
              {"--topk", "N", "print the N largest elements of the first output"},
              {"--labels", "FILE", "names for --topk, a line each, or 'index,name'"},
              {"--timeout", "SECONDS", "give up after so long"}}}),
       run_run},
      {"bench",
       "Measures load time, latency and memory",
       {"MODEL"},
       join({kModelFlags,
             kInputFlags,
             {{"--duration", "SECONDS", "measure for so long (2)"},
              {"--warmup", "N", "runs before measuring (3)"}}}),
       run_bench},
      {"inspect",
       "Shows what a model is and how it will run",
       {"MODEL"},
       join({kModelFlags,
             {{"--shape", "NAME:1x3x224x224", "shape of an input that has symbolic dimensions"},
              {"--show", "layers|ops|memory|placement|passes", "a part in detail"},
              {"--dot", "FILE", "write the graph for Graphviz"}}}),
       run_inspect},
      {"profile",
       "Measures each step of a run",
       {"MODEL"},
       join({kModelFlags,
             kInputFlags,
             {{"--iterations", "N", "runs (20)"},
              {"--top", "N", "show the N slowest (all)"},
              {"--trace", "FILE", "write a Chrome trace (chrome://tracing, Perfetto)"}}}),
       run_profile},
      {"optimize",
       "Writes the optimized model as standard ONNX",
       {"IN", "OUT"},
       join({kModelFlags,
             kInputFlags,
             kToleranceFlags,
             {{"--opset", "N", "write this opset at most"},
              {"--external-data", "", "write the weights beside the model"},
              {"--no-check", "", "do not compare with the original"}}}),
       run_optimize},
      {"compare",
       "Runs two models, or one on two devices, on the same input",
       {"A", "?B"},
       join({kModelFlags,
             kInputFlags,
             kToleranceFlags,
             {{"--devices", "A,B", "two devices for one model"},
              {"--reference", "onnxruntime", "compare with onnxruntime (needs Python)"},
              {"--all-layers", "", "compare every tensor both have, not only the outputs"}}}),
       run_compare},
      {"check", "Lists all problems of a model at once", {"MODEL"}, kModelFlags, run_check},
      {"ops",
       "Lists the operators, or shows one",
       {"?NAME"},
       {{"--json", "", "print JSON"}},
       run_ops},
      {"info",
       "Shows version, processor, threads and devices",
       {},
       {{"--json", "", "print JSON"}},
       run_info},
  };
}

struct Parsed {
  CLI::App* app = nullptr;
  std::vector<std::string> positional;
  std::map<std::string, std::vector<std::string>> values;
  std::map<std::string, int> switches;
};

void add_command(CLI::App& top, const Command& command, Parsed& parsed) {
  parsed.app = top.add_subcommand(command.name, command.help);
  parsed.positional.resize(command.positional.size());
  for (size_t i = 0; i < command.positional.size(); ++i) {
    const std::string name = command.positional[i];
    const bool optional = name[0] == '?';
    auto* option = parsed.app->add_option(optional ? name.substr(1) : name, parsed.positional[i]);
    if (!optional) option->required();
  }
  for (const Flag& flag : command.flags) {
    const std::string key = std::string(flag.name).substr(2);
    if (*flag.value == '\0') {
      parsed.app->add_flag(flag.name, parsed.switches[key], flag.help);
    } else {
      parsed.app->add_option(flag.name, parsed.values[key], flag.help)
          ->type_name(flag.value)
          ->allow_extra_args(false)
          ->expected(1)
          ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
    }
  }
}

Args args_of(const Parsed& parsed) {
  Args args;
  for (const std::string& p : parsed.positional) {
    if (!p.empty()) args.positional.push_back(p);
  }
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

int run_main(int argc, char** argv) {
  CLI::App top("Treadle: loads, optimizes and runs ONNX models", "treadle");
  top.set_version_flag("-V,--version", "treadle " TREADLE_VERSION);
  top.require_subcommand(1);
  const std::vector<Command> table = commands();
  std::vector<Parsed> parsed(table.size());
  for (size_t i = 0; i < table.size(); ++i) add_command(top, table[i], parsed[i]);
  try {
    top.parse(argc, argv);
  } catch (const CLI::ParseError& e) {
    return top.exit(e) == 0 ? kExitOk : kExitUsage;
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
}  // namespace treadle::tool

int main(int argc, char** argv) {
  treadle::tool::restart_with_short_spins(argv);
  return treadle::tool::flushed(treadle::tool::run_main(argc, argv));
}
