#include "training/run/prepare.h"

#include <algorithm>

#include "training/fine_tuning.h"

namespace treadle {

void take_picture_size(const Graph& model, DataOptions& options) {
  if (model.inputs().empty()) return;
  const Type& type = model.value(model.inputs()[0]).type;
  if (!type.shape || type.shape->size() != 4) return;
  const Shape& shape = *type.shape;
  if (options.height == 0 && shape[2].known()) options.height = shape[2].value();
  if (options.width == 0 && shape[3].known()) options.width = shape[3].value();
  if (shape[1].is(1) || shape[1].is(3)) options.channels = shape[1].value();
}

Preprocess preprocess_of(const DataSetup& setup, const Graph& model, const Source& train,
                         bool skip_broken) {
  if (!setup.mean.empty() || !setup.deviation.empty()) {
    TREADLE_CHECK(setup.mean.size() == setup.deviation.size(), kInvalidArgument, "data.mean has ",
                  setup.mean.size(), " numbers, data.std ", setup.deviation.size());
    TREADLE_CHECK(std::ranges::find(setup.deviation, 0) == setup.deviation.end(), kInvalidArgument,
                  "data.std is 0, which divides");
    return {setup.mean, setup.deviation};
  }
  if (setup.normalize == "none") return {};
  TREADLE_CHECK(setup.normalize == "auto", kInvalidArgument, "data.normalize is '", setup.normalize,
                "', expected auto or none");
  const Preprocess own = read_metadata(model.metadata);  // a model that was trained here goes on so
  return own.empty() ? measure(train, skip_broken) : own;
}

// A model with one output tells two classes apart, by its sign.
void check_classes(const JointOptions& joint, const Graph& model, const Source& train) {
  const auto classes = static_cast<int64_t>(train.classes.size());
  const int64_t outputs = output_classes(model);
  if (outputs < 1 || classes <= std::max<int64_t>(outputs, 2)) return;
  if (train.content == Content::kTokens || !joint.output.empty()) return;
  const bool numbers = std::ranges::all_of(train.classes, [](const std::string& name) {
    return name.find_first_not_of("0123456789.+-eE ") == std::string::npos;
  });
  fail(Code::kInvalidArgument, "data '", train.name, "' have ", classes, " classes, as '",
       train.classes.back(), "', and the model ", outputs, " outputs",
       numbers ? "; if the targets are numbers, not classes, say data.regression=true" : "");
}

void check_mixup(const LoaderOptions& loader, const Trainer& trainer) {
  if (loader.augmentation.mixup == 0) return;
  for (const Trainer::Input& input : trainer.inputs()) {
    if (input.name != trainer.target() || !is_integer(input.type.dtype)) continue;
    fail(Code::kInvalidArgument,
         "augment.mixup makes targets shares of the classes, and the loss '",
         trainer.options().joint.loss.kind,
         "' takes one class a sample: let it be kl or bce_with_logits");
  }
}

}  // namespace treadle
