// THE list of CPU kernels: which family is asked about which operator, in order of preference.
#include "backends/cpu/table.h"

#include "backends/cpu/conv.h"
#include "backends/cpu/matmul.h"
#include "backends/cpu/pool.h"

namespace treadle::cpu {
namespace {

constexpr Candidate kCandidates[] = {
    {"Conv", "", &kOnednnConv},          {"ConvTranspose", "", &kOnednnDeconv},
    {"Gemm", "", &kOnednnMatMul},        {"MatMul", "", &kOnednnMatMul},
    {"AveragePool", "", &kOnednnPool},   {"GlobalAveragePool", "", &kOnednnPool},
    {"GlobalMaxPool", "", &kOnednnPool}, {"MaxPool", "", &kOnednnPool},
};

}  // namespace

std::span<const Candidate> candidates() { return kCandidates; }

}  // namespace treadle::cpu
