// What types and texts look like to a caller.
#include <cstdlib>
#include <cstring>
#include <new>

#include "runtime/c_api/handles.h"

namespace treadle::c_api {

// As onnxruntime spells it: "tensor(float16)", "seq(tensor(string))", "map(int64,tensor(float))".
std::string type_text(const Type& type) {
  std::string close;
  std::string text;
  const Type* t = &type;
  for (; t->kind == Type::Kind::kSequence || t->kind == Type::Kind::kOptional;
       t = t->element.get()) {
    text += t->kind == Type::Kind::kSequence ? "seq(" : "optional(";
    close += ')';
    if (t->element == nullptr) return text + close;
  }
  const std::string tensor = cat("tensor(", dtype_name(t->dtype), ")");
  if (t->kind == Type::Kind::kTensor) return text + tensor + close;
  return cat(text, "map(", dtype_name(t->key), ",", tensor, ")", close);
}

void fill_type(const Type& from, const std::string& text, treadle_type* to) {
  require(to, "type");
  treadle_type made = {};
  constexpr treadle_kind kKinds[] = {TREADLE_TENSOR, TREADLE_SEQUENCE, TREADLE_OPTIONAL,
                                     TREADLE_MAP};
  made.kind = kKinds[static_cast<size_t>(from.kind)];
  made.text = text.c_str();
  made.dtype = from.is_tensor() ? static_cast<treadle_dtype>(from.dtype) : TREADLE_UNDEFINED;
  made.rank = -1;
  if (from.is_tensor() && from.shape) {
    TREADLE_CHECK(from.shape->size() <= TREADLE_MAX_RANK, kUnsupported, "rank ",
                  from.shape->size());
    made.rank = static_cast<int32_t>(from.shape->size());
    for (size_t i = 0; i < from.shape->size(); ++i)
      made.dims[i] = (*from.shape)[i].maybe().value_or(-1);
  }
  write_struct(made, sizeof(treadle_type), "treadle_type", to);
}

char* copy_text(const std::string& text) {
  auto* copy = static_cast<char*>(std::malloc(text.size() + 1));
  if (copy == nullptr) throw std::bad_alloc();
  std::memcpy(copy, text.c_str(), text.size() + 1);
  return copy;
}

}  // namespace treadle::c_api
