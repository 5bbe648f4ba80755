#include "importer/onnx/wire.h"

#include <google/protobuf/io/coded_stream.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <vector>

namespace treadle::onnx {
namespace {

using google::protobuf::MessageLite;

struct Kind;
// A field through which a tensor is reached. For raw_data itself `child` is null.
struct Field {
  uint64_t number;
  const Kind* kind;
  MessageLite* (*child)(MessageLite&);
};
struct Kind {
  std::span<const Field> fields;
  const Field* find(uint64_t number) const {
    const auto it = std::ranges::find(fields, number, &Field::number);
    return it == fields.end() ? nullptr : &*it;
  }
};

template <class Parent, class Child>
Parent parent_of(Child* (Parent::*)());  // only its type is used
template <auto Member>
MessageLite* child_of(MessageLite& parent) {
  return (static_cast<decltype(parent_of(Member))&>(parent).*Member)();
}

extern const Kind kGraph;
constexpr Field kTensorFields[] = {{9, nullptr, nullptr}};
constexpr Kind kTensor{kTensorFields};
const Field kSparseFields[] = {{1, &kTensor, child_of<&pb::SparseTensorProto::mutable_values>},
                               {2, &kTensor, child_of<&pb::SparseTensorProto::mutable_indices>}};
const Kind kSparse{kSparseFields};
const Field kAttributeFields[] = {
    {5, &kTensor, child_of<&pb::AttributeProto::mutable_t>},
    {6, &kGraph, child_of<&pb::AttributeProto::mutable_g>},
    {10, &kTensor, child_of<&pb::AttributeProto::add_tensors>},
    {11, &kGraph, child_of<&pb::AttributeProto::add_graphs>},
    {22, &kSparse, child_of<&pb::AttributeProto::mutable_sparse_tensor>},
    {23, &kSparse, child_of<&pb::AttributeProto::add_sparse_tensors>}};
const Kind kAttribute{kAttributeFields};
const Field kNodeFields[] = {{5, &kAttribute, child_of<&pb::NodeProto::add_attribute>}};
const Kind kNode{kNodeFields};
const Field kGraphFields[] = {{1, &kNode, child_of<&pb::GraphProto::add_node>},
                              {5, &kTensor, child_of<&pb::GraphProto::add_initializer>},
                              {15, &kSparse, child_of<&pb::GraphProto::add_sparse_initializer>}};
const Kind kGraph{kGraphFields};
const Field kFunctionFields[] = {
    {7, &kNode, child_of<&pb::FunctionProto::add_node>},
    {11, &kAttribute, child_of<&pb::FunctionProto::add_attribute_proto>}};
const Kind kFunction{kFunctionFields};
const Field kTrainingFields[] = {
    {1, &kGraph, child_of<&pb::TrainingInfoProto::mutable_initialization>},
    {2, &kGraph, child_of<&pb::TrainingInfoProto::mutable_algorithm>}};
const Kind kTraining{kTrainingFields};
const Field kModelFields[] = {{7, &kGraph, child_of<&pb::ModelProto::mutable_graph>},
                              {20, &kTraining, child_of<&pb::ModelProto::add_training_info>},
                              {25, &kFunction, child_of<&pb::ModelProto::add_functions>}};
const Kind kModel{kModelFields};

constexpr size_t kMaxDepth = 100;  // protobuf's own limit

// Reads varints through a window of the bytes.
class Cursor {
 public:
  explicit Cursor(const Bytes& bytes) : bytes_(bytes) {}
  int64_t at = 0;

  uint64_t varint(int64_t end) {
    const int64_t begin = at;
    uint64_t value = 0;
    for (unsigned shift = 0; shift < 70; shift += 7) {
      TREADLE_CHECK(at < end, kInvalidModel, "the file is cut off, or not ONNX: a number at byte ",
                    begin, " does not end");
      const uint64_t byte = next();
      if (shift < 64) value |= (byte & 0x7f) << shift;
      if (byte < 0x80) return value;
    }
    fail(Code::kInvalidModel, "not an ONNX file: a malformed number at byte ", begin);
  }

 private:
  uint8_t next() {
    if (at < begin_ || at >= begin_ + length_) {
      begin_ = at;
      length_ = std::min<int64_t>(static_cast<int64_t>(window_.size()), bytes_.size() - at);
      bytes_.read(begin_, std::span(window_).first(static_cast<size_t>(length_)));
    }
    return static_cast<uint8_t>(window_[static_cast<size_t>(at++ - begin_)]);
  }
  const Bytes& bytes_;
  std::array<std::byte, 16384> window_;
  int64_t begin_ = 0;
  int64_t length_ = 0;
};

class Walker {
 public:
  Walker(const Bytes& bytes, Spans& spans) : bytes_(bytes), spans_(spans), cursor_(bytes) {}

  void walk(MessageLite& root, const Kind& kind) {
    stack_.push_back({&root, &kind, 0, bytes_.size()});
    while (!stack_.empty()) {
      if (cursor_.at < stack_.back().end) {
        step();
      } else {
        flush(stack_.back(), cursor_.at);
        stack_.pop_back();
        if (!stack_.empty()) stack_.back().run = cursor_.at;
      }
    }
  }

 private:
  struct Frame {
    MessageLite* message;
    const Kind* kind;
    int64_t run;  // where the bytes begin that protobuf shall parse
    int64_t end;
  };

  void step() {
    const int64_t begin = cursor_.at;
    const int64_t end = stack_.back().end;
    const uint64_t tag = cursor_.varint(end);
    switch (tag & 7) {
      case 0: cursor_.varint(end); return;
      case 1: return skip(begin, 8);
      case 5: return skip(begin, 4);
      case 2: return length_delimited(begin, tag >> 3);
      default: cursor_.at = end;  // a group, or rubbish: protobuf judges the rest of this message
    }
  }

  void skip(int64_t begin, uint64_t length) {
    const int64_t left = stack_.back().end - cursor_.at;
    TREADLE_CHECK(length <= static_cast<uint64_t>(left), kInvalidModel,
                  "the file is cut off, or not ONNX: the field at byte ", begin, " needs ", length,
                  " bytes, ", left, " are left");
    cursor_.at += static_cast<int64_t>(length);
  }

  void length_delimited(int64_t begin, uint64_t number) {
    const uint64_t length = cursor_.varint(stack_.back().end);
    const int64_t body = cursor_.at;
    skip(begin, length);
    const Field* field = stack_.back().kind->find(number);
    if (field == nullptr || static_cast<int64_t>(length) < kSpanBytes) return;
    flush(stack_.back(), begin);
    if (field->child == nullptr) {
      auto& tensor = static_cast<pb::TensorProto&>(*stack_.back().message);
      tensor.set_raw_data(spans_.add({body, static_cast<int64_t>(length)}));
      stack_.back().run = cursor_.at;
      return;
    }
    TREADLE_CHECK(stack_.size() < kMaxDepth, kLimit, "messages nest deeper than ", kMaxDepth,
                  " at byte ", begin);
    const int64_t end = cursor_.at;
    cursor_.at = body;
    stack_.push_back({field->child(*stack_.back().message), field->kind, body, end});
  }

  void flush(Frame& frame, int64_t end) {
    if (frame.run == end) return;
    std::string run(static_cast<size_t>(end - frame.run), '\0');
    bytes_.read(frame.run, std::as_writable_bytes(std::span(run)));
    google::protobuf::io::CodedInputStream in(reinterpret_cast<const uint8_t*>(run.data()),
                                              static_cast<int>(run.size()));
    in.SetRecursionLimit(static_cast<int>(kMaxDepth - stack_.size() + 1));
    const bool good = frame.message->MergePartialFromCodedStream(&in) && in.ConsumedEntireMessage();
    TREADLE_CHECK(good, kInvalidModel, "not an ONNX file, or damaged: malformed data between byte ",
                  frame.run, " and ", end);
  }

  const Bytes& bytes_;
  Spans& spans_;
  Cursor cursor_;
  std::vector<Frame> stack_;
};

void check_size(const Bytes& bytes) {
  TREADLE_CHECK(bytes.size() <= INT32_MAX, kLimit, "the file has ", bytes.size(),
                " bytes; above 2 GiB the weights must be external data");
}

}  // namespace

std::string Spans::add(Span span) {
  lengths_[span.offset] = span.length;
  std::string mark(sizeof span, '\0');
  std::memcpy(mark.data(), &span, sizeof span);
  return mark;
}

std::optional<Span> Spans::find(const std::string& raw_data) const {
  Span span;
  if (raw_data.size() != sizeof span) return std::nullopt;
  std::memcpy(&span, raw_data.data(), sizeof span);
  const auto it = lengths_.find(span.offset);
  if (it == lengths_.end() || it->second != span.length) return std::nullopt;
  return span;
}

void parse(const Bytes& bytes, pb::ModelProto& message, Spans& spans) {
  check_size(bytes);
  Walker(bytes, spans).walk(message, kModel);
}

void parse(const Bytes& bytes, pb::TensorProto& message, Spans& spans) {
  check_size(bytes);
  Walker(bytes, spans).walk(message, kTensor);
}

void parse_whole(const Bytes& bytes, MessageLite& message) {
  check_size(bytes);
  std::string all(static_cast<size_t>(bytes.size()), '\0');
  bytes.read(0, std::as_writable_bytes(std::span(all)));
  TREADLE_CHECK(message.ParsePartialFromString(all), kInvalidModel,
                "the file is not the ONNX message that was expected, or it is damaged");
}

}  // namespace treadle::onnx
