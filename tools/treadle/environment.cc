#include "tools/treadle/environment.h"

#include <fstream>
#include <set>

#include "backends/registry.h"

namespace treadle::tool {
namespace {

struct Processor {
  std::string name = "unknown";
  std::set<std::string> cores;  // "0 3": of package and core
};

Processor processor() {
  Processor p;
  std::ifstream in("/proc/cpuinfo");
  std::string package;
  for (std::string line; std::getline(in, line);) {
    const size_t colon = line.find(": ");
    if (colon == std::string::npos) continue;
    const std::string value = line.substr(colon + 2);
    if (line.starts_with("model name")) p.name = value;
    if (line.starts_with("physical id")) package = value;
    if (line.starts_with("core id")) p.cores.insert(cat(package, " ", value));
  }
  return p;
}

}  // namespace

Json environment() {
  const Processor p = processor();
  return {{"version", TREADLE_VERSION},
          {"processor", p.name},
          {"cores", p.cores.empty() ? Json() : Json(p.cores.size())},
          {"usable_threads", default_threads()},
          {"libraries", devices().front().detail}};
}

}  // namespace treadle::tool
