// THE list of CPU kernels: which family is asked about which operator, in order of preference.
#include "backends/cpu/table.h"

#include "backends/cpu/native/attention.h"
#include "backends/cpu/native/channels.h"
#include "backends/cpu/native/conv_input.h"
#include "backends/cpu/native/conv_weights.h"
#include "backends/cpu/native/depthwise.h"
#include "backends/cpu/native/depthwise_planes.h"
#include "backends/cpu/native/dropout.h"
#include "backends/cpu/native/elementwise.h"
#include "backends/cpu/native/expanded_depthwise.h"
#include "backends/cpu/native/gemm.h"
#include "backends/cpu/native/loss.h"
#include "backends/cpu/native/lower.h"
#include "backends/cpu/native/lstm.h"
#include "backends/cpu/native/move.h"
#include "backends/cpu/native/pool.h"
#include "backends/cpu/native/product.h"
#include "backends/cpu/native/quantize.h"
#include "backends/cpu/native/quantized.h"
#include "backends/cpu/native/quantized_depthwise.h"
#include "backends/cpu/native/quantized_winograd.h"
#include "backends/cpu/native/resize.h"
#include "backends/cpu/native/rows.h"
#include "backends/cpu/native/thin_conv.h"
#include "backends/cpu/native/tile_product.h"
#include "backends/cpu/native/trees.h"
#include "backends/cpu/native/winograd.h"
#include "backends/cpu/onednn/conv.h"
#include "backends/cpu/onednn/conv_backward.h"
#include "backends/cpu/onednn/matmul.h"
#include "backends/cpu/onednn/pool.h"
#include "backends/cpu/onednn/rnn.h"

namespace treadle::cpu {
namespace {

constexpr Candidate kFirst[] = {
    {"Conv", "", &kTileProduct},
    {"FusedConv", "treadle", &kTileProduct},
    {"Gemm", "", &kTileProduct},
    {"FusedGemm", "treadle", &kTileProduct},
    {"MatMul", "", &kTileProduct},
    {"FusedMatMul", "treadle", &kTileProduct},
    // Small products, which oneDNN's calls would dominate.
    {"Conv", "", &kNativeGemm},
    {"FusedConv", "treadle", &kNativeGemm},
    {"Gemm", "", &kNativeGemm},
    {"FusedGemm", "treadle", &kNativeGemm},
    {"MatMul", "", &kNativeGemm},
    {"FusedMatMul", "treadle", &kNativeGemm},
    {"Softmax", "", &kNativeSoftmax},
    {"LogSoftmax", "", &kNativeSoftmax},
};

constexpr Candidate kCandidates[] = {
    {"Conv", "", &kDepthwise},
    {"Conv", "", &kGrouped},
    {"Conv", "", &kDepthwisePlanes},
    {"Conv", "", &kThinConv},
    {"Conv", "", &kWinograd},
    {"Conv", "", &kOnednnConv},
    {"ConvTranspose", "", &kOnednnDeconv},
    {"Gemm", "", &kNativeProduct},
    {"Gemm", "", &kOnednnMatMul},
    {"MatMul", "", &kNativeProduct},
    {"MatMul", "", &kOnednnMatMul},
    {"AveragePool", "", &kOnednnPool},
    {"GlobalAveragePool", "", &kNativeReduce},
    {"GlobalAveragePool", "", &kOnednnPool},
    {"GlobalMaxPool", "", &kNativeReduce},
    {"LRN", "", &kOnednnLrn},
    {"MaxPool", "", &kNativeMaxPool},
    {"GRU", "", &kOnednnRnn},
    {"LSTM", "", &kLstm},
    {"LSTM", "", &kOnednnRnn},
    {"FusedConv", "treadle", &kDepthwise},
    {"FusedConv", "treadle", &kGrouped},
    {"FusedConv", "treadle", &kDepthwisePlanes},
    {"FusedConv", "treadle", &kThinConv},
    {"FusedConv", "treadle", &kWinograd},
    {"FusedConv", "treadle", &kOnednnConv},
    {"ExpandedDepthwise", "treadle", &kExpandedDepthwise},
    {"FusedGemm", "treadle", &kNativeProduct},
    {"FusedGemm", "treadle", &kOnednnMatMul},
    {"FusedMatMul", "treadle", &kNativeProduct},
    {"FusedMatMul", "treadle", &kOnednnMatMul},
    {"FusedAttention", "treadle", &kNativeAttention},
    {"GemmUpdate", "treadle", &kNativeGemmUpdate},
    {"FusedElementwise", "treadle", &kNativeElementwise},
    {"AveragePoolGrad", "treadle", &kOnednnPoolGrad},
    {"BatchStatistics", "treadle", &kNativeBatchStatistics},
    {"BatchSums", "treadle", &kNativeBatchSums},
    {"ConvGradInput", "treadle", &kOnednnPointGradInput},
    {"ConvGradInput", "treadle", &kWinogradGradInput},
    {"ConvGradInput", "treadle", &kNativeConvGradInput},
    {"ConvGradInput", "treadle", &kOnednnConvGradInput},
    {"ConvGradWeights", "treadle", &kOnednnPointGradWeights},
    {"ConvGradWeights", "treadle", &kWinogradGradWeights},
    {"ConvGradWeights", "treadle", &kNativeConvGradWeights},
    {"ConvGradWeights", "treadle", &kOnednnConvGradWeights},
    {"DropoutMask", "treadle", &kNativeDropoutMask},
    {"MaxPoolGrad", "treadle", &kNativeMaxPoolGrad},
    {"QuantizedConv", "treadle", &kQuantizedDepthwise},
    {"QuantizedConv", "treadle", &kQuantizedWinograd},
    {"QuantizedConv", "treadle", &kQuantizedConv},
    {"QuantizedMatMul", "treadle", &kQuantizedMatMul},
    {"NegativeLogLikelihoodLoss", "", &kNativeNll},
    {"TreeEnsemble", "ai.onnx.ml", &kNativeTrees},
    {"TreeEnsembleClassifier", "ai.onnx.ml", &kNativeTrees},
    {"TreeEnsembleRegressor", "ai.onnx.ml", &kNativeTrees},
};

constexpr Candidate kAfterElementwise[] = {
    {"ArgMax", "", &kNativeArg},
    {"ArgMin", "", &kNativeArg},
    {"Attention", "", &kNativeAttention},
    {"Cast", "", &kNativeCast},
    {"Concat", "", &kNativeMove},
    {"DepthToSpace", "", &kNativeMove},
    {"DynamicQuantizeLinear", "", &kNativeDynamicQuantize},
    {"Expand", "", &kNativeMove},
    {"Gather", "", &kNativeGather},
    {"Pad", "", &kNativeMove},
    {"Slice", "", &kNativeMove},
    {"SpaceToDepth", "", &kNativeMove},
    {"Split", "", &kNativeMove},
    {"Tile", "", &kNativeMove},
    {"Transpose", "", &kNativeMove},
    {"GroupNormalization", "", &kNativeGroupNorm},
    {"InstanceNormalization", "", &kNativeGroupNorm},
    {"LayerNormalization", "", &kNativeLayerNorm},
    {"RMSNormalization", "", &kNativeLayerNorm},
    {"Resize", "", &kNativeResize},
    {"ReduceL1", "", &kNativeReduce},
    {"ReduceL2", "", &kNativeReduce},
    {"ReduceMax", "", &kNativeReduce},
    {"ReduceMean", "", &kNativeReduce},
    {"ReduceMin", "", &kNativeReduce},
    {"ReduceSum", "", &kNativeChannelSum},
    {"ReduceSum", "", &kNativeReduce},
    {"ReduceSumSquare", "", &kNativeReduce},
};

std::vector<Candidate> all_candidates() {
  std::vector<Candidate> all(std::begin(kFirst), std::end(kFirst));
  all.insert(all.end(), std::begin(kCandidates), std::end(kCandidates));
  for (const char* kind : elementwise_kinds()) all.push_back({kind, "", &kNativeElementwise});
  all.insert(all.end(), std::begin(kAfterElementwise), std::end(kAfterElementwise));
  return all;
}

}  // namespace

std::span<const Candidate> candidates() {
  static const std::vector<Candidate> all = all_candidates();
  return all;
}

}  // namespace treadle::cpu
