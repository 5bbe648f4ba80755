#include "graph/ops/added.h"

#include <algorithm>
#include <atomic>

#include "graph/ops/row.h"

namespace treadle {
namespace {

// Ids of added rows are never those of another row, so that nodes can be compared by them.
uint32_t fresh_id() {
  static std::atomic<uint32_t> next = static_cast<uint32_t>(all_ops().size());
  return next++;
}

// Letters, digits and the signs of `also`.
bool is_name(std::string_view text, std::string_view also) {
  const auto good = [&](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           also.find(c) != std::string_view::npos;
  };
  return !text.empty() && std::ranges::all_of(text, good);
}

void check_name(const OpDef& def) {
  const std::string_view domain = def.domain;
  TREADLE_CHECK(is_name(def.kind, "_"), kInvalidArgument, "'", def.kind,
                "' is no operator's name: letters, digits and '_' expected");
  TREADLE_CHECK(is_name(domain, "_.-"), kInvalidArgument, "'", domain,
                "' is no domain of operator ", def.kind,
                ": letters, digits, '_', '.' and '-' expected");
  TREADLE_CHECK(domain != "treadle" && domain != "ai.onnx" && !domain.starts_with("ai.onnx."),
                kInvalidArgument, "operators cannot be added to domain '", domain, "'");
}

// A name's parameters, with what only the rows of a family may do without.
void check_params(const std::vector<Param>& params) {
  for (const Param& p : params) {
    TREADLE_CHECK(!p.name.empty(), kInvalidArgument, "a parameter has no name");
    TREADLE_CHECK(!p.variadic || &p == &params.back(), kInvalidArgument, "the variadic '", p.name,
                  "' is not the last parameter");
  }
}

Op checked_row(const OpDef& def) {
  check_name(def);
  try {
    Op op = parse_row(def, fresh_id());
    check_params(op.inputs);
    check_params(op.outputs);
    TREADLE_CHECK(!op.outputs.empty(), kInvalidArgument, "it has no output");
    for (const AttributeDef& a : op.attributes) {
      TREADLE_CHECK(a.kind != "g", kInvalidArgument, "attribute '", a.name,
                    "' is a graph, which added operators cannot have");
    }
    return op;
  } catch (const Error& e) {
    fail(Code::kInvalidArgument, "operator ", def.domain, ".", def.kind, ": ", e.text());
  }
}

}  // namespace

void AddedOps::add(const NewOp& op) {
  Op row = checked_row(op.row);
  row.gradient = op.gradient;
  const std::string name = row.full_name();
  TREADLE_CHECK(find_op(row.kind, row.domain) == nullptr && !rows_.contains(name), kInvalidArgument,
                "operator ", name, " is there already");
  rows_[name] = std::make_shared<const Row>(Row{std::move(row), op.make_state});
}

const Op* AddedOps::find(std::string_view kind, std::string_view domain) const {
  const auto it = rows_.find(cat(domain, ".", kind));
  return it == rows_.end() ? nullptr : &it->second->op;
}

void AddedOps::prepare(Node& node) const {
  const auto it = rows_.find(node.op->full_name());
  if (it == rows_.end() || it->second->op.id != node.op->id) return;
  check_against_row(node);
  const std::shared_ptr<const Row> row = it->second;
  const std::shared_ptr<const void> state = row->make_state(node);
  node.state = std::shared_ptr<const void>(state.get(), [row, state](const void*) {});
}

}  // namespace treadle
