// What goes before and after a Fourier transform: HannWindow, HammingWindow, BlackmanWindow,
// MelWeightMatrix.
#include <numbers>

#include "graph/ops/arithmetic.h"
#include "graph/ops/families.h"
#include "graph/ops/scalar.h"

namespace treadle {
namespace {

constexpr const char* kDTypeAttribute = "output_datatype";

DType output_dtype(const Attributes& a) {
  const DType dtype = dtype_attribute(a, kDTypeAttribute, DType::kFloat);
  TREADLE_CHECK(kNumbers.has(dtype), kInvalidModel, "attribute '", kDTypeAttribute, "' is ",
                dtype_name(dtype), ", expected a number type");
  return dtype;
}

// ---- Windows: a - b cos(t) + c cos(2t), one turn of t over the window.

struct Cosines {
  double a, b, c;
};
constexpr Cosines kHann{0.5, 0.5, 0};
constexpr Cosines kHamming{25.0 / 46, 21.0 / 46, 0};
constexpr Cosines kBlackman{0.42, 0.5, 0.08};

void infer_window(InferContext& c) {
  c.set_dtype(0, output_dtype(c.attributes()));
  c.set_shape(0, {scalar_dim(c, 0)});
}

void fill_window(EvalContext& c, const Cosines& w) {
  const int64_t size = scalar_int(c, 0);
  TREADLE_CHECK(size >= 0, kInvalidData, "a window of size ", size);
  Tensor& y = c.output(0, output_dtype(c.attributes()), {size});
  const int64_t turn = c.attributes().i("periodic", 1) != 0 ? size : size - 1;
  const double step = 2 * std::numbers::pi / static_cast<double>(turn);
  dispatch(y.dtype(), NumberTypes{}, [&]<class T>() {
    const auto to = y.data<T>();
    for (size_t i = 0; i < to.size(); ++i) {
      const double t = static_cast<double>(i) * step;
      const double value = w.a - w.b * std::cos(t) + w.c * std::cos(2 * t);
      // Rounded as ONNX's definition is, in float: integers lose what is below 1.
      to[i] = convert<T>(is_int<T> ? static_cast<double>(static_cast<float>(value)) : value);
    }
  });
}

template <const Cosines& w>
void eval_window(EvalContext& c) {
  fill_window(c, w);
}

// ---- MelWeightMatrix

void infer_mel(InferContext& c) {
  c.set_dtype(0, output_dtype(c.attributes()));
  c.set_shape(0, {Dim::floor_div(scalar_dim(c, 1), 2) + 1, scalar_dim(c, 0)});
}

double mel_of(double hertz) { return 2595 * std::log10(1 + hertz / 700); }
double hertz_of(double mel) { return 700 * (std::pow(10, mel / 2595) - 1); }

// The spectrum's bin at each edge of the triangles.
std::vector<int64_t> mel_edges(EvalContext& c, int64_t bands, int64_t length) {
  const int64_t rate = scalar_int(c, 2);
  TREADLE_CHECK(rate > 0, kInvalidData, "sample_rate is ", rate, ", expected at least 1");
  const double low = mel_of(scalar_double(c, 3));
  const double high = mel_of(scalar_double(c, 4));
  const double step = (high - low) / static_cast<double>(bands + 2);
  std::vector<int64_t> edges;
  for (int64_t i = 0; i < bands + 2; ++i) {
    const double hertz = hertz_of(static_cast<double>(i) * step + low);
    const double bin =
        std::floor((static_cast<double>(length) + 1) * hertz / static_cast<double>(rate));
    TREADLE_CHECK(bin >= 0 && bin <= static_cast<double>(length / 2), kInvalidData, "the edge at ",
                  hertz, " Hz is outside of the spectrum of a signal with ", rate,
                  " samples a second");
    edges.push_back(static_cast<int64_t>(bin));
  }
  return edges;
}

void eval_mel(EvalContext& c) {
  const int64_t bands = scalar_int(c, 0);
  const int64_t length = scalar_int(c, 1);
  TREADLE_CHECK(bands >= 0 && length >= 0, kInvalidData, "num_mel_bins is ", bands,
                " and dft_length ", length, ", expected at least 0");
  Tensor& y = c.output(0, output_dtype(c.attributes()), {length / 2 + 1, bands});
  const std::vector<int64_t> edges = mel_edges(c, bands, length);
  dispatch(y.dtype(), NumberTypes{}, [&]<class T>() {
    const auto to = y.data<T>();
    std::fill(to.begin(), to.end(), T{});
    for (int64_t band = 0; band < bands; ++band) {
      const auto at = edges.begin() + static_cast<ptrdiff_t>(band);
      const auto set = [&](int64_t bin, int64_t part, int64_t whole) {
        to[static_cast<size_t>(bin * bands + band)] =
            convert<T>(static_cast<double>(part) / static_cast<double>(whole));
      };
      const int64_t left = at[0];
      const int64_t centre = at[1];
      const int64_t right = at[2];
      if (left == centre) set(centre, 1, 1);
      for (int64_t bin = left; left < centre && bin <= centre; ++bin)
        set(bin, bin - left, centre - left);
      for (int64_t bin = centre; bin < right; ++bin) set(bin, right - bin, right - centre);
    }
  });
}

constexpr const char* kWindowAttributes = "output_datatype:i=1 periodic:i=1";

constexpr OpDef kRows[] = {
    {.kind = "HannWindow",
     .inputs = "size:T1",
     .outputs = "output:any",
     .types = "T1=int32,int64",
     .attributes = kWindowAttributes,
     .infer = infer_window,
     .eval = eval_window<kHann>},
    {.kind = "HammingWindow",
     .inputs = "size:T1",
     .outputs = "output:any",
     .types = "T1=int32,int64",
     .attributes = kWindowAttributes,
     .infer = infer_window,
     .eval = eval_window<kHamming>},
    {.kind = "BlackmanWindow",
     .inputs = "size:T1",
     .outputs = "output:any",
     .types = "T1=int32,int64",
     .attributes = kWindowAttributes,
     .infer = infer_window,
     .eval = eval_window<kBlackman>},
    {.kind = "MelWeightMatrix",
     .inputs = "num_mel_bins:T1 dft_length:T1 sample_rate:T1 lower_edge_hertz:T2 "
               "upper_edge_hertz:T2",
     .outputs = "output:any",
     .types = "T1=int32,int64 T2=floats",
     .attributes = "output_datatype:i=1",
     .infer = infer_mel,
     .eval = eval_mel},
};

}  // namespace

std::span<const OpDef> spectral_ops() { return kRows; }

}  // namespace treadle
