// Rows whose rule and kernel are a caller's callbacks.
#include "runtime/plugins/call.h"
#include "runtime/plugins/plugins.h"
#include "runtime/structs.h"

namespace treadle {
namespace {

using Callback = treadle_status (*)(const treadle_op_api*, treadle_op_call*, void* user,
                                    void* state);

// Throws what the call failed with.
void finish(const treadle_op_call& call, treadle_status status, std::string_view callback) {
  if (call.failure) throw *call.failure;
  TREADLE_CHECK(status >= TREADLE_OK && status <= TREADLE_INTERNAL, kInternal, "its ", callback,
                " callback returned the unknown status ", status);
  if (status != TREADLE_OK)
    fail(plugins::code_of(status), "its ", callback,
         " callback failed: ", code_name(plugins::code_of(status)));
}

template <class F>
void call_out(treadle_op_call& call, std::string_view callback, F&& f) {
  treadle_status status = TREADLE_OK;
  try {
    status = f();
  } catch (...) {
    fail(Code::kInternal, "its ", callback, " callback threw an exception");
  }
  finish(call, status, callback);
}

// A node's `state`: the callbacks, and what `create` made.
class NodeState {
 public:
  NodeState(const treadle_op& op, const Node& node) : op_(op) {
    if (op_.create == nullptr) return;
    treadle_op_call call{node};
    call_out(call, "create",
             [&] { return op_.create(&plugins::op_api(), &call, op_.user, &state_); });
    created_ = true;
  }
  ~NodeState() {
    if (created_ && op_.destroy != nullptr) op_.destroy(op_.user, state_);
  }
  NodeState(const NodeState&) = delete;
  NodeState& operator=(const NodeState&) = delete;

  void run(treadle_op_call& call, Callback callback, std::string_view name) const {
    call_out(call, name, [&] { return callback(&plugins::op_api(), &call, op_.user, state_); });
  }
  const treadle_op& op() const { return op_; }

 private:
  treadle_op op_;
  void* state_ = nullptr;
  bool created_ = false;
};

const NodeState& state_of(const Node& node) {
  return *static_cast<const NodeState*>(node.state.get());
}

void infer_by_callback(InferContext& c) {
  const NodeState& state = state_of(c.node());
  if (state.op().infer == nullptr) return;
  treadle_op_call call{.node = c.node(), .infer = &c};
  state.run(call, state.op().infer, "infer");
}

void eval_by_callback(EvalContext& c) {
  const NodeState& state = state_of(c.node());
  treadle_op_call call{.node = c.node(), .eval = &c};
  state.run(call, state.op().compute, "compute");
  for (size_t i = 0; i < c.output_count(); ++i) {
    TREADLE_CHECK(!c.wants(i) || (i < call.made.size() && call.made[i]), kInvalidArgument,
                  "its compute callback did not make output '", c.node().op->output(i).name, "'");
  }
}

const char* text_or_none(const char* text) { return text != nullptr ? text : ""; }

}  // namespace

void add_op(AddedOps& ops, const treadle_op& given) {
  const treadle_op op = read_struct(given, sizeof(treadle_op), "op");
  TREADLE_CHECK(op.name != nullptr, kInvalidArgument, "op.name is null");
  TREADLE_CHECK(op.domain != nullptr, kInvalidArgument, "op.domain of ", op.name, " is null");
  TREADLE_CHECK(op.compute != nullptr, kInvalidArgument, "op.compute of ", op.name, " is null");
  TREADLE_CHECK((op.flags & ~uint32_t{TREADLE_OP_PURE}) == 0, kInvalidArgument, "op.flags of ",
                op.name, " is ", op.flags, ", of which some are unknown");
  NewOp added;
  added.row.kind = op.name;
  added.row.domain = op.domain;
  added.row.inputs = text_or_none(op.inputs);
  added.row.outputs = text_or_none(op.outputs);
  added.row.types = text_or_none(op.types);
  added.row.attributes = text_or_none(op.attributes);
  added.row.infer = infer_by_callback;
  added.row.eval = eval_by_callback;
  if ((op.flags & TREADLE_OP_PURE) == 0) added.row.traits = kRandom;
  added.gradient = text_or_none(op.gradient);
  added.make_state = [op](const Node& node) { return std::make_shared<const NodeState>(op, node); };
  ops.add(added);
}

}  // namespace treadle
