// The type of a value: a tensor with dtype and (perhaps unknown) symbolic shape, or a sequence, map
// or optional.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "graph/base/dtype.h"
#include "graph/base/shape.h"

namespace treadle {

struct Type {
  enum class Kind : uint8_t { kTensor, kSequence, kOptional, kMap };
  Kind kind = Kind::kTensor;
  DType dtype =
      DType::kUndefined;       // of a tensor; kUndefined = not known (yet). Of a map: its values
  std::optional<Shape> shape;  // of a tensor; nullopt = rank unknown
  std::shared_ptr<const Type> element;  // of a sequence or optional
  DType key = DType::kUndefined;        // of a map

  static Type tensor(DType dtype, std::optional<Shape> shape = std::nullopt) {
    Type t;
    t.dtype = dtype;
    t.shape = std::move(shape);
    return t;
  }
  static Type of(Kind kind, Type element) {
    Type t;
    t.kind = kind;
    t.element = std::make_shared<Type>(std::move(element));
    return t;
  }
  bool is_tensor() const { return kind == Kind::kTensor; }
  // "float[N, 3]", "int64?" (rank unknown), "sequence(float[?])".
  std::string text() const;
};

}  // namespace treadle
