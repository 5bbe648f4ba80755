// Networks of the C API of training.
#include <cstring>

#include "training/c_api/handles.h"

using treadle::c_api::guarded;
using treadle::c_api::require;

namespace {

void put_model(const treadle::Graph& graph, char** model, size_t* size) {
  const std::string bytes = treadle::save_bytes(graph);
  *model = treadle::c_api::copy_text(bytes);
  *size = bytes.size();
}

const char* text_or_none(const char* text) { return text != nullptr ? text : ""; }

}  // namespace

extern "C" {

treadle_status treadle_network_create(uint64_t seed, treadle_network** network) {
  return guarded([&] {
    require(network, "network");
    *network = new treadle_network{treadle::Network(seed)};
  });
}
void treadle_network_release(treadle_network* network) { delete network; }

treadle_status treadle_network_input(treadle_network* network, const char* name,
                                     treadle_dtype dtype, const int64_t* dims, size_t rank,
                                     size_t* value) {
  return guarded([&] {
    require(network, "network");
    require(name, "name");
    if (rank > 0) require(dims, "dims");
    require(value, "value");
    TREADLE_CHECK(treadle_dtype_bits(dtype) > 0, kInvalidArgument, "input '", name,
                  "' of the element type ", dtype, ", which no tensor of a network has");
    TREADLE_CHECK(rank <= TREADLE_MAX_RANK, kInvalidArgument, "input '", name, "' of rank ", rank);
    treadle::Shape shape;
    for (size_t i = 0; i < rank; ++i) {
      const std::string open = i == 0 ? "N" : treadle::cat(name, "_dim", i);
      shape.push_back(dims[i] >= 0 ? treadle::Dim(dims[i]) : treadle::Dim::symbol(open));
    }
    *value = network->network.add_input(name, static_cast<treadle::DType>(dtype), shape);
  });
}

treadle_status treadle_network_layer(treadle_network* network, const char* kind, const char* name,
                                     const size_t* inputs, size_t count, const char* settings,
                                     size_t* value) {
  return guarded([&] {
    require(network, "network");
    require(kind, "kind");
    require(name, "name");
    if (count > 0) require(inputs, "inputs");
    require(value, "value");
    *value =
        network->network.add_layer(kind, name, {inputs, inputs + count}, text_or_none(settings));
  });
}

treadle_status treadle_network_output(treadle_network* network, const char* name, size_t value) {
  return guarded([&] {
    require(network, "network");
    require(name, "name");
    network->network.add_output(name, value);
  });
}

treadle_status treadle_network_model(const treadle_network* network, char** model, size_t* size) {
  return guarded([&] {
    require(network, "network");
    require(model, "model");
    require(size, "size");
    put_model(network->network.graph(), model, size);
  });
}

treadle_status treadle_network_known(const char* kind, const char* settings, uint64_t seed,
                                     char** model, size_t* size) {
  return guarded([&] {
    require(kind, "kind");
    require(model, "model");
    require(size, "size");
    put_model(treadle::Network::known(kind, text_or_none(settings), seed), model, size);
  });
}

}  // extern "C"
