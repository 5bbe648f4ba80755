// The CPU backend: asks its families in order.
#include <map>
#include <span>

#include "backends/cpu/cpu.h"
#include "backends/cpu/layout.h"
#include "backends/cpu/reorder.h"
#include "backends/cpu/table.h"

namespace treadle {
namespace {

using cpu::Candidate;

class CpuBackend : public Backend {
 public:
  CpuBackend() {
    for (const Candidate& c : cpu::candidates()) {
      const Op* op = find_op(c.kind, c.domain);
      if (op != nullptr) by_op_[op->id].push_back(c.family);  // a build may lack rows
    }
  }
  std::string_view name() const override { return "cpu"; }

  Support supports(const NodeSpec& spec) const override {
    std::string reasons;
    for (const cpu::Family* family : families(spec)) {
      const Support support = family->supports(spec);
      if (support.ok) return {};
      reasons += cat(reasons.empty() ? "" : "; ", family->name, ": ", support.reason);
    }
    return Support::no(reasons.empty() ? "no kernel" : reasons);
  }
  Compiled compile(const NodeSpec& spec, const CompileContext& context) const override {
    std::string reasons;
    for (const cpu::Family* family : families(spec)) {
      if (!family->supports(spec).ok) continue;
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

 private:
  std::span<const cpu::Family* const> families(const NodeSpec& spec) const {
    const auto it = by_op_.find(spec.node->op->id);
    if (it == by_op_.end()) return {};
    return it->second;
  }
  std::map<uint32_t, std::vector<const cpu::Family*>> by_op_;
};

}  // namespace

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
