// Records as tensorflow/core/lib/io/record_writer.h tells: length (u64), masked CRC of it, bytes,
// masked CRC of them, all little-endian. The bytes are messages of event.proto, summary.proto and
// graph.proto; the numbers beside the writers are their fields.
#include "training/run/tensorboard.h"

#include <bit>
#include <chrono>
#include <cmath>
#include <limits>
#include <span>

#include "graph/ops/op.h"
#include "training/crc32c.h"

namespace treadle {
namespace {

uint32_t masked_crc(std::string_view bytes) {
  const uint32_t crc = crc32c(std::as_bytes(std::span(bytes)));
  return std::rotr(crc, 15) + 0xa282ead8u;
}

template <class T>
std::string little(T value) {
  std::string out;
  for (size_t i = 0; i < sizeof(T); ++i) out += static_cast<char>(value >> (8 * i));
  return out;
}

// ---- Protobuf's wire format

std::string varint(uint64_t value) {
  std::string out;
  for (; value >= 0x80; value >>= 7) out += static_cast<char>(value | 0x80);
  return out + static_cast<char>(value);
}
std::string key(uint32_t field, uint32_t wire_type) { return varint(field << 3 | wire_type); }
std::string integer(uint32_t field, int64_t value) {
  return key(field, 0) + varint(static_cast<uint64_t>(value));
}
std::string number(uint32_t field, double value) {
  return key(field, 1) + little(std::bit_cast<uint64_t>(value));
}
std::string small_number(uint32_t field, float value) {
  return key(field, 5) + little(std::bit_cast<uint32_t>(value));
}
std::string bytes(uint32_t field, std::string_view value) {
  return key(field, 2) + varint(value.size()) + std::string(value);
}
std::string numbers(uint32_t field, const std::vector<double>& values) {
  std::string packed;
  for (const double v : values) packed += little(std::bit_cast<uint64_t>(v));
  return bytes(field, packed);
}

// ---- Messages

double now() {
  return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
}

struct Statistics {
  double least = std::numeric_limits<double>::infinity(), most = -least;
  double count = 0, sum = 0, squares = 0;
};

Statistics statistics_of(const std::vector<double>& values) {
  Statistics s;
  for (const double v : values) {
    if (!std::isfinite(v)) continue;
    s.least = std::min(s.least, v);
    s.most = std::max(s.most, v);
    s.count += 1;
    s.sum += v;
    s.squares += v * v;
  }
  return s;
}

std::string histogram_message(const std::vector<double>& values) {
  constexpr size_t kBuckets = 64;
  const Statistics s = statistics_of(values);
  if (s.count == 0) return "";
  const size_t buckets = s.least == s.most ? 1 : kBuckets;
  const double width = (s.most - s.least) / static_cast<double>(buckets);
  std::vector<double> limits, counts(buckets, 0.0);
  for (size_t i = 1; i < buckets; ++i) limits.push_back(s.least + width * static_cast<double>(i));
  limits.push_back(s.most);
  for (const double v : values) {
    if (!std::isfinite(v)) continue;
    const double at = width == 0 ? 0 : (v - s.least) / width;
    counts[std::min(static_cast<size_t>(at), buckets - 1)] += 1;
  }
  return number(1, s.least) + number(2, s.most) + number(3, s.count) + number(4, s.sum) +
         number(5, s.squares) + numbers(6, limits) + numbers(7, counts);
}

// TensorBoard takes "/" for a level and ":" for an output's number.
std::string node_name(const std::string& name) {
  std::string out = name.empty() ? "_" : name;
  for (char& c : out) {
    if (c == ':' || c == '^' || c == ' ') c = '_';
  }
  return out;
}

std::string node_message(const Graph& graph, const Node& node) {
  const std::string kind = std::string(node.op->kind);
  std::string message = bytes(1, node_name(node.name)) + bytes(2, kind);
  for (const ValueId input : node.inputs) {
    if (!input.valid()) continue;
    const ValueDef& value = graph.value(input);
    if (value.is_constant()) continue;
    const Node* producer = graph.producer(input);
    message += bytes(3, node_name(producer == nullptr ? value.name : producer->name));
  }
  return message;
}

}  // namespace

EventWriter::EventWriter(const std::filesystem::path& folder) {
  const auto ticks = std::chrono::system_clock::now().time_since_epoch();
  const auto micros = std::chrono::duration_cast<std::chrono::microseconds>(ticks).count();
  path_ =
      folder / cat("events.out.tfevents.", micros / 1'000'000, ".", micros % 1'000'000, ".treadle");
  file_.open(path_, std::ios::binary);
  record(number(1, now()) + bytes(3, "brain.Event:2"));
}

void EventWriter::record(std::string_view event) {
  const std::string length = little(uint64_t{event.size()});
  file_ << length << little(masked_crc(length)) << event << little(masked_crc(event));
  TREADLE_CHECK(file_.good(), kIo, "cannot write '", path_.string(), "'");
}

void EventWriter::summary(int64_t step, const std::string& value) {
  record(number(1, now()) + integer(2, step) + bytes(5, bytes(1, value)));
}

void EventWriter::scalar(int64_t step, std::string_view tag, double value) {
  summary(step, bytes(1, tag) + small_number(2, static_cast<float>(value)));
}

void EventWriter::histogram(int64_t step, std::string_view tag, const Tensor& values) {
  const std::string message = histogram_message(values.to_doubles());
  if (!message.empty()) summary(step, bytes(1, tag) + bytes(5, message));
}

void EventWriter::graph(const Graph& graph) {
  std::string message;
  for (const ValueId input : graph.inputs())
    message += bytes(1, bytes(1, node_name(graph.value(input).name)) + bytes(2, "Placeholder"));
  for (const NodeId id : graph.topological_order())
    message += bytes(1, node_message(graph, graph.node(id)));
  record(number(1, now()) + bytes(4, message + bytes(4, integer(1, 22))));
  flush();
}

void EventWriter::flush() {
  file_.flush();
  TREADLE_CHECK(file_.good(), kIo, "cannot write '", path_.string(), "'");
}

}  // namespace treadle
