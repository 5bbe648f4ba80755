// Which constants of a model are its parameters, and what turns them into inputs.
#pragma once

#include <string>
#include <vector>

#include "graph/graph.h"
#include "training/updates.h"

namespace treadle {

// What the first group that matches the name and has it tells: &ParameterGroup::rate or decay.
double factor_of(const std::vector<ParameterGroup>& groups, const std::string& name,
                 std::optional<double> ParameterGroup::*factor);
bool is_frozen(const std::vector<ParameterGroup>& groups, const std::string& name);

// Constants of floats, of rank 1 and above or named in full by a group, but no running statistics;
// in the order in which nodes read them.
std::vector<ValueId> find_parameters(const Graph& graph, const std::vector<ParameterGroup>& groups);

// The constant as an input of its name, and back.
ValueId make_input(Graph& graph, ValueId constant);
void make_constant(Graph& graph, ValueId input, const Tensor& tensor);

// Floats of one number.
Tensor filled(DType dtype, const Dims& dims, double value);

}  // namespace treadle
