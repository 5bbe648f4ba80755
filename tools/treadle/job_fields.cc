// THE table of a job's fields.
#include "tools/treadle/job.h"

namespace treadle::tool {

std::vector<JobField> job_fields(Job& j) {
  LoaderOptions& l = j.fit.loader;
  std::vector<JobField> fields = {
      {"model", "the ONNX file to start from; without it [new] tells a network", &j.model},
      {"training_info", "a step is what the file says (TrainingInfoProto): loss, gradients, update",
       &j.training_info},
      {"training_loss", "of such a training: the output that is the loss (its first float scalar)",
       &j.training_loss},
      {"initialization", "of such a training: the file's own is run first", &j.initialization},
      {"out", "the folder of the run", &j.fit.out},
      {"epochs", "how often all samples are seen; or", &j.fit.epochs},
      {"steps", "how many updates are made", &j.fit.steps},
      {"monitor", "what tells which epoch was best: val_loss, val_accuracy, ...", &j.fit.monitor},
      {"stop_after", "epochs without a better monitor that end the run; 0: none do",
       &j.fit.patience},
      {"checkpoint_steps", "a checkpoint also every so many steps; 0: after epochs only",
       &j.fit.checkpoint_steps},
      {"resume", "go on from the newest checkpoint in `out`", &j.fit.resume},
      {"histograms", "of the parameters in the event files, each epoch", &j.fit.histograms},
      {"averaged", "validate and export the average of the parameters (train.average)",
       &j.fit.averaged},

      {"new.kind", "mlp, cnn, lenet, resnet18, mobilenetv2, unet, char-rnn or transformer",
       &j.fresh.kind},
      {"new.hidden", "of mlp: units of each layer; of char-rnn, transformer: the width",
       &j.fresh.hidden},
      {"new.filters", "of cnn, unet: filters of the first layer; 0: the usual", &j.fresh.filters},
      {"new.dropout", "of cnn, mobilenetv2", &j.fresh.dropout},

      {"data.path", "a folder or file", &j.data},
  };
  const std::vector<DataField> of_data = data_fields(j.setup, l);
  const auto add = [&](std::string_view prefix) {
    for (const DataField& field : of_data) {
      if (!std::string_view(field.key).starts_with(prefix)) continue;
      std::visit([&](auto* at) { fields.push_back({field.key, field.help, at}); }, field.at);
    }
  };
  add("data.");
  fields.push_back({"loader.batch_size", "samples a step", &l.batch});
  fields.push_back({"loader.shuffle", "a new order each epoch", &l.shuffle});
  fields.push_back({"loader.drop_last", "leave out the batch that is not full", &l.drop_last});
  fields.push_back(
      {"loader.threads", "that prepare batches; 0: none beside the trainer's", &l.threads});
  add("loader.");
  add("augment.");
  return fields;
}

}  // namespace treadle::tool
