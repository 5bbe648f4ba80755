// Parses ONNX messages without passing large tensors through protobuf strings: their bytes stay
// where they are, and only offset and length are noted.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <unordered_map>

#include "importer/onnx/bytes.h"
#include "importer/onnx/proto.h"

namespace treadle::onnx {

struct Span {
  int64_t offset = 0;
  int64_t length = 0;
};

// The spans of the raw_data that was left in the file. In its place the tensor's raw_data holds a
// mark. Protobuf lets a field come twice (the last one counts), so a span is believed only while
// its mark stands.
class Spans {
 public:
  std::string add(Span span);  // the mark
  std::optional<Span> find(const std::string& raw_data) const;

 private:
  std::unordered_map<int64_t, int64_t> lengths_;
};

// raw_data of this size and above stays in the file.
inline constexpr int64_t kSpanBytes = 4096;

// Fills `message` from all of `bytes`. kInvalidModel saying at which byte the data is malformed.
void parse(const Bytes& bytes, pb::ModelProto& message, Spans& spans);
void parse(const Bytes& bytes, pb::TensorProto& message, Spans& spans);
// The same without spans, for the other messages that are stored in files of their own.
void parse_whole(const Bytes& bytes, google::protobuf::MessageLite& message);

}  // namespace treadle::onnx
