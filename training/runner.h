// A model with its session and the values that it is run with, by position: what a trainer runs.
#pragma once

#include <string_view>
#include <utility>
#include <vector>

#include "runtime/runtime.h"

namespace treadle {

// Of a scalar of floats; allocates nothing.
inline double number_of(const Value& value) {
  const Tensor& t = value.tensor();
  double number = 0;
  dispatch(t.dtype(), FloatTypes{}, [&]<class T>() {
    if constexpr (is_reduced_float<T>) {
      number = static_cast<double>(static_cast<float>(t.data<T>()[0]));
    } else {
      number = static_cast<double>(t.data<T>()[0]);
    }
  });
  return number;
}

struct Runner {
  Runner(Graph graph, const ModelOptions& options, int threads)
      : session(Model::create(std::move(graph), options), {threads}),
        inputs(session.model().input_count()),
        results(session.model().output_count()) {
    for (Value& v : results) outputs.push_back(&v);
  }
  const Model& model() const { return session.model(); }
  // Null where the graph has no such output.
  const Value* result(std::string_view name) const {
    for (size_t i = 0; i < results.size(); ++i) {
      if (model().output_name(i) == name) return &results[i];
    }
    return nullptr;
  }
  void bind(std::string_view name, const Value& value) {
    for (size_t i = 0; i < inputs.size(); ++i) {
      if (model().input(i).name == name) inputs[i] = &value;
    }
  }
  void run() { session.run_into(inputs, outputs); }

  Session session;
  std::vector<const Value*> inputs;
  std::vector<Value> results;  // of the states: empty
  std::vector<Value*> outputs;
};

}  // namespace treadle
