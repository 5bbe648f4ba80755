// Pictures as model inputs: decoded, turned upright, resized as Pillow does, normalized.
#pragma once

#include <filesystem>
#include <vector>

#include "graph/base/tensor.h"

namespace treadle::tool {

struct Picture {
  int64_t width = 0, height = 0;
  std::vector<uint8_t> rgb;  // height × width × 3
};

// JPEG or PNG by content; the bytes of Pillow's convert("RGB"): alpha is dropped, of 16 bits the
// high 8 are taken, gamma is left alone. EXIF orientation is applied. kInvalidArgument when it is
// neither or broken; kLimit above 64 million pixels.
Picture read_picture(const std::filesystem::path& path);
void check_picture_size(int64_t width, int64_t height);  // kLimit

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
Picture resize(const Picture& picture, int64_t width, int64_t height);
// y = (x·scale − mean)/std. A float tensor [channels, height, width] or [height, width, channels];
// 1 channel is luminance (ITU-R 601).
Tensor picture_tensor(const Picture& picture, const PictureSize& size,
                      const PictureOptions& options);

}  // namespace treadle::tool
