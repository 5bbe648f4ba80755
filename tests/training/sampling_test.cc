// Gradients of what resamples, and of Fourier transforms.
#include <gtest/gtest.h>

#include "graph/text.h"
#include "tests/support/gradcheck.h"
#include "tests/support/tensors.h"

namespace treadle::test {
namespace {

const Gradcheck kTwice{.order = 2};

void check(const std::string& signature, const std::string& constants, const std::string& node,
           const Gradcheck& options = kTwice) {
  expect_gradients("f (" + signature + ") => (y) <" + constants + "> { y = " + node + " }",
                   options);
}

TEST(ResizeGradient, ModesTransformsAndAxes) {
  const std::string up = "float[4] s = {1, 1, 2, 1.6}";
  const std::string down = "float[4] s = {1, 1, 0.6, 0.5}";
  for (const char* mode : {"nearest", "linear", "cubic"}) {
    for (const char* transform : {"half_pixel", "half_pixel_symmetric", "pytorch_half_pixel",
                                  "align_corners", "asymmetric"}) {
      for (const std::string& scales : {up, down}) {
        check("double[1, 2, 4, 5] x", scales,
              cat("Resize <mode = \"", mode, "\", coordinate_transformation_mode = \"", transform,
                  "\"> (x, \"\", s)"),
              {});
      }
    }
  }
  check("double[1, 1, 6, 7] x", down, "Resize <mode = \"linear\", antialias = 1> (x, \"\", s)");
  check("double[1, 1, 6, 7] x", down,
        "Resize <mode = \"cubic\", exclude_outside = 1> (x, \"\", s)");
  check("double[2, 4, 3] x", "int64[2] z = {3, 6}",
        "Resize <mode = \"linear\", axes = [2, 0]> (x, \"\", \"\", z)");
  check("double[1, 1, 4, 4] x", "float[4] r = {-0.2, 0.1, 0.9, 1.3}, int64[2] z = {3, 5}",
        "Resize <mode = \"linear\", axes = [2, 3], coordinate_transformation_mode = "
        "\"tf_crop_and_resize\", extrapolation_value = 7> (x, r, \"\", z)");
}

TEST(SampleGradient, OfTheInputAndTheGrid) {
  for (const char* mode : {"linear", "nearest", "cubic"}) {
    for (const char* padding : {"zeros", "border", "reflection"}) {
      for (int align : {0, 1}) {
        check("double[2, 2, 3, 4] x, double[2, 2, 3, 2] g", "float k = {0}",
              cat("GridSample <mode = \"", mode, "\", padding_mode = \"", padding,
                  "\", align_corners = ", align, "> (x, g)"),
              {});
      }
    }
  }
  check("double[1, 2, 2, 3, 2] x, double[1, 1, 2, 2, 3] g", "float k = {0}", "GridSample (x, g)");
  for (int align : {0, 1}) {
    check("double[2, 2, 3] t", "int64[4] z = {2, 3, 4, 5}",
          cat("AffineGrid <align_corners = ", align, "> (t, z)"));
  }
  check("double[1, 3, 4] t", "int64[5] z = {1, 2, 2, 3, 2}", "AffineGrid (t, z)");
}

TEST(SampleGradient, DeformableConvolutions) {
  for (const char* batch : {"2", "N"}) {
    const Graph g = parse(cat("f (double[", batch, ", 2, 4, 4] x, double[2, 1, 2, 2] w, double[",
                              batch, ", 16, 3, 3] o, double[2] b, double[", batch,
                              ", 8, 3, 3] m) => (y) { y = DeformConv <group = 2, offset_group = 2> "
                              "(x, w, o, b, m) }"));
    std::vector<Value> inputs;
    for (const Dims& dims :
         {Dims{2, 2, 4, 4}, Dims{2, 1, 2, 2}, Dims{2, 16, 3, 3}, Dims{2}, Dims{2, 8, 3, 3}}) {
      inputs.emplace_back(random_tensor(DType::kDouble, dims, 5 + inputs.size()));
    }
    EXPECT_EQ(gradcheck(g, inputs), "");
  }
}

TEST(RoiGradient, OfTheInputAndTheBoxes) {
  check("double[2, 2, 5, 6] x, double[2, 4] r", "int64[2] b = {1, 0}",
        "RoiAlign <output_height = 2, output_width = 2, sampling_ratio = 2, spatial_scale = 2.0> "
        "(x, r, b)",
        {});
  expect_gradients(
      "f (double[2, 2, 5, 6] x) => (y) <double[2, 5] r = {1, 0, 0, 3, 4, 0, 2, 1, 9, 9}> { y = "
      "MaxRoiPool <pooled_shape = [2, 3], spatial_scale = 0.9> (x, r) }");
}

TEST(Col2ImGradient, PadsStridesAndDilations) {
  check("double[1, 8, 4] x", "int64[2] i = {4, 3}, int64[2] b = {2, 2}",
        "Col2Im <strides = [2, 1], pads = [0, 1, 0, 0], dilations = [1, 2]> (x, i, b)");
}

TEST(FourierGradient, OfEveryKindOfTransform) {
  for (const char* signal : {"double[2, 5, 1] x", "double[2, 6, 2] x"}) {
    for (const char* attributes : {"inverse = 0", "inverse = 1"}) {
      check(signal, "int64 n = {7}, int64 a = {1}", cat("DFT <", attributes, "> (x, \"\", a)"));
      check(signal, "int64 n = {7}, int64 a = {1}", cat("DFT <", attributes, "> (x, n, a)"));
      check(signal, "int64 n = {4}, int64 a = {-2}", cat("DFT <", attributes, "> (x, n, a)"));
    }
  }
  for (int length : {4, 5, 6, 9}) {
    const std::string constants = cat("int64 n = {", length, "}, int64 a = {0}");
    check("double[5, 2, 1] x", constants, "DFT <onesided = 1> (x, n, a)");
    check("double[4, 3, 2] x", constants, "DFT <onesided = 1, inverse = 1> (x, n, a)");
  }
  check("double[1, 9, 1] x, double[4] w", "int64 s = {2}", "STFT (x, s, w)");
  check("double[1, 9, 2] x", "int64 s = {3}, int64 n = {5}", "STFT <onesided = 0> (x, s, \"\", n)");
}

}  // namespace
}  // namespace treadle::test
