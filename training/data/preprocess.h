// What is done to the numbers of an input before the model sees them; it travels with the model.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "training/data/source.h"

namespace treadle {

// y = (x - mean) / deviation, x in 0..1 where the input is a picture (its bytes / 255). A number
// each channel (pictures, sound) or each element (other floats); empty: the numbers stay.
struct Preprocess {
  std::vector<double> mean, deviation;
  double scale = 1;  // of a picture's bytes, before; what a source gives has it already
  bool empty() const { return mean.empty(); }
};

// Means and deviations of the first input over (at most `samples` of) the source; a deviation of 0
// is taken for 1. Empty for tokens. `skip_broken`: without what cannot be read, else an error.
Preprocess measure(const Source& source, bool skip_broken = false, int64_t samples = 10'000);

// In place, a sample's first input.
void apply(const Preprocess& preprocess, Tensor& input);

// The model's metadata `treadle.preprocess`: "scale=… mean=a,b,c std=a,b,c", by whose words
// `treadle run` takes pictures, and `treadle.classes`, a name a line.
void write_metadata(const Preprocess& preprocess, const Source& source,
                    std::map<std::string, std::string>& metadata);
// The lines of `treadle.classes`; empty where there is none.
std::vector<std::string> class_names(const std::map<std::string, std::string>& metadata);
// Empty where there is none; kInvalidModel where it is broken.
Preprocess read_metadata(const std::map<std::string, std::string>& metadata);

}  // namespace treadle
