// THE table of a job's fields.
#include "tools/treadle/job.h"

namespace treadle::tool {

std::vector<JobField> job_fields(Job& j) {
  DataOptions& d = j.data_options;
  LoaderOptions& l = j.fit.loader;
  Augmentation& a = l.augmentation;
  return {
      {"model", "the ONNX file to start from; without it [new] tells a network", &j.model},
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
      {"data.format", "auto, or images, masks, text, idx, cifar, csv, npz, wav, hdf5, lmdb",
       &d.format},
      {"data.val_split", "the share of validation where the data have no parts of their own",
       &d.val_split},
      {"data.split_tail", "validation is the end of the data, not drawn", &d.split_tail},
      {"data.channels", "of pictures: 1 or 3", &d.channels},
      {"data.height", "pictures are resized to it; 0: the model's, or as the first picture",
       &d.height},
      {"data.width", "likewise", &d.width},
      {"data.target", "the array of an npz (target), the column of a csv (the last)", &d.target},
      {"data.regression", "the column of a csv is a number, not a class", &d.regression},
      {"data.window", "of text: tokens a sample", &d.window},
      {"data.bytes", "of text: tokens are bytes, not characters", &d.bytes},
      {"data.sound_length", "of wav: samples of each sound", &d.sound_length},
      {"data.normalize", "auto: inputs less their mean, divided by their deviation; none",
       &j.normalize},
      {"data.mean", "these instead of the measured ones, a number each channel", &j.mean},
      {"data.std", "likewise", &j.deviation},

      {"loader.batch_size", "samples a step", &l.batch},
      {"loader.shuffle", "a new order each epoch", &l.shuffle},
      {"loader.drop_last", "leave out the batch that is not full", &l.drop_last},
      {"loader.threads", "that prepare batches; 0: none beside the trainer's", &l.threads},
      {"loader.ahead", "batches at most that wait", &l.ahead},
      {"loader.skip_broken", "leave out samples that cannot be read, and say so", &l.skip_broken},

      {"augment.flip_x", "left and right, one time in two", &a.flip_x},
      {"augment.flip_y", "up and down, one time in two", &a.flip_y},
      {"augment.translate", "by up to this share of the sides", &a.translate},
      {"augment.rotate", "by up to this many degrees", &a.rotate},
      {"augment.scale", "by 1-x to 1+x", &a.scale},
      {"augment.crop", "1-x to 1 of each side, anywhere, fills the picture", &a.crop},
      {"augment.brightness", "times 1-x to 1+x", &a.brightness},
      {"augment.contrast", "likewise", &a.contrast},
      {"augment.saturation", "likewise", &a.saturation},
      {"augment.noise", "plus normal numbers of this deviation", &a.noise},
      {"augment.occlude", "a grey rectangle of up to this share of the sides", &a.occlude},
      {"augment.interpolation", "of what moves: bilinear or nearest", &a.interpolation},
      {"augment.mixup", "samples are mixed by Beta(x, x); wants a loss over shares", &a.mixup},
  };
}

}  // namespace treadle::tool
