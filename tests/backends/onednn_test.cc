// The oneDNN frame: instruction set, descriptors, layouts, kernels.
#include "backends/cpu/onednn/onednn.h"

#include <gtest/gtest.h>

#include "backends/cpu/layout.h"
#include "backends/cpu/reorder.h"
#include "tests/support/tensors.h"

namespace treadle::test {
namespace {

using cpu::kBlocked16;
using cpu::kChannelsLast;

// Where the processor promises AMX and does not describe its tiles, oneDNN's own choice dies here.
TEST(Onednn, Bfloat16ProductLives) {
  const Tensor a = random_tensor(DType::kBfloat16, {64, 96}, 1);
  const Tensor b = random_tensor(DType::kBfloat16, {96, 64}, 2);
  const auto desc = [](const Tensor& t) { return cpu::describe({t.dtype(), t.dims()}); };
  const cpu::DnnlDesc c = cpu::describe(DType::kFloat, {64, 64}, cpu::DnnlTag::ab);
  const dnnl::matmul::primitive_desc pd(cpu::engine(), desc(a), desc(b), c,
                                        cpu::user_scratch_attributes(), true);
  if (!pd) GTEST_SKIP() << "oneDNN has no bfloat16 product for this processor";
  cpu::KernelBuilder builder;
  builder.add(dnnl::matmul(pd), pd,
              {{DNNL_ARG_SRC, desc(a), cpu::Operand::input(0)},
               {DNNL_ARG_WEIGHTS, desc(b), cpu::Operand::input(1)},
               {DNNL_ARG_DST, c, cpu::Operand::output(0)}});
  const Compiled compiled = builder.finish("product");
  Tensor out(DType::kFloat, {64, 64});
  const auto scratch = Buffer::allocate(compiled.scratch_bytes + 1);
  const void* inputs[] = {a.raw(), b.raw()};
  void* outputs[] = {out.raw()};
  compiled.kernel->run({inputs, outputs, scratch->data(), nullptr});
  double want = 0;
  for (size_t k = 0; k < 96; ++k)
    want += float(a.data<Bfloat16>()[k]) * float(b.data<Bfloat16>()[k * 64]);
  EXPECT_NEAR(out.data<float>()[0], want, 1e-3);
}

TEST(Onednn, CanonicalLayouts) {
  EXPECT_EQ(cpu::canonical({2, 32, 1, 1}, kBlocked16), kPlain);
  EXPECT_EQ(cpu::canonical({2, 33, 1, 1}, kBlocked16), kBlocked16);
  EXPECT_EQ(cpu::canonical({2, 33, 1, 1}, kChannelsLast), kPlain);
  EXPECT_EQ(cpu::canonical({2, 1, 5, 5}, kChannelsLast), kPlain);
  EXPECT_EQ(cpu::canonical({2, 3, 5, 5}, kChannelsLast), kChannelsLast);
  EXPECT_EQ(cpu::accept({DType::kFloat, {1, 8, 1, 1}, kPlain}, kChannelsLast), kPlain);
  EXPECT_EQ(cpu::accept({DType::kFloat, {1, 8, 2, 1}, kPlain}, kChannelsLast), kChannelsLast);
}

TEST(Onednn, ReordersThereAndBack) {
  for (const Dims& dims :
       {Dims{2, 17, 5}, Dims{1, 3, 4, 5}, Dims{2, 3, 9, 15}, Dims{2, 33, 2, 3, 4}}) {
    for (const DType dtype : {DType::kFloat, DType::kUint8, DType::kInt32}) {
      for (const Layout layout : {kBlocked16, kChannelsLast}) {
        const Tensor x = random_tensor(dtype, dims, 1, 0, 100);
        const TensorSpec plain{dtype, dims}, other{dtype, dims, layout};
        const auto there = Buffer::allocate(cpu::layout_bytes(other));
        Tensor back(dtype, dims);
        const auto run = [](const TensorSpec& from, const TensorSpec& to, const void* source,
                            void* target) {
          const Compiled r = cpu::compile_reorder(from, to, {});
          const auto scratch = Buffer::allocate(r.scratch_bytes + 1);
          r.kernel->run({&source, &target, scratch->data(), nullptr});
        };
        run(plain, other, x.raw(), there->data());
        run(other, plain, there->data(), back.raw());
        EXPECT_EQ(difference(back, x), "") << shape_text(dims) << ' ' << layout;
      }
    }
  }
}

}  // namespace
}  // namespace treadle::test
