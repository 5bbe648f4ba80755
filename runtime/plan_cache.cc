// Which plans are kept for the next run of their shapes.
#include <algorithm>
#include <unordered_set>

#include "runtime/plan.h"

namespace treadle {

namespace {
bool same_type(const Type& a, const Type& b) {
  if (a.kind != b.kind || a.dtype != b.dtype || a.shape.has_value() != b.shape.has_value())
    return false;
  return !a.shape || *a.shape == *b.shape;
}
}  // namespace

std::shared_ptr<const Plan> PlanCache::find(const PlanRequest& request) {
  const std::lock_guard lock(mutex_);
  const auto it = std::find_if(entries_.begin(), entries_.end(), [&](const Entry& e) {
    return e.graph == request.graph.get() && e.threads == request.threads &&
           std::equal(e.types.begin(), e.types.end(), request.inputs.begin(), request.inputs.end(),
                      [](const Type& t, const Known& k) { return same_type(t, k.type); });
  });
  if (it == entries_.end()) return nullptr;
  entries_.splice(entries_.begin(), entries_, it);
  return it->plan;
}

std::shared_ptr<const Plan> PlanCache::get(const PlanRequest& request) {
  if (auto plan = find(request)) return plan;
  // Not under the lock: planning takes long, and other sessions go on meanwhile.
  Entry entry{request.graph.get(), request.threads, {}, make_plan(request)};
  for (const Known& k : request.inputs) entry.types.push_back(k.type);
  if (auto plan = find(request)) return plan;  // another session was quicker
  const std::lock_guard lock(mutex_);
  entries_.push_front(std::move(entry));
  evict();
  return entries_.front().plan;
}

void PlanCache::evict() {
  std::unordered_set<const Graph*> graphs;
  std::unordered_set<const Plan*> last_used;  // of each graph
  std::unordered_set<const Buffer*> counted;
  const auto bytes_of = [&](const Plan& plan) {
    size_t bytes = 0;
    for (const auto& buffer : plan.held) {
      if (counted.insert(buffer.get()).second) bytes += buffer->size();
    }
    return bytes;
  };
  for (const Entry& e : entries_) {
    if (!graphs.insert(e.graph).second) continue;
    last_used.insert(e.plan.get());
    bytes_of(*e.plan);  // which the others may share
  }
  size_t bytes = 0, count = 0;
  for (auto it = entries_.begin(); it != entries_.end();) {
    bytes += bytes_of(*it->plan);
    const bool fits = bytes <= bytes_ || last_used.contains(it->plan.get());
    const bool kept = count == 0 || (count < capacity_ && fits);
    count += kept;
    it = kept ? std::next(it) : entries_.erase(it);
  }
}

void PlanCache::clear() {
  const std::lock_guard lock(mutex_);
  entries_.clear();
}

}  // namespace treadle
