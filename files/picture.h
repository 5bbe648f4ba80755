// Pictures as model inputs: resized as Pillow does, normalized.
#pragma once

#include <vector>

#include "files/image.h"
#include "graph/base/tensor.h"

namespace treadle {

struct PictureOptions {
  std::vector<double> mean, std;  // one number a channel, in the input's order of channels
  double scale = 1.0 / 255;
  bool bgr = false;
  bool stretch = false;  // else: short side to fit, then centre crop
};
struct PictureSize {
  int64_t channels, height, width;
  bool channels_last;
};

// Bilinear with antialiasing (Pillow's Image.BILINEAR: a triangle filter widened when shrinking).
Image resize(const Image& picture, int64_t width, int64_t height);
// y = (x·scale − mean)/std. A float tensor [channels, height, width] or [height, width, channels];
// 1 channel is luminance (ITU-R 601).
Tensor picture_tensor(const Image& picture, const PictureSize& size, const PictureOptions& options);

}  // namespace treadle
