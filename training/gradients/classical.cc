// What has no gradient: ai.onnx.ml's preprocessing and classical models, and a few more. Trees are
// piecewise constant.
#include "training/gradients/families.h"

namespace treadle {
namespace {

constexpr const char* kMl = "ai.onnx.ml";
constexpr const char* kReason = "operators of ai.onnx.ml are not differentiated";

constexpr GradientDef kRules[] = {
    {"ArrayFeatureExtractor", nullptr, kReason, kMl},
    {"Binarizer", nullptr, nullptr, kMl},
    {"CastMap", nullptr, kReason, kMl},
    {"DictVectorizer", nullptr, kReason, kMl},
    {"FeatureVectorizer", nullptr, kReason, kMl},
    {"Imputer", nullptr, kReason, kMl},
    {"LabelEncoder", nullptr, nullptr, kMl},
    {"LinearClassifier", nullptr, kReason, kMl},
    {"LinearRegressor", nullptr, kReason, kMl},
    {"Normalizer", nullptr, kReason, kMl},
    {"OneHotEncoder", nullptr, nullptr, kMl},
    {"SVMClassifier", nullptr, kReason, kMl},
    {"SVMRegressor", nullptr, kReason, kMl},
    {"Scaler", nullptr, kReason, kMl},
    {"TreeEnsemble", nullptr, nullptr, kMl},
    {"TreeEnsembleClassifier", nullptr, nullptr, kMl},
    {"TreeEnsembleRegressor", nullptr, nullptr, kMl},
    {"ZipMap", nullptr, kReason, kMl},
    {"FlexAttention", nullptr, "its score and mask bodies are not differentiated",
     "ai.onnx.preview"},
    {"Gradient", nullptr, "it is replaced when a model is loaded", "ai.onnx.preview.training"},
    {"CDist", nullptr, "distances of all pairs are not differentiated", "com.microsoft"},
    {"DynamicQuantizeLSTM", nullptr, "its weights are quantized", "com.microsoft"},
};

}  // namespace

std::span<const GradientDef> classical_gradients() { return kRules; }

}  // namespace treadle
