// The CPU backend: asks its families in order.
#include <algorithm>
#include <array>
#include <cstdlib>
#include <map>
#include <span>

#include "backends/cpu/cpu.h"
#include "backends/cpu/layout.h"
#include "backends/cpu/reorder.h"
#include "backends/cpu/table.h"

namespace treadle {
namespace {

using cpu::Candidate;
using cpu::Family;

// Parts of families' names.
constexpr std::array<std::string_view, 4> kWords = {"native", "onednn", "tiles", "winograd"};

std::string_view known_word(std::string_view word) {
  if (word.empty()) return {};
  const auto* known = std::ranges::find(kWords, word);
  if (known == kWords.end()) {
    std::string words;
    for (const std::string_view w : kWords) words += cat(words.empty() ? "" : ", ", w);
    fail(Code::kInvalidArgument, "TREADLE_FORCE is '", word, "'; there are: ", words);
  }
  return *known;
}

std::string_view& forced_word() {
  static std::string_view word = [] {
    const char* wanted = std::getenv("TREADLE_FORCE");
    return known_word(wanted == nullptr ? "" : wanted);
  }();
  return word;
}

enum class Turn : uint8_t { kForced, kPays, kLast };

Turn turn_of(const Family& family, const NodeSpec& spec) {
  const std::string_view word = forced_word(), name = family.name;
  if (!word.empty() && name.find(word) != name.npos) return Turn::kForced;
  return family.pays == nullptr || family.pays(spec) ? Turn::kPays : Turn::kLast;
}

class CpuBackend : public Backend {
 public:
  CpuBackend() {
    forced_word();  // a wrong one is refused before there are kernels
    for (const Candidate& c : cpu::candidates()) {
      const Op* op = find_op(c.kind, c.domain);
      if (op != nullptr) by_op_[op->id].push_back(c.family);  // a build may lack rows
    }
  }
  std::string_view name() const override { return "cpu"; }

  Support supports(const NodeSpec& spec) const override {
    std::string reasons;
    for (const Family* family : families(spec)) {
      const Support support = family->supports(spec);
      if (support.ok) return {};
      reasons += cat(reasons.empty() ? "" : "; ", family->name, ": ", support.reason);
    }
    return Support::no(reasons.empty() ? "no kernel" : reasons);
  }
  Compiled compile(const NodeSpec& spec, const CompileContext& context) const override {
    std::string reasons;
    for (const Family* family : in_turn(spec)) {
      try {
        return family->compile(spec, context);
      } catch (const Error& e) {
        if (e.code() != Code::kUnsupported) throw;
        reasons += cat(reasons.empty() ? "" : "; ", family->name, ": ", e.text());
      }
    }
    fail(Code::kUnsupported, reasons.empty() ? "no kernel" : reasons);
  }
  size_t bytes(const TensorSpec& spec) const override { return cpu::layout_bytes(spec); }
  Compiled reorder(const TensorSpec& from, const TensorSpec& to,
                   const CompileContext& context) const override {
    return cpu::compile_reorder(from, to, context);
  }
  std::vector<size_t> adjacent_parts(const TensorSpec& whole, const std::vector<TensorSpec>& parts,
                                     int64_t axis) const override {
    return cpu::adjacent_parts(whole, parts, axis);
  }
  std::optional<SameBytes> same_bytes(const NodeSpec& spec) const override {
    return cpu::same_bytes(spec);
  }

 private:
  // Those that support the node.
  std::vector<const Family*> in_turn(const NodeSpec& spec) const {
    std::vector<std::pair<Turn, const Family*>> order;
    for (const Family* family : families(spec)) {
      if (family->supports(spec).ok) order.emplace_back(turn_of(*family, spec), family);
    }
    std::ranges::stable_sort(order, {}, &std::pair<Turn, const Family*>::first);
    std::vector<const Family*> list;
    for (const auto& [turn, family] : order) list.push_back(family);
    return list;
  }
  std::span<const Family* const> families(const NodeSpec& spec) const {
    const auto it = by_op_.find(spec.node->op->id);
    if (it == by_op_.end()) return {};
    return it->second;
  }
  std::map<uint32_t, std::vector<const Family*>> by_op_;
};

}  // namespace

void force_cpu_kernels(std::string_view word) { forced_word() = known_word(word); }

std::vector<std::string> cpu_families(const Op& op) {
  std::vector<std::string> names;
  for (const Candidate& c : cpu::candidates()) {
    if (op.kind == c.kind && op.domain == c.domain) names.emplace_back(c.family->name);
  }
  return names;
}

const Backend& cpu_backend() {
  static const CpuBackend backend;
  return backend;
}

}  // namespace treadle
