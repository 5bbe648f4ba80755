// Networks that a caller describes layer by layer, in words: what the C API and Python build.
#pragma once

#include <memory>
#include <set>
#include <string>
#include <vector>

#include "training/layers.h"

namespace treadle {

// Values are numbered from 0 in the order in which they are made. After an error the network is of
// no more use.
class Network {
 public:
  explicit Network(uint64_t seed);
  Network(const Network&) = delete;
  Network& operator=(const Network&) = delete;
  // One of new_model_kinds; `settings`: classes, input_shape, hidden, filters, dropout.
  static Graph known(const std::string& kind, const std::string& settings, uint64_t seed);

  size_t add_input(const std::string& name, DType dtype, const Shape& shape);
  // `kind` is one of layer_kinds, with the keys that they list, or an operator of ONNX with its
  // attributes: "filters=32 kernel=3", "axis=1". Lists are comma-separated. kInvalidArgument naming
  // the layer: an unknown kind or key (with the close match), inputs that do not fit.
  size_t add_layer(const std::string& kind, const std::string& name,
                   const std::vector<size_t>& inputs, const std::string& settings);
  void add_output(const std::string& name, size_t value);
  // Checked. kInvalidArgument where there is no output.
  Graph graph() const;

 private:
  ValueId value(size_t number) const;
  void refuse_output(const std::string& name) const;  // where there is one already
  Graph graph_;
  Layers layers_;
  std::vector<ValueId> values_;
  std::set<std::string> names_;  // of layers
};

std::vector<std::string> layer_kinds();

}  // namespace treadle
