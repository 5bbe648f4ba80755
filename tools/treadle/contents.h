// What a graph holds, those in its nodes included: its metadata, weights and attributes.
#pragma once

#include <map>
#include <string>

#include "tools/treadle/json.h"

namespace treadle::tool {

// What the file states about the model, its graph's name (`graph_name`) and `description` too.
std::map<std::string, std::string> metadata_of(const Graph& graph);
void print_metadata(const Graph& graph);

// Each weight with its size and what its numbers are.
void print_weights(const Graph& graph);
Json weights_json(const Graph& graph);

// Each node that has attributes, with what the file states of them (defaults are not stated).
void print_attributes(const Graph& graph);
Json attributes_json(const Graph& graph);

}  // namespace treadle::tool
