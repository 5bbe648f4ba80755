#include "importer/onnx/order.h"

#include <algorithm>
#include <numeric>
#include <queue>
#include <string_view>
#include <unordered_map>
#include <unordered_set>

#include "importer/onnx/describe.h"

namespace treadle::onnx {
namespace {

using Names = std::unordered_set<std::string_view>;

void add_bodies(const pb::NodeProto& node, std::vector<const pb::GraphProto*>& bodies) {
  for (const auto& a : node.attribute()) {
    if (a.has_g()) bodies.push_back(&a.g());
    for (const auto& g : a.graphs()) bodies.push_back(&g);
  }
}

// The names that a node reads: its inputs, and what its bodies use without defining it.
Names names_read(const pb::NodeProto& node) {
  Names used(node.input().begin(), node.input().end());
  std::vector<const pb::GraphProto*> bodies;
  add_bodies(node, bodies);
  Names inside;
  Names defined;
  while (!bodies.empty()) {
    const pb::GraphProto& body = *bodies.back();
    bodies.pop_back();
    for (const auto& i : body.input()) defined.insert(i.name());
    for (const auto& i : body.initializer()) defined.insert(i.name());
    for (const auto& o : body.output()) inside.insert(o.name());
    for (const auto& n : body.node()) {
      inside.insert(n.input().begin(), n.input().end());
      defined.insert(n.output().begin(), n.output().end());
      add_bodies(n, bodies);
    }
  }
  for (std::string_view name : inside) {
    if (!defined.contains(name)) used.insert(name);
  }
  used.erase("");
  return used;
}

}  // namespace

std::vector<int> reading_order(const NodeList& nodes) {
  std::unordered_map<std::string_view, int> producer;
  for (int i = 0; i < nodes.size(); ++i) {
    for (const auto& name : nodes[i].output()) producer.emplace(name, i);
  }
  std::vector<std::vector<int>> readers(static_cast<size_t>(nodes.size()));
  std::vector<int> waiting(readers.size(), 0);
  bool sorted = true;
  for (int i = 0; i < nodes.size(); ++i) {
    for (std::string_view name : names_read(nodes[i])) {
      const auto it = producer.find(name);
      if (it == producer.end()) continue;
      readers[static_cast<size_t>(it->second)].push_back(i);
      ++waiting[static_cast<size_t>(i)];
      sorted = sorted && it->second < i;
    }
  }
  std::vector<int> order(readers.size());
  std::iota(order.begin(), order.end(), 0);
  if (sorted) return order;

  order.clear();
  std::priority_queue<int, std::vector<int>, std::greater<>> ready;
  for (int i = 0; i < nodes.size(); ++i) {
    if (waiting[static_cast<size_t>(i)] == 0) ready.push(i);
  }
  while (!ready.empty()) {
    order.push_back(ready.top());
    ready.pop();
    for (int reader : readers[static_cast<size_t>(order.back())]) {
      if (--waiting[static_cast<size_t>(reader)] == 0) ready.push(reader);
    }
  }
  const auto stuck = std::ranges::find_if(waiting, [](int n) { return n > 0; });
  if (stuck == waiting.end()) return order;
  const auto at = static_cast<int>(stuck - waiting.begin());
  fail(Code::kInvalidModel, describe(nodes[at], at), " is part of, or behind, a cycle");
}

}  // namespace treadle::onnx
