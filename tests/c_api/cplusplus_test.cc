// treadle.hpp as its users see it: run by name, into the caller's buffers, errors as exceptions,
// and no session that runs twice at a time.
#include <atomic>
#include <cmath>
#include <cstdio>
#include <string>
#include <thread>
#include <treadle/treadle.hpp>
#include <vector>

namespace {

const std::vector<int64_t> kDims = {1, 3, 16, 16};
constexpr size_t kCount = 3 * 16 * 16;

int failures = 0;

void check(bool ok, const char* what) {
  if (ok) return;
  std::fprintf(stderr, "not true: %s\n", what);
  ++failures;
}
#define CHECK(condition) check(condition, #condition)

template <class F>
treadle_status status_of(F&& f) {
  try {
    f();
  } catch (const treadle::Exception& e) {
    return e.status();
  }
  return TREADLE_OK;
}

void test_runs(const treadle::Model& model) {
  treadle::Session session(model, {{"threads", "1"}});
  std::vector<float> pixels(kCount, 0.5f);
  const auto outputs =
      session.run({{model.input_names()[0], treadle::Value::wrap(pixels.data(), kDims)}});
  CHECK(outputs.size() == 1 && outputs[0].count() == 3);
  std::vector<float> scores(3);
  const treadle::Value input = treadle::Value::wrap(pixels.data(), kDims);
  const treadle::Value place = treadle::Value::wrap(scores.data(), {1, 3});
  session.profile(true);
  session.run_into({{model.input_names()[0], input}}, {{model.output_names()[0], place}});
  CHECK(scores[1] == outputs[0].data<float>()[1]);
  CHECK(session.report("profile").find("\"calls\":1") != std::string::npos);
}

void test_ports(const treadle::Model& model) {
  const treadle::Port input = model.inputs()[0];
  CHECK(input.name == model.input_names()[0] && input.type == "tensor(float)");
  CHECK(input.kind == TREADLE_TENSOR && input.dtype == TREADLE_FLOAT && input.ranked);
  CHECK((input.dims == std::vector<int64_t>{-1, 3, 16, 16}));
  CHECK(input.dim_names[0] != "-1" && input.dim_names[3] == "16");
  CHECK(model.outputs().size() == model.output_names().size());
  CHECK(!model.metadata("no such key"));
  for (const std::string& key : model.metadata_keys()) CHECK(model.metadata(key).has_value());
}

void test_values() {
  const treadle::Value numbers(TREADLE_FLOAT16, {2, 3});
  CHECK(numbers.size() == 12 && numbers.bytes() != nullptr);
  const treadle::Value pair = treadle::Value::sequence({&numbers, &numbers});
  CHECK(pair.kind() == TREADLE_SEQUENCE && pair.elements().size() == 2);
  CHECK(pair.elements()[1].bytes() == numbers.bytes());
  CHECK(treadle::Value::optional().elements().empty());
  CHECK(treadle::Value::optional(&numbers).elements().size() == 1);
  int64_t keys[] = {4, 7};
  float values[] = {0.5f, 2};
  const treadle::Value map =
      treadle::Value::map(treadle::Value::wrap(keys, {2}), treadle::Value::wrap(values, {2}));
  CHECK(map.kind() == TREADLE_MAP && map.elements()[0].data<int64_t>()[1] == 7);
}

void test_cancel(const treadle::Model& model) {
  treadle::Session session(model);
  const treadle::Value input(TREADLE_FLOAT, kDims);
  for (size_t i = 0; i < input.count(); ++i) input.data<float>()[i] = 1;
  const std::string name = model.input_names()[0];
  treadle::Cancel cancel;
  CHECK(session.run({{name, input}}, {}, {60, &cancel}).size() == 1);
  cancel.signal();
  CHECK(status_of([&] { session.run({{name, input}}, {}, {0, &cancel}); }) == TREADLE_CANCELLED);
  CHECK(session.run({{name, input}}).size() == 1);
}

void test_errors(const treadle::Model& model) {
  treadle::Session session(model);
  CHECK(status_of([] { treadle::Model("/does/not/exist.onnx"); }) == TREADLE_IO);
  CHECK(status_of([&] { session.run({}); }) == TREADLE_INVALID_ARGUMENT);
  const treadle::Value strings = treadle::Value::strings({"a", std::string("b\0c", 3)}, {2});
  CHECK(strings.string(1).size() == 3);
  bool thrown = false;
  try {
    strings.data<float>();
  } catch (const std::invalid_argument&) {
    thrown = true;
  }
  CHECK(thrown);
}

// Sessions are many a model; one session is for one call at a time.
void test_threads(const treadle::Model& model) {
  treadle::Session shared(model);
  std::atomic<int> busy = 0, wrong = 0;
  const auto work = [&] {
    treadle::Session own(model, {{"threads", "1"}});
    const treadle::Value input(TREADLE_FLOAT, kDims);
    for (size_t i = 0; i < input.count(); ++i) input.data<float>()[i] = 1;
    const std::string name = model.input_names()[0];
    for (int i = 0; i < 200; ++i) {
      wrong += own.run({{name, input}})[0].count() != 3;
      const treadle_status status = status_of([&] { shared.run({{name, input}}); });
      busy += status == TREADLE_BUSY;
      wrong += status != TREADLE_OK && status != TREADLE_BUSY;
    }
  };
  std::thread one(work), two(work);
  one.join();
  two.join();
  CHECK(wrong == 0);
  std::printf("busy %d times of 400\n", busy.load());
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2) return 2;
  const treadle::Model model(argv[1]);
  test_runs(model);
  test_ports(model);
  test_values();
  test_cancel(model);
  test_errors(model);
  test_threads(model);
  if (failures == 0) std::puts("ok");
  return failures == 0 ? 0 : 1;
}
