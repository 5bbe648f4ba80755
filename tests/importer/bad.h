// Broken files: how each is made, its code, and what the message must say.
#pragma once

#include <functional>
#include <ostream>

#include "graph/base/error.h"
#include "tests/importer/models.h"

namespace treadle::test {

namespace fs = std::filesystem;
using Proto = pb::TensorProto;
using Attr = pb::AttributeProto;

struct Bad {
  std::string name;
  Code code;
  std::vector<std::string> says;
  std::function<void(const Folder&)> write;  // makes m.onnx
};
inline void PrintTo(const Bad& bad, std::ostream* out) { *out << bad.name; }

inline Bad bytes(const std::string& name, Code code, std::vector<std::string> says,
                 const std::string& content) {
  return {name, code, std::move(says),
          [content](const Folder& f) { write_file(f / "m.onnx", content); }};
}

inline Bad model(const std::string& name, Code code, std::vector<std::string> says,
                 const std::function<void(pb::ModelProto&)>& spoil,
                 const pb::ModelProto& from = relu_model()) {
  pb::ModelProto m = from;
  spoil(m);
  return bytes(name, code, std::move(says), m.SerializeAsString());
}

// The initializer of x + w -> y: float, of no dimension, without data.
inline Bad weight(const std::string& name, Code code, std::vector<std::string> says,
                  const std::function<void(Proto&)>& spoil) {
  auto add = [&](pb::ModelProto& m) { spoil(add_initializer(m, "w", Proto::FLOAT, {})); };
  return model(name, code, std::move(says), add, add_model());
}

inline Bad node(const std::string& name, Code code, std::vector<std::string> says,
                const std::function<void(pb::NodeProto&)>& spoil) {
  return model(name, code, std::move(says),
               [&](pb::ModelProto& m) { spoil(*m.mutable_graph()->mutable_node(0)); });
}

// w is external data; the file w.data has its 24 bytes.
inline Bad external(const std::string& name, Code code, std::vector<std::string> says,
                    const std::function<void(Proto&, const Folder&)>& spoil) {
  return {name, code, std::move(says), [spoil](const Folder& f) {
            pb::ModelProto m = add_model();
            auto& w = add_initializer(m, "w", Proto::FLOAT, {2, 3});
            write_file(f / "w.data", std::string(24, '\0'));
            spoil(w, f);
            write_file(f / "m.onnx", m.SerializeAsString());
          }};
}
// The same by entries of external_data alone.
inline Bad entries(const std::string& name, Code code, std::vector<std::string> says,
                   std::vector<std::pair<std::string, std::string>> list) {
  return external(name, code, std::move(says), [list](Proto& t, const Folder&) {
    for (const auto& [key, value] : list) add_external(t, key, value);
  });
}

inline void set_dims(Proto& t, std::initializer_list<int64_t> list) {
  t.clear_dims();
  for (int64_t d : list) t.add_dims(d);
}

std::vector<Bad> bad_tensors();
std::vector<Bad> bad_externals();
std::vector<Bad> bad_functions();

}  // namespace treadle::test
