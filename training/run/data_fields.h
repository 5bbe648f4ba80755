// THE table of what is told of data by name: for jobs, and for the C API.
#pragma once

#include <string>
#include <variant>
#include <vector>

#include "training/data/loader.h"

namespace treadle {

struct DataSetup {
  DataOptions options;
  std::string normalize = "auto";       // auto: inputs less their mean, divided by their deviation
  std::vector<double> mean, deviation;  // instead of the measured ones
};

struct DataField {
  const char* key;  // "data.format", "augment.flip_x"
  const char* help;
  std::variant<bool*, int64_t*, double*, std::string*, std::vector<int64_t>*, std::vector<double>*>
      at;
};
std::vector<DataField> data_fields(DataSetup& setup, LoaderOptions& loader);
// Sets one from text; lists are comma-separated, truth is 0 or 1. kInvalidArgument: an unknown key
// (with the close match), or a value that is none of its kind.
void set_data_field(DataSetup& setup, LoaderOptions& loader, const std::string& key,
                    const std::string& value);

}  // namespace treadle
