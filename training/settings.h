// Options of a trainer as text: keys and values, for the C API and the command.
#pragma once

#include <string>
#include <vector>

#include "training/trainer.h"

namespace treadle {

struct TrainSetting {
  const char* key;
  std::string help;
  std::string standard;  // its value in these options; "": nothing, or as its help says
};
std::vector<TrainSetting> train_settings(const TrainerOptions& of = {});
// kInvalidArgument: an unknown key (with the close match), or a value that is none of its kind.
// Lists are comma-separated. What `include/treadle/train.h` says of the keys holds.
void set_train_setting(TrainerOptions& options, const std::string& key, const std::string& value);

}  // namespace treadle
