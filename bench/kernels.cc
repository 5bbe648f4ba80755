// Single layers of the benchmark networks through the CPU backend, on one thread: time and GFLOP/s.
#include <benchmark/benchmark.h>

#include <cstring>

#include "backends/backend.h"

namespace treadle {
namespace {

struct Layer {
  const char* name;
  int64_t channels, size, outputs, kernel, stride, group;
  const char* activation;
};
constexpr Layer kLayers[] = {
    {"resnet50/stem", 3, 224, 64, 7, 2, 1, "Relu"},
    {"mobilenet_v2/stem", 3, 224, 32, 3, 2, 1, "Clip"},
    {"resnet18/layer1", 64, 56, 64, 3, 1, 1, "Relu"},
    {"resnet18/layer2", 128, 28, 128, 3, 1, 1, "Relu"},
    {"resnet18/layer3", 256, 14, 256, 3, 1, 1, "Relu"},
    {"resnet18/layer4", 512, 7, 512, 3, 1, 1, "Relu"},
    {"densenet121/layer1.conv2", 128, 56, 32, 3, 1, 1, ""},
    {"densenet121/layer3.conv2", 128, 14, 32, 3, 1, 1, ""},
    {"squeezenet/expand2", 16, 55, 64, 3, 1, 1, "Relu"},
    {"squeezenet/expand8", 64, 27, 256, 3, 1, 1, "Relu"},
    {"resnet50/layer1.conv3", 64, 56, 256, 1, 1, 1, ""},
    {"resnet50/layer3.conv3", 256, 14, 1024, 1, 1, 1, ""},
    {"mobilenet_v2/expand1", 16, 112, 96, 1, 1, 1, "Clip"},
    {"mobilenet_v2/depthwise1", 96, 112, 96, 3, 2, 96, "Clip"},
    {"mobilenet_v2/depthwise2", 144, 56, 144, 3, 1, 144, "Clip"},
    {"mobilenet_v2/depthwise16", 960, 7, 960, 3, 1, 960, "Clip"},
    {"efficientnet_b0/depthwise5", 240, 28, 240, 5, 1, 240, "Swish"},
    {"efficientnet_b0/expand12", 192, 7, 1152, 1, 1, 1, "Swish"},
    {"shufflenet_v2/pointwise2", 58, 28, 58, 1, 1, 1, "Relu"},
};

struct Product {
  const char* name;
  int64_t rows, inner, columns;
};
constexpr Product kProducts[] = {
    {"vit_b_16/qkv", 197, 768, 2304},
    {"vit_b_16/mlp1", 197, 768, 3072},
    {"mlp/fc1", 64, 1000, 100},
    {"resnet50/fc", 1, 2048, 1000},
};

// A compiled node with all its buffers; weights are zeros, which cost what other numbers cost.
class Bench {
 public:
  Bench(const char* kind, Attributes attributes, const std::vector<Dims>& inputs,
        const Dims& output, bool winograd = true) {
    Node node;
    node.op = find_op(kind, "treadle");
    node.attributes = std::move(attributes);
    NodeSpec spec;
    for (const Dims& dims : inputs) {
      node.inputs.push_back(graph_.add_value(""));
      tensors_.push_back(Tensor::zeros(DType::kFloat, dims));
      spec.inputs.push_back({DType::kFloat, dims});
      spec.constants.push_back(spec.inputs.size() == 1 ? Tensor() : tensors_.back());
    }
    node.outputs = {graph_.add_value("")};
    spec.outputs = {{DType::kFloat, output}};
    spec.node = &graph_.node(graph_.add_node(std::move(node)));
    compiled_ = backend().compile(spec, {.threads = 1, .winograd = winograd});
    // The layouts that the kernel wants: no reorder is timed.
    TensorSpec x = spec.inputs[0];
    if (!compiled_.input_layouts.empty()) x.layout = compiled_.input_layouts[0];
    TensorSpec y = spec.outputs[0];
    if (!compiled_.output_layouts.empty()) y.layout = compiled_.output_layouts[0];
    x_ = zeros(backend().bytes(x));
    y_ = zeros(backend().bytes(y));
    scratch_ = zeros(compiled_.scratch_bytes + 1);
  }

  void run(benchmark::State& state, int64_t multiply_adds) const {
    std::vector<const void*> inputs = {x_->data()};
    for (size_t i = 1; i < tensors_.size(); ++i) inputs.push_back(tensors_[i].raw());
    void* outputs[] = {y_->data()};
    for (auto _ : state) compiled_.kernel->run({inputs.data(), outputs, scratch_->data(), nullptr});
    state.counters["FLOP/s"] = benchmark::Counter(
        2.0 * static_cast<double>(multiply_adds) * static_cast<double>(state.iterations()),
        benchmark::Counter::kIsRate);
    state.SetLabel(compiled_.name);
  }

 private:
  static const Backend& backend() {
    std::string why;
    return *find_backend("cpu", &why);
  }
  static std::shared_ptr<Buffer> zeros(size_t bytes) {
    std::shared_ptr<Buffer> buffer = Buffer::allocate(bytes);
    std::memset(buffer->data(), 0, bytes);
    return buffer;
  }
  Graph graph_;
  std::vector<Tensor> tensors_;
  Compiled compiled_;
  std::shared_ptr<Buffer> x_, y_, scratch_;
};

void run_layer(benchmark::State& state, const Layer& l, bool winograd) {
  const int64_t pad = l.kernel / 2, out = (l.size + 2 * pad - l.kernel) / l.stride + 1;
  const Bench bench("FusedConv",
                    {{"pads", std::vector<int64_t>(4, pad)},
                     {"strides", std::vector<int64_t>(2, l.stride)},
                     {"group", l.group},
                     {"activation", l.activation},
                     {"activation_alpha", std::strcmp(l.activation, "Clip") == 0 ? 0.0f : 1.0f},
                     {"activation_beta", 6.0f}},
                    {{1, l.channels, l.size, l.size},
                     {l.outputs, l.channels / l.group, l.kernel, l.kernel},
                     {l.outputs}},
                    {1, l.outputs, out, out}, winograd);
  bench.run(state, out * out * l.outputs * l.channels / l.group * l.kernel * l.kernel);
}

void run_product(benchmark::State& state, const Product& p) {
  const Bench bench("FusedMatMul", {}, {{p.rows, p.inner}, {p.inner, p.columns}, {p.columns}},
                    {p.rows, p.columns});
  bench.run(state, p.rows * p.inner * p.columns);
}

}  // namespace
}  // namespace treadle

int main(int argc, char** argv) {
  using namespace treadle;
  for (const Layer& l : kLayers) {
    const auto add = [&l](const std::string& name, bool winograd) {
      benchmark::RegisterBenchmark(name.c_str(), [&l, winograd](benchmark::State& s) {
        run_layer(s, l, winograd);
      })->Unit(benchmark::kMicrosecond);
    };
    add(l.name, true);
    if (l.kernel == 3 && l.stride == 1 && l.group == 1) add(cat(l.name, "/direct"), false);
  }
  for (const Product& p : kProducts) {
    benchmark::RegisterBenchmark(p.name, [&p](benchmark::State& s) {
      run_product(s, p);
    })->Unit(benchmark::kMicrosecond);
  }
  benchmark::Initialize(&argc, argv);
  benchmark::RunSpecifiedBenchmarks();
}
