// train.hpp as its users see it: a line that is trained by steps, by halves of steps and by fit,
// networks of layers, errors as exceptions.
#include <cmath>
#include <cstdio>
#include <fstream>
#include <stdexcept>
#include <string>
#include <treadle/train.hpp>
#include <vector>

namespace {

int failures = 0;

void check(bool ok, const char* what) {
  if (ok) return;
  std::fprintf(stderr, "not true: %s\n", what);
  ++failures;
}
#define CHECK(condition) check(condition, #condition)

// y = 2·a - 3·b + 1
struct Points {
  std::vector<float> x, y;
  treadle::Value inputs, targets;
  explicit Points(int64_t count) {
    for (int64_t i = 0; i < count; ++i) {
      const float a = std::sin(static_cast<float>(i)), b = std::cos(static_cast<float>(3 * i));
      x.insert(x.end(), {a, b});
      y.push_back(2 * a - 3 * b + 1);
    }
    inputs = treadle::Value::wrap(x.data(), {count, 2});
    targets = treadle::Value::wrap(y.data(), {count, 1});
  }
  std::vector<treadle::Named> batch() const { return {{"x", inputs}, {"target", targets}}; }
};

void test_steps(const std::string& model, const std::string& folder) {
  const Points points(16);
  treadle::Trainer trainer(model, {{"loss", "mse"}, {"rate", "0.3"}, {"gradient_norm", "1"}});
  CHECK((trainer.input_names() == std::vector<std::string>{"x", "target"}));
  CHECK(trainer.output_names()[0] == "y" && trainer.warnings().empty());
  CHECK(trainer.parameter_names().size() == 2 && trainer.parameters().size() == 3);
  const treadle::StepResult first = trainer.step(points.batch());
  CHECK(first.updated && first.norm > 0 && first.rate == 0.3);
  for (int i = 0; i < 200; ++i) trainer.step(points.batch());
  const treadle::EvalResult result = trainer.eval(points.batch(), 1);
  CHECK(result.loss < 1e-6 && result.loss < first.loss);
  CHECK(std::abs(result.outputs[0].data<float>()[3] - points.y[3]) < 1e-2f);
  CHECK(std::abs(trainer.get("w").data<float>()[1] + 3) < 1e-2f && trainer.steps() == 201);
  trainer.set_rate(0.125);
  CHECK(trainer.rate() == 0.125);

  const std::vector<float> trained = trainer.parameters();
  trainer.save(folder + "/cplusplus.ckpt");
  trainer.set_parameters({0, 0, 0});
  CHECK(trainer.get("b").data<float>()[0] == 0);
  trainer.load(folder + "/cplusplus.ckpt");
  CHECK(trainer.parameters() == trained);
  trainer.export_onnx(folder + "/cplusplus.onnx");
  treadle::Session session((treadle::Model(folder + "/cplusplus.onnx")));
  CHECK(session.run({{"x", points.inputs}})[0].data<float>()[3] ==
        result.outputs[0].data<float>()[3]);
}

void test_halves(const std::string& model) {
  const Points points(16);
  treadle::Trainer whole(model, {{"rate", "0.1"}});
  treadle::Trainer halves(model, {{"rate", "0.1"}, {"accumulate", "0"}});
  whole.step(points.batch());
  CHECK(!halves.accumulate(points.batch()).updated);
  CHECK(!halves.accumulate(points.batch()).updated);
  CHECK(halves.apply(0.5).updated);
  for (size_t i = 0; i < 3; ++i)
    CHECK(std::abs(whole.parameters()[i] - halves.parameters()[i]) < 1e-6f);
  const std::vector<float> before = halves.parameters();
  halves.accumulate(points.batch());
  halves.zero();
  halves.apply(1);
  CHECK(halves.parameters() == before);
}

void test_fit_of_files(const std::string& model, const std::string& folder) {
  const std::string path = folder + "/line_cplusplus.csv";
  {
    std::ofstream file(path);
    for (int i = 0; i < 20; ++i) file << i % 5 << ',' << i % 3 << ',' << i % 5 * 0.5 << '\n';
  }
  treadle::FitOptions options;
  options.epochs = 2;
  options.batch = 10;
  treadle::Trainer trainer(model);
  CHECK(trainer.fit(path, {{"data.regression", "1"}, {"data.val_split", "0"}}, options).steps == 4);
  try {
    trainer.fit(path, {{"data.regresion", "1"}}, options);
    CHECK(false);
  } catch (const treadle::Exception& e) {
    CHECK(std::string(e.what()).find("did you mean 'data.regression'") != std::string::npos);
  }
}

void test_fit(const std::string& model) {
  const Points points(64), others(16);
  treadle::Trainer trainer(model, {{"rate", "0.1"}});
  treadle::FitOptions options;
  options.epochs = 20;
  options.batch = 8;
  int epochs = 0;
  options.on_event = [&](const treadle_event& event) {
    epochs += event.kind == TREADLE_EPOCH_COMPLETED;
    return epochs == 15;
  };
  const treadle_fit_result result = trainer.fit(points.batch(), others.batch(), options);
  CHECK(epochs == 15 && result.best < 1e-2);
  options.on_event = [](const treadle_event&) -> bool { throw std::domain_error("mine"); };
  bool thrown = false;
  try {
    trainer.fit(points.batch(), {}, options);
  } catch (const std::domain_error& e) {
    thrown = std::string(e.what()) == "mine";
  }
  CHECK(thrown);
}

void test_hooks(const std::string& model) {
  const Points points(16);
  treadle::TrainOptions options;
  int seen = 0;
  options.add_hook(
      "grad:w",
      [](void* user, const char*, treadle_value* value) {
        *static_cast<int*>(user) += treadle_tensor_count(value) == 2;
        return 0;
      },
      &seen);
  treadle::Trainer trainer(model, options);
  trainer.step(points.batch());
  trainer.step(points.batch());
  CHECK(seen == 2);
}

void test_operators() {
  treadle_op op = {};
  op.struct_size = sizeof op;
  op.name = "Same";
  op.domain = "test";
  op.inputs = "X:T";
  op.outputs = "Y:T";
  op.types = "T=float";
  op.compute = [](const treadle_op_api* api, treadle_op_call* call, void*, void*) {
    return api->fail(call, TREADLE_UNSUPPORTED, "is not run here");
  };
  treadle::Options loading;
  treadle::TrainOptions training;
  loading.add_op(op);
  training.add_op(op);
  const auto taken = [&](auto& options) {
    try {
      options.add_op(op);
    } catch (const treadle::Exception& e) {
      return e.status() == TREADLE_INVALID_ARGUMENT;
    }
    return false;
  };
  CHECK(taken(loading) && taken(training));
}

void test_networks() {
  treadle::Network network(7);
  const size_t x = network.input("x", TREADLE_FLOAT, {-1, 2});
  const size_t hidden = network.layer("linear", "hidden", {x}, "units=8");
  const size_t bent = network.layer("Relu", "bent", {hidden});
  network.output("y", network.layer("linear", "last", {bent}, "units=1"));
  const std::string bytes = network.model();
  const Points points(16);
  treadle::Trainer trainer(bytes.data(), bytes.size(), {{"optimizer", "adam"}, {"rate", "0.05"}});
  const double before = trainer.step(points.batch()).loss;
  for (int i = 0; i < 100; ++i) trainer.step(points.batch());
  CHECK(trainer.eval(points.batch()).loss < before / 4);
  const std::string mlp = treadle::Network::known("mlp", "classes=3 input_shape=4 hidden=5");
  CHECK(treadle::Trainer(mlp.data(), mlp.size()).parameters().size() == 4 * 5 + 5 + 5 * 3 + 3);
}

void test_errors(const std::string& model) {
  treadle_status status = TREADLE_OK;
  try {
    treadle::Trainer(model, {{"optimizer", "adamm"}});
  } catch (const treadle::Exception& e) {
    status = e.status();
    CHECK(std::string(e.what()).find("adam") != std::string::npos);
  }
  CHECK(status == TREADLE_INVALID_ARGUMENT);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 3) return 2;
  test_steps(argv[1], argv[2]);
  test_halves(argv[1]);
  test_fit(argv[1]);
  test_fit_of_files(argv[1], argv[2]);
  test_hooks(argv[1]);
  test_operators();
  test_networks();
  test_errors(argv[1]);
  if (failures == 0) std::puts("ok");
  return failures == 0 ? 0 : 1;
}
