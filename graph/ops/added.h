// Operators that an application adds to what it loads: rows of its own, beside the families. They
// belong to the graphs that use them, never to the process.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>

#include "graph/ops/op.h"

namespace treadle {

struct NewOp {
  OpDef row;
  std::string gradient;  // see Op
  // What `infer` and `eval` find in the node's `state`, made of its attributes; never null. Copies
  // of the node share it, and threads that run them.
  std::function<std::shared_ptr<const void>(const Node&)> make_state;
};

// Not thread-safe while it is changed.
class AddedOps {
 public:
  // kInvalidArgument: a text that is no row, a domain that is ONNX's or Treadle's, a name that is
  // taken.
  void add(const NewOp& op);
  // Null when there is no such row.
  const Op* find(std::string_view kind, std::string_view domain) const;
  // Gives a node of these rows, checked against its row, its state, which keeps the row too.
  // Leaves the others as they are.
  void prepare(Node& node) const;

 private:
  struct Row {
    Op op;
    std::function<std::shared_ptr<const void>(const Node&)> make_state;
  };
  std::map<std::string, std::shared_ptr<const Row>, std::less<>> rows_;  // by full name
};

}  // namespace treadle
