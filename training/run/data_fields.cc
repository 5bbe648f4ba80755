#include "training/run/data_fields.h"

#include "training/setting_text.h"

namespace treadle {

std::vector<DataField> data_fields(DataSetup& setup, LoaderOptions& loader) {
  DataOptions& d = setup.options;
  Augmentation& a = loader.augmentation;
  return {
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
       &setup.normalize},
      {"data.mean", "these instead of the measured ones, a number each channel", &setup.mean},
      {"data.std", "likewise", &setup.deviation},

      {"loader.batch_sizes", "samples a step in each epoch, the last in those after: [32, 32, 64]",
       &loader.batches},
      {"loader.ahead", "batches at most that wait", &loader.ahead},
      {"loader.skip_broken", "leave out samples that cannot be read, and say so",
       &loader.skip_broken},

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

void set_data_field(DataSetup& setup, LoaderOptions& loader, const std::string& key,
                    const std::string& value) {
  std::vector<std::string> known;
  for (const DataField& field : data_fields(setup, loader)) {
    if (key == field.key) {
      return std::visit(
          [&](auto* at) {
            read(setting_text::Given{key, value}, *at, setting_text::Bounds{});
          },
          field.at);
    }
    known.emplace_back(field.key);
  }
  fail(Code::kInvalidArgument, "there is no field '", key, "' of data", suggestion(key, known));
}

}  // namespace treadle
