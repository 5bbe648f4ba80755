// Pictures as model inputs: decoded (EXIF orientation applied), resized as Pillow does, normalized.
#pragma once

#include <filesystem>
#include <vector>

#include "graph/base/tensor.h"

namespace treadle::tool {

struct Picture {
  int64_t width = 0, height = 0;
  std::vector<uint8_t> rgb;  // height × width × 3
};

// JPEG or PNG by content. kInvalidArgument when it is neither or broken; kLimit above 64 million
// pixels.
Picture read_picture(const std::filesystem::path& path);

struct PictureOptions {
  std::vector<double> mean{0, 0, 0};
  std::vector<double> std{1, 1, 1};
  double scale = 1.0 / 255;
  bool bgr = false;
  bool stretch = false;  // else: short side to fit, then centre crop
  bool channels_last = false;
};

// Bilinear with antialiasing (Pillow's Image.BILINEAR: a triangle filter widened when shrinking).
Picture resize(const Picture& picture, int64_t width, int64_t height);
// y = (x·scale − mean)/std. A float tensor [1, channels, height, width] or [1, height, width,
// channels]; 1 channel is luminance (ITU-R 601).
Tensor picture_tensor(const Picture& picture, int64_t channels, int64_t height, int64_t width,
                      const PictureOptions& options);

}  // namespace treadle::tool
