#include "importer/onnx/opsets.h"

#include <set>
#include <vector>

#include "graph/ops/op.h"
#include "importer/onnx/describe.h"
#include "importer/onnx/upgrades.h"

namespace treadle::onnx {
namespace {

struct Newest {
  std::string_view domain;
  int64_t version;
};
constexpr Newest kNewest[] = {{"", kOpset},           {"ai.onnx.ml", 5},
                              {"ai.onnx.preview", 1}, {"ai.onnx.preview.training", 1},
                              {"com.microsoft", 1},   {"treadle", 1}};

void add_import(const pb::OperatorSetIdProto& import, Opsets& opsets) {
  const std::string domain = domain_of(import.domain());
  TREADLE_CHECK(import.version() >= 1, kInvalidModel, "imports opset ", import.version(),
                " of domain '", domain, "', expected 1 or above");
  // Exporters repeat an import, which says nothing new.
  const int64_t version = opsets.emplace(domain, import.version()).first->second;
  TREADLE_CHECK(version == import.version(), kInvalidModel, "imports domain '", domain,
                "' twice, as opset ", version, " and ", import.version());
}

std::string shown(const std::string& domain) { return domain.empty() ? "ai.onnx" : domain; }

// Walks all nodes that a run could reach, with an explicit stack.
class Survey {
 public:
  Survey(const Opsets& opsets, const Functions& functions, const AddedOps* added)
      : opsets_(opsets), functions_(functions), added_(added) {}

  void run(const pb::GraphProto& graph) {
    todo_.push_back({&graph.node(), std::make_shared<Opsets>(opsets_)});
    while (!todo_.empty()) {
      const Work work = todo_.back();
      todo_.pop_back();
      for (int i = 0; i < work.nodes->size(); ++i) visit((*work.nodes)[i], i, work.opsets);
    }
  }

  void report() const {
    if (unknown_.empty()) return;
    constexpr size_t kMostListed = 100;
    std::string text = "this build does not know ";
    size_t listed = 0;
    for (const auto& [what, where] : unknown_) {
      if (listed != 0) text += "; ";
      if (listed++ == kMostListed) {
        text += cat("and ", unknown_.size() - kMostListed, " more");
        break;
      }
      text += what + " at " + where.first;
      if (where.second > 1) text += cat(" and ", where.second - 1, " more");
    }
    fail(Code::kUnsupported, text);
  }

 private:
  struct Work {
    const google::protobuf::RepeatedPtrField<pb::NodeProto>* nodes;
    std::shared_ptr<const Opsets> opsets;
  };

  void visit(const pb::NodeProto& node, int index, const std::shared_ptr<const Opsets>& opsets) {
    for (const auto& a : node.attribute()) {
      if (a.has_g()) todo_.push_back({&a.g().node(), opsets});
      for (const auto& g : a.graphs()) todo_.push_back({&g.node(), opsets});
    }
    if (const auto* function = called_function(node, functions_)) {
      if (!seen_.insert(function).second) return;
      todo_.push_back({&function->node(), std::make_shared<Opsets>(opsets_of(*function, opsets_))});
      return;
    }
    check(node, *opsets, [&](const std::string& what) {
      auto& [first, count] = unknown_[what];
      if (count++ == 0) first = describe(node, index);
    });
  }

  template <class Note>
  void check(const pb::NodeProto& node, const Opsets& opsets, Note&& note) const {
    const std::string domain = domain_of(node.domain());
    const auto import = opsets.find(domain);
    if (import == opsets.end()) {
      note(cat("operator ", node.op_type(), " of domain '", shown(domain),
               "', which the model does not import"));
      return;
    }
    for (const Newest& newest : kNewest) {
      if (newest.domain == domain && import->second > newest.version) {
        note(cat("opset ", import->second, " of ", shown(domain), ", the newest known is ",
                 newest.version));
      }
    }
    if (domain.empty() && node.op_type() == "Constant") return;
    const std::string kind(current_kind(node.op_type(), domain));
    if (row_of(kind, domain, added_) == nullptr) {
      note(cat("operator ", shown(domain), ".", node.op_type(), " (opset ", import->second, ")"));
    }
  }

  const Opsets& opsets_;
  const Functions& functions_;
  const AddedOps* added_;
  std::vector<Work> todo_;
  std::set<const pb::FunctionProto*> seen_;
  std::map<std::string, std::pair<std::string, int>> unknown_;
};

}  // namespace

Opsets opsets_of(const pb::ModelProto& model) {
  Opsets opsets;
  for (const auto& import : model.opset_import()) add_import(import, opsets);
  if (model.ir_version() < 3 && opsets.empty()) opsets[""] = 1;  // before imports were stated
  return opsets;
}

Opsets opsets_of(const pb::FunctionProto& function, const Opsets& model) {
  Opsets opsets;
  for (const auto& import : function.opset_import()) add_import(import, opsets);
  opsets.insert(model.begin(), model.end());
  return opsets;
}

const Op* row_of(const std::string& kind, const std::string& domain, const AddedOps* added) {
  const Op* own = find_op(kind, domain);
  return own == nullptr && added != nullptr ? added->find(kind, domain) : own;
}

Functions functions_of(const pb::ModelProto& model, const AddedOps* added) {
  Functions functions;
  for (const auto& f : model.functions()) {
    if (row_of(f.name(), domain_of(f.domain()), added) != nullptr) continue;
    const bool fresh =
        functions.emplace(std::tuple(domain_of(f.domain()), f.name(), f.overload()), &f).second;
    TREADLE_CHECK(fresh, kInvalidModel, "function '", f.name(), "' of domain '", f.domain(),
                  "' is defined twice");
  }
  return functions;
}

const pb::FunctionProto* called_function(const pb::NodeProto& node, const Functions& functions) {
  const std::string domain = domain_of(node.domain());
  const auto it = functions.find(std::tuple(domain, node.op_type(), node.overload()));
  return it == functions.end() ? nullptr : it->second;
}

void check_supported(const pb::ModelProto& model, const Opsets& opsets, const Functions& functions,
                     const AddedOps* added) {
  Survey survey(opsets, functions, added);
  survey.run(model.graph());
  survey.report();
}

}  // namespace treadle::onnx
