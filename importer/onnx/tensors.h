// TensorProto and its relatives to Tensor: raw, typed, external and sparse storage.
#pragma once

#include <string>

#include "importer/onnx/external.h"
#include "importer/onnx/proto.h"
#include "importer/onnx/wire.h"

namespace treadle::onnx {

class TensorReader {
 public:
  // `bytes` and `spans` are what the message was parsed from; `max_bytes` bounds all tensors
  // together.
  TensorReader(const Bytes& bytes, const Spans& spans, ExternalFiles& external, int64_t max_bytes)
      : bytes_(bytes), spans_(spans), external_(external), left_(max_bytes), max_(max_bytes) {}

  // kInvalidModel, kUnsupported, kIo or kLimit; the context names the tensor.
  Tensor read(const pb::TensorProto& proto);
  Tensor read(const pb::SparseTensorProto& proto);

 private:
  Tensor read_any(const pb::TensorProto& proto);
  Tensor read_external(const pb::TensorProto& proto, DType dtype, Dims dims);
  Tensor read_raw(const pb::TensorProto& proto, DType dtype, Dims dims);
  void charge(DType dtype, const Dims& dims);
  const Bytes& bytes_;
  const Spans& spans_;
  ExternalFiles& external_;
  int64_t left_;
  int64_t max_;
};

// TensorProto.DataType to DType; kInvalidModel for a number that is none, kUnsupported for one that
// this build does not know.
DType dtype_of_proto(int32_t data_type);

}  // namespace treadle::onnx
