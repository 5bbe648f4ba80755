// NonMaxSuppression: the boxes of highest score, of each group that overlaps one.
#include <algorithm>

#include "graph/ops/families.h"
#include "graph/ops/op.h"
#include "graph/ops/scalar.h"

namespace treadle {
namespace {

void check_boxes(const Shape& boxes, const Shape& scores) {
  const auto agree = [](const Dim& a, const Dim& b) { return !a.known() || !b.known() || a == b; };
  TREADLE_CHECK(boxes.size() == 3 && scores.size() == 3 && agree(boxes[2], 4) &&
                    agree(boxes[0], scores[0]) && agree(boxes[1], scores[2]),
                kInvalidModel, "boxes of shape ", shape_text(boxes), " and scores of shape ",
                shape_text(scores), ", expected [batch, boxes, 4] and [batch, classes, boxes]");
}

void infer_nms(InferContext& c) {
  c.set_shape(0, {Dim::unknown(), 3});
  check_boxes(c.shape(0), c.shape(1));
}

struct Box {
  float left, right, top, bottom;
  float area() const { return (right - left) * (bottom - top); }
};

Box box_at(const float* b, bool centred) {
  if (centred) return {b[0] - b[2] / 2, b[0] + b[2] / 2, b[1] - b[3] / 2, b[1] + b[3] / 2};
  return {std::min(b[1], b[3]), std::max(b[1], b[3]), std::min(b[0], b[2]), std::max(b[0], b[2])};
}

bool overlap(const Box& a, const Box& b, float threshold) {
  const float width = std::min(a.right, b.right) - std::max(a.left, b.left);
  const float height = std::min(a.bottom, b.bottom) - std::max(a.top, b.top);
  if (!(width > 0 && height > 0)) return false;
  const float both = width * height;
  const float either = a.area() + b.area() - both;
  if (!(a.area() > 0 && b.area() > 0 && either > 0)) return false;
  return both / either > threshold;
}

struct Limits {
  int64_t count;       // boxes chosen for each batch and class
  float overlap;       // intersection over union
  const float* score;  // null: any
};

// Indices of the boxes chosen for one class, best first.
std::vector<int64_t> choose(const EvalContext& c, const std::vector<Box>& boxes,
                            const float* scores, const Limits& limits) {
  std::vector<int64_t> order;
  for (size_t i = 0; i < boxes.size(); ++i) {
    const bool good = limits.score != nullptr ? scores[i] > *limits.score : scores[i] == scores[i];
    if (good) order.push_back(static_cast<int64_t>(i));
  }
  std::stable_sort(order.begin(), order.end(),
                   [&](int64_t a, int64_t b) { return scores[a] > scores[b]; });
  std::vector<int64_t> chosen;
  for (int64_t i : order) {
    if (static_cast<int64_t>(chosen.size()) >= limits.count) break;
    c.poll();
    const Box& box = boxes[static_cast<size_t>(i)];
    const bool hidden = std::any_of(chosen.begin(), chosen.end(), [&](int64_t k) {
      return overlap(box, boxes[static_cast<size_t>(k)], limits.overlap);
    });
    if (!hidden) chosen.push_back(i);
  }
  return chosen;
}

void eval_nms(EvalContext& c) {
  const Tensor& boxes = c.input(0);
  const Tensor& scores = c.input(1);
  check_boxes(symbolic(boxes.dims()), symbolic(scores.dims()));
  const auto score = c.has(4) ? static_cast<float>(scalar_double(c, 4)) : 0;
  const Limits limits{c.has(2) ? scalar_int(c, 2) : 0,
                      c.has(3) ? static_cast<float>(scalar_double(c, 3)) : 0,
                      c.has(4) ? &score : nullptr};
  const bool centred = c.attributes().i("center_point_box", 0) != 0;
  std::vector<int64_t> found;
  const int64_t batch = scores.count() == 0 ? 0 : boxes.dim(0);
  for (int64_t n = 0; n < batch; ++n) {
    std::vector<Box> all;
    for (int64_t i = 0; i < boxes.dim(1); ++i)
      all.push_back(box_at(boxes.data<float>().data() + (n * boxes.dim(1) + i) * 4, centred));
    for (int64_t k = 0; k < scores.dim(1); ++k) {
      const float* of_class = scores.data<float>().data() + (n * scores.dim(1) + k) * scores.dim(2);
      for (int64_t i : choose(c, all, of_class, limits)) found.insert(found.end(), {n, k, i});
    }
  }
  Tensor& y = c.output(0, DType::kInt64, {static_cast<int64_t>(found.size()) / 3, 3});
  std::copy(found.begin(), found.end(), y.data<int64_t>().begin());
}

constexpr OpDef kRows[] = {
    {.kind = "NonMaxSuppression",
     .inputs = "boxes:float scores:float max_output_boxes_per_class?:int64 iou_threshold?:float "
               "score_threshold?:float",
     .outputs = "selected_indices:int64",
     .attributes = "center_point_box:i=0",
     .infer = infer_nms,
     .eval = eval_nms,
     .traits = kDataDependent},
};

}  // namespace

std::span<const OpDef> non_max_suppression_ops() { return kRows; }

}  // namespace treadle
