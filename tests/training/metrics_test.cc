// Metrics beside literals (scikit-learn's functions of the same names).
#include "training/metrics.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "tests/support/tensors.h"

namespace treadle::test {
namespace {

constexpr float kNaN = std::numeric_limits<float>::quiet_NaN();

// Three classes, seven samples: right are 0, 2, 3, 5.
const Tensor& scores() {
  static const Tensor t =
      f32({7, 3}, {2, 1, 0, 0, 1, 2, 0, 3, 1, 1, 0, 5, 3, 2, 2, 0, 4, 1, 1, 9, 0});
  return t;
}
const Tensor& labels() {
  static const Tensor t = i64({7}, {0, 1, 1, 2, 1, 1, 0});
  return t;
}

TEST(Metrics, CountsClasses) {
  Metrics m({.classes = 3, .top = 2});
  m.add(scores(), labels());
  EXPECT_EQ(m.confusion(), (std::vector<int64_t>{1, 1, 0, 1, 2, 1, 0, 0, 1}));
  EXPECT_DOUBLE_EQ(*m.value("accuracy"), 4.0 / 7);
  EXPECT_DOUBLE_EQ(*m.value("top2"), 7.0 / 7);
  EXPECT_DOUBLE_EQ(m.precision(0), 0.5);
  EXPECT_DOUBLE_EQ(m.precision(1), 2.0 / 3);
  EXPECT_DOUBLE_EQ(m.recall(1), 0.5);
  EXPECT_DOUBLE_EQ(m.f1(1), 4.0 / 7);
  EXPECT_DOUBLE_EQ(m.iou(1), 0.4);
  EXPECT_DOUBLE_EQ(*m.value("precision"), (0.5 + 2.0 / 3 + 0.5) / 3);
  EXPECT_DOUBLE_EQ(*m.value("recall"), (0.5 + 0.5 + 1) / 3);
  EXPECT_DOUBLE_EQ(*m.value("iou"), (1.0 / 3 + 0.4 + 0.5) / 3);
  EXPECT_FALSE(m.value("auc").has_value());
}

TEST(Metrics, DoNotDependOnTheBatches) {
  Metrics whole({.classes = 3}), parts({.classes = 3});
  whole.add(scores(), labels());
  for (int64_t i = 0; i < 7; ++i) {
    const auto row = scores().data<float>().subspan(static_cast<size_t>(3 * i), 3);
    parts.add(f32({1, 3}, {row.begin(), row.end()}),
              i64({1}, {labels().data<int64_t>()[static_cast<size_t>(i)]}));
  }
  EXPECT_EQ(whole.values(), parts.values());
}

TEST(Metrics, CountPixels) {
  // One picture of 2 × 2, two classes: predictions 0 1 / 1 0, targets 0 1 / 0 255 (left out).
  Metrics m({.classes = 2, .ignore_index = 255});
  m.add(f32({1, 2, 2, 2}, {2, 0, 0, 2, 1, 1, 1, 1}), i64({1, 2, 2}, {0, 1, 0, 255}));
  EXPECT_EQ(m.confusion(), (std::vector<int64_t>{1, 1, 0, 1}));
  EXPECT_EQ(m.samples(), 3);
  EXPECT_DOUBLE_EQ(m.iou(1), 0.5);
}

TEST(Metrics, AreaUnderTheCurve) {
  Metrics m({.classes = 2});
  m.add(f32({4}, {0.1f, 0.4f, 0.35f, 0.8f}), i64({4}, {0, 0, 1, 1}));
  EXPECT_DOUBLE_EQ(*m.value("auc"), 0.75);
  EXPECT_DOUBLE_EQ(*m.value("accuracy"), 0.5);  // all above 0
  Metrics ties({.classes = 2});
  ties.add(f32({3, 2}, {0, 1, 0, 1, 0, 0}), i64({3}, {0, 1, 0}));
  EXPECT_DOUBLE_EQ(*ties.value("auc"), 0.75);
  Metrics single({.classes = 2});
  single.add(f32({1}, {1}), i64({1}, {1}));
  EXPECT_TRUE(std::isnan(*single.value("auc")));
}

TEST(Metrics, ANaNIsNoPrediction) {
  Metrics m({.classes = 2, .top = 1});
  m.add(f32({2, 2}, {kNaN, 0, 1, 0}), i64({2}, {1, 0}));
  EXPECT_DOUBLE_EQ(*m.value("accuracy"), 0.5);
  EXPECT_DOUBLE_EQ(m.recall(1), 0);
}

TEST(Metrics, MeasureNumbers) {
  Metrics m({});
  m.add(f32({2, 1}, {2.5f, 0}), f32({2, 1}, {3, -0.5f}));
  m.add(f32({2, 1}, {2, 8}), f32({2, 1}, {2, 7}));
  EXPECT_DOUBLE_EQ(*m.value("mae"), 0.5);
  EXPECT_NEAR(*m.value("rmse"), 0.6123724357, 1e-9);
  EXPECT_NEAR(*m.value("r2"), 0.9486081370, 1e-9);
  Metrics equal({});
  equal.add(f32({2}, {1, 2}), f32({2}, {1, 1}));
  EXPECT_TRUE(std::isnan(*equal.value("r2")));
}

TEST(Metrics, RefuseWhatDoesNotFit) {
  Metrics m({.classes = 3});
  EXPECT_THROW(m.add(f32({2, 3}, {0, 0, 0, 0, 0, 0}), i64({2}, {0, 3})), Error);
  EXPECT_THROW(m.add(f32({2, 2}, {0, 0, 0, 0}), i64({2}, {0, 1})), Error);
  EXPECT_THROW(m.add(f32({1, 3}, {0, 0, 0}), i64({2}, {0, 1})), Error);
  EXPECT_THROW(Metrics({}).add(f32({2}, {1, 2}), f32({1}, {1})), Error);
}

}  // namespace
}  // namespace treadle::test
