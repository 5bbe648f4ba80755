// Changes that a sample may meet on its way into a batch: the label stays true.
#pragma once

#include <string>

#include "training/data/random.h"
#include "training/data/source.h"

namespace treadle {

// Amounts of 0 change nothing. All movements of a picture are one map, drawn anew for each sample;
// a mask moves with it, without interpolation. What comes from outside repeats the edge.
struct Augmentation {
  bool flip_x = false;    // left and right, one time in two
  bool flip_y = false;    // up and down, one time in two
  double translate = 0;   // by up to this share of the width and height
  double rotate = 0;      // by up to this many degrees, either way
  double scale = 0;       // by a factor of 1-scale to 1+scale
  double crop = 0;        // a part of 1-crop to 1 of each side, anywhere, fills the picture
  double brightness = 0;  // times 1-b to 1+b
  double contrast = 0;    // the distance from the mean grey, likewise
  double saturation = 0;  // the distance from the pixel's grey, likewise
  double noise = 0;       // plus normal numbers of this deviation (any floats)
  double occlude = 0;     // a grey square of up to this share of the sides
  std::string interpolation = "bilinear";  // or "nearest"
  // In the loader: with λ of Beta(mixup, mixup), λ of this sample and 1-λ of another, targets too,
  // which become shares of the classes.
  double mixup = 0;
  bool moves() const {
    return flip_x || flip_y || translate != 0 || rotate != 0 || scale != 0 || crop != 0;
  }
};

// kInvalidArgument for a number out of its range, or what the source's content does not allow.
void check_augmentation(const Augmentation& options, const Source& source);
// Changes the sample's first input, and its target where that is a mask.
void augment(const Augmentation& options, bool target_is_mask, Random& random, Sample& sample);
// λ of this sample and 1-λ of another, for each float input and the target, which becomes floats.
// `classes` 0: the target is numbers already.
void mix(Sample& sample, const Sample& other, double lambda, int64_t classes);
// A number of the distribution Beta(a, a), a > 0.
double beta(double a, Random& random);

}  // namespace treadle
