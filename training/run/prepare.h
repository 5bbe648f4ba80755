// What follows for data from a model, and the other way round, before a fit.
#pragma once

#include "training/run/data_fields.h"
#include "training/trainer.h"

namespace treadle {

// Channels, height and width of the model's first input, where it takes pictures of a known size.
void take_picture_size(const Graph& model, DataOptions& options);
// As told; else those that the model was trained with; else measured over the data.
Preprocess preprocess_of(const DataSetup& setup, const Graph& model, const Source& train,
                         bool skip_broken);
// kInvalidArgument where the data name more classes than the output, which the loss reads, tells.
void check_classes(const JointOptions& joint, const Graph& model, const Source& train);
// kInvalidArgument where mixed targets, which are shares of classes, meet a loss of classes.
void check_mixup(const LoaderOptions& loader, const Trainer& trainer);

}  // namespace treadle
