// Initializers: sample moments at 3 sigma, orthogonality, independence of order.
#include "training/initializers.h"

#include <gtest/gtest.h>

#include <cmath>

#include "graph/attributes.h"

namespace treadle {
namespace {

Tensor made(const char* kind, const Dims& dims, std::string_view name = "w", uint64_t seed = 1) {
  InitializerOptions o;
  o.kind = kind;
  return initial_values(o, DType::kDouble, dims, seed, name);
}

// The sample's mean and variance lie within 3 standard errors. `kurtosis`: 3 of a normal
// distribution, 1.8 of a uniform one.
void expect_moments(const Tensor& t, double mean, double variance, double kurtosis) {
  const std::vector<double> x = t.to_doubles();
  const auto n = static_cast<double>(x.size());
  double sum = 0, square = 0;
  for (const double v : x) sum += v, square += (v - mean) * (v - mean);
  EXPECT_NEAR(sum / n, mean, 3 * std::sqrt(variance / n));
  EXPECT_NEAR(square / n, variance, 3 * variance * std::sqrt((kurtosis - 1) / n));
}

const Dims kFilter = {40, 10, 3, 5};  // n_in 150, n_out 600

TEST(Initializers, HaveTheVarianceThatTheirNamesSay) {
  expect_moments(made("xavier", kFilter), 0, 2.0 / 750, 3);
  expect_moments(made("xavier_uniform", kFilter), 0, 2.0 / 750, 1.8);
  expect_moments(made("he", kFilter), 0, 2.0 / 150, 3);
  expect_moments(made("he_uniform", kFilter), 0, 2.0 / 150, 1.8);
  expect_moments(made("he_average", kFilter), 0, 4.0 / 750, 3);
  expect_moments(made("he_out", kFilter), 0, 2.0 / 600, 3);
  expect_moments(made("normal", kFilter), 0, 1e-4, 3);
  expect_moments(made("uniform", kFilter), 0, 0.01 / 12, 1.8);
}

TEST(Initializers, ConstantIsItsValue) {
  InitializerOptions o;
  o.kind = "constant";
  o.value = 0.5;
  EXPECT_EQ(initial_values(o, DType::kDouble, {2}, 1, "w").to_doubles(),
            (std::vector<double>{0.5, 0.5}));
}

TEST(Initializers, MatMulsMatrixHasItsInputsFirst) {
  InitializerOptions o;
  o.kind = "he";
  o.in_first = true;
  expect_moments(initial_values(o, DType::kDouble, {50, 100}, 3, "w"), 0, 2.0 / 50, 3);
}

TEST(Initializers, UniformStaysInItsBounds) {
  for (const double v : made("uniform", kFilter).to_doubles()) {
    EXPECT_GE(v, -0.05);
    EXPECT_LT(v, 0.05);
  }
}

void expect_orthonormal(const Dims& dims) {
  const std::vector<double> x = made("orthogonal", dims).to_doubles();
  const auto rows = static_cast<size_t>(dims[0]);
  const size_t columns = x.size() / rows;
  const bool wide = columns >= rows;
  const size_t vectors = wide ? rows : columns, length = wide ? columns : rows;
  for (size_t a = 0; a < vectors; ++a) {
    for (size_t b = 0; b <= a; ++b) {
      double dot = 0;
      for (size_t i = 0; i < length; ++i) {
        dot += wide ? x[a * columns + i] * x[b * columns + i]
                    : x[i * columns + a] * x[i * columns + b];
      }
      EXPECT_NEAR(dot, a == b, 1e-12);
    }
  }
}

TEST(Initializers, OrthogonalIsOrthonormal) {
  expect_orthonormal({8, 20});
  expect_orthonormal({20, 8});
  expect_orthonormal({12, 3, 2, 2});
}

TEST(Initializers, DependOnSeedAndNameOnly) {
  const Tensor a = made("normal", {30}, "a");
  EXPECT_EQ(a, made("normal", {30}, "a"));
  EXPECT_FALSE(a == made("normal", {30}, "b"));
  EXPECT_FALSE(a == made("normal", {30}, "a", 2));
}

TEST(Initializers, RefuseWhatTheyDoNotKnow) {
  EXPECT_THROW(made("glorot", {3, 3}), Error);
  EXPECT_THROW(made("he", {3}), Error);
}

}  // namespace
}  // namespace treadle
