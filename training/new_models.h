// Untrained networks, as the inference form of well-known ones: a trainer puts BatchNormalization
// and Dropout into training form itself.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "graph/graph.h"

namespace treadle {

struct NewModelOptions {
  // "mlp":         Flatten, a Relu layer for each of `hidden`, scores [N, classes]
  // "cnn":         two blocks of Conv, BatchNormalization, Relu; pooled, dropout, scores
  // "lenet":       LeCun's network as Caffe has it (20 and 50 filters of 5×5, 500 units), padded
  // "resnet18":    He's; pictures below 64 pixels get a first layer of 3×3 without pooling
  // "mobilenetv2": Sandler's; below 64 pixels with three halvings less
  // "unet":        Ronneberger's, padded: four levels down and up, skips by Concat, scores of each
  //                pixel [N, classes, H, W]
  // "char-rnn":    tokens [N, T] through an embedding and two LSTM layers to scores of the next
  //                token [N, classes, T]
  // "transformer": tokens [N, T] through four pre-norm blocks of causal attention, likewise
  std::string kind;
  int64_t classes = 10;
  Dims input_shape;                     // without the batch; empty: the kind's usual one
  std::vector<int64_t> hidden = {128};  // of mlp; of char-rnn and transformer the first: the width
  int64_t filters = 0;                  // of cnn and unet: of the first layer; 0: the usual
  double dropout = 0.2;                 // of cnn, mobilenetv2
  uint64_t seed = 0;
};

std::vector<std::string> new_model_kinds();
// kInvalidArgument: an unknown kind (with the close match), or a shape that does not fit it.
Graph new_model(const NewModelOptions& options);

}  // namespace treadle
