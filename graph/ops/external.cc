#include "graph/ops/external.h"

#include <array>
#include <atomic>

#include "graph/ops/families.h"

namespace treadle {
namespace {

std::array<std::atomic<EvalFn>, 2> kernels{};

template <External row>
void eval_external(EvalContext& c) {
  const EvalFn eval = kernels[static_cast<size_t>(row)].load();
  TREADLE_CHECK(eval != nullptr, kUnsupported, "no backend has given ", c.node().op->kind,
                " its kernel");
  eval(c);
}

void infer_image_decoder(InferContext& c) {
  const Dim channels = c.attributes().s("pixel_format", "RGB") == "Grayscale" ? 1 : 3;
  c.set_shape(0, {Dim::unknown(), Dim::unknown(), channels});
}

constexpr OpDef kRows[] = {
    {.kind = "RegexFullMatch",
     .inputs = "X:string",
     .outputs = "Y:bool",
     .attributes = "pattern:s",
     .infer = infer_same_shape,
     .eval = eval_external<External::kRegexFullMatch>},
    {.kind = "ImageDecoder",
     .inputs = "encoded_stream:uint8",
     .outputs = "image:uint8",
     .attributes = "pixel_format:s=RGB",
     .infer = infer_image_decoder,
     .eval = eval_external<External::kImageDecoder>,
     .traits = kDataDependent},
};

}  // namespace

void provide_external(External row, EvalFn eval) { kernels[static_cast<size_t>(row)] = eval; }

std::span<const OpDef> external_ops() { return kRows; }

}  // namespace treadle
