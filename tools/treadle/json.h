// JSON: the shapes that several subcommands print, and files. The only header that brings
// nlohmann-json.
#pragma once

#include <cstdio>
#include <nlohmann/json.hpp>

#include "runtime/runtime.h"

namespace treadle::tool {

using Json = nlohmann::ordered_json;

inline void print_json(const Json& json) {
  std::puts(json.dump(1, ' ', false, Json::error_handler_t::replace).c_str());
}

// kInvalidArgument naming `where`.
Json parse_json(const std::string& text, const std::string& where);
// kIo, and as parse_json with the file.
Json read_json(const std::string& path);
// From an element or nested lists of one length a depth: numbers (null is NaN), bools, strings.
// kInvalidArgument telling what does not fit.
Tensor json_tensor(const Json& json, DType dtype);

inline Json step_json(const StepInfo& s) {
  return {{"node", s.node},       {"op", s.op},
          {"origins", s.origins}, {"backend", s.backend},
          {"kernel", s.kernel},   {"reason", s.reason},
          {"shapes", s.shapes},   {"multiply_adds", s.multiply_adds},
          {"bytes", s.bytes}};
}

inline Json type_json(const std::string& name, const Type& type) {
  Json shape = Json::array();
  if (type.is_tensor() && type.shape) {
    for (const Dim& d : *type.shape) {
      if (d.known()) {
        shape.push_back(d.value());
      } else {
        shape.push_back(d.text());
      }
    }
  }
  return {{"name", name},
          {"type", type.text()},
          {"dtype", std::string(dtype_name(type.dtype))},
          {"shape", shape}};
}

}  // namespace treadle::tool
