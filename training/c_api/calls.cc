#include "training/c_api/calls.h"

#include <algorithm>
#include <string_view>

#include "graph/base/suggestion.h"

namespace treadle::c_api {

Call::Call(const treadle_trainer& trainer, CallKind kind)
    : trainer_(trainer),
      within_event_(kind == CallKind::kUses && trainer.told == std::this_thread::get_id()) {
  if (within_event_) return;
  TREADLE_CHECK(!trainer.in_call.exchange(true), kBusy, "the trainer is in another call");
}

Call::~Call() {
  if (!within_event_) trainer_.in_call = false;
}

void check_given(const Trainer& trainer, const char* holder, const char* const* names,
                 const treadle_value* const* values, size_t count) {
  if (count > 0) {
    require(names, "names");
    require(values, "values");
  }
  const auto& inputs = trainer.inputs();
  for (size_t i = 0; i < count; ++i) {
    require(names[i], "names[i]");
    require(values[i], "values[i]");
    const std::string_view name = names[i];
    if (std::ranges::find(inputs, name, &Trainer::Input::name) == inputs.end()) {
      std::vector<std::string> known;
      for (const Trainer::Input& input : inputs) known.push_back(input.name);
      fail(Code::kInvalidArgument, holder, " '", name, "', which is no input",
           suggestion(name, known));
    }
    const bool again = std::find(names, names + i, name) != names + i;
    TREADLE_CHECK(!again, kInvalidArgument, holder, " '", name, "' twice");
  }
}

}  // namespace treadle::c_api
