/* Operators of one's own through the C API: what they may do, and what becomes of their mistakes.
 * usage: c_api_operators_test FOLDER_OF_MODELS PLUGIN NOT_A_PLUGIN FAILING_PLUGIN */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <treadle/train.h>

#include "check.h"
#include "operators.h"

/* ---- Helpers */

static treadle_options* options_with(counts* user) {
  treadle_options* options = NULL;
  treadle_op ops[5] = {scale_op(user), plain_op("Grow", compute_grow),
                       plain_op("Late", compute_grow), plain_op("Shout", compute_shout),
                       plain_op("Wrong", compute_wrong)};
  ops[1].infer = infer_grow;
  ops[4].infer = infer_wrong;
  ops[4].create = create_wrong;
  CHECK(treadle_options_create(&options) == TREADLE_OK);
  for (size_t i = 0; i < 5; ++i) CHECK(treadle_options_add_op(options, &ops[i]) == TREADLE_OK);
  return options;
}

/* ---- What they may do */

static void test_scale(const char* device, const char* optimize) {
  counts user = {0, 0, 0};
  treadle_model* model = NULL;
  treadle_options* options = options_with(&user);
  size_t count = 0;
  float y[12] = {0};
  CHECK(treadle_options_set(options, "device", device) == TREADLE_OK);
  CHECK(treadle_options_set(options, "optimize", optimize) == TREADLE_OK);
  CHECK(treadle_options_set(options, "fallback", "0") == TREADLE_OK);
  CHECK(load("scale", options, &model) == TREADLE_OK);
  CHECK(user.created == 1);
  CHECK(strcmp(treadle_model_output_dim(model, 0, 0), "N") == 0);
  CHECK(strcmp(treadle_model_output_dim(model, 0, 1), "3") == 0);
  for (int64_t rows = 0; rows < 4; ++rows) {
    CHECK(run(model, options, rows, y, 12, &count) == TREADLE_OK && count == (size_t)rows * 3);
  }
  CHECK(y[0] == 0 && y[2] == 2.5f && y[8] == 17.5f);
  treadle_options_release(options); /* the model keeps its operators */
  CHECK(run(model, NULL, 1, y, 12, &count) == TREADLE_OK && y[2] == 2.5f);
  CHECK(user.destroyed == 0);
  treadle_model_release(model);
  CHECK(user.created == 1 && user.destroyed == 1 && user.computed == 5);
}

static void test_save(void) {
  counts user = {0, 0, 0};
  treadle_model *model = NULL, *again = NULL;
  treadle_options* options = options_with(&user);
  char path[4096];
  float y[12];
  size_t count = 0;
  CHECK(load("scale", options, &model) == TREADLE_OK);
  snprintf(path, sizeof path, "%s/saved.onnx", folder);
  CHECK(treadle_model_save(model, path, 0) == TREADLE_OK);
  CHECK(load("saved", NULL, &again) == TREADLE_UNSUPPORTED);
  CHECK(strstr(treadle_last_error(), "test.Scale") != NULL);
  CHECK(load("saved", options, &again) == TREADLE_OK);
  CHECK(run(again, NULL, 1, y, 12, &count) == TREADLE_OK && y[2] == 2.5f);
  treadle_model_release(again);
  treadle_model_release(model);
  treadle_options_release(options);
  CHECK(user.created == user.destroyed);
}

static void test_shapes(void) {
  counts user = {0, 0, 0};
  treadle_model* model = NULL;
  treadle_options* options = options_with(&user);
  size_t count = 0;
  float y[64];
  CHECK(load("grow", options, &model) == TREADLE_OK);
  CHECK(strcmp(treadle_model_output_dim(model, 0, 0), "2*N + 1") == 0);
  CHECK(strcmp(treadle_model_output_dim(model, 0, 1), "3") == 0);
  CHECK(run(model, NULL, 2, y, 64, &count) == TREADLE_OK && count == 15);
  treadle_model_release(model);
  CHECK(load("late", options, &model) == TREADLE_OK);
  CHECK(run(model, NULL, 2, y, 64, &count) == TREADLE_OK && count == 15);
  CHECK(run(model, NULL, 0, y, 64, &count) == TREADLE_OK && count == 3);
  treadle_model_release(model);
  treadle_options_release(options);
}

/* Folded only where it is declared pure; the attribute's default; a function's body. */
static void test_graph(void) {
  for (uint32_t flags = 0; flags <= TREADLE_OP_PURE; ++flags) {
    counts user = {0, 0, 0};
    treadle_model* model = NULL;
    treadle_options* options = NULL;
    treadle_op op = scale_op(&user);
    size_t count = 0;
    float y[3];
    op.flags = flags;
    CHECK(treadle_options_create(&options) == TREADLE_OK);
    CHECK(treadle_options_add_op(options, &op) == TREADLE_OK);
    CHECK(load("constant", options, &model) == TREADLE_OK);
    const int before = user.computed;
    CHECK(run(model, NULL, 1, y, 3, &count) == TREADLE_OK && y[0] == 1 && y[2] == 7);
    CHECK(user.computed - before == (flags == 0 ? 1 : 0));
    treadle_model_release(model);
    CHECK(load("default", options, &model) == TREADLE_OK);
    CHECK(run(model, NULL, 1, y, 3, &count) == TREADLE_OK && y[0] == -1 && y[2] == 1);
    treadle_model_release(model);
    CHECK(load("function", options, &model) == TREADLE_OK);
    CHECK(run(model, NULL, 1, y, 3, &count) == TREADLE_OK && y[0] == -2 && y[2] == 2);
    treadle_model_release(model);
    CHECK(load("attribute", options, &model) == TREADLE_INVALID_MODEL);
    CHECK(strstr(treadle_last_error(), "'fraction'") != NULL);
    treadle_options_release(options);
    CHECK(user.created == user.destroyed);
  }
}

static void test_body(void) {
  counts user = {0, 0, 0};
  treadle_model* model = NULL;
  treadle_session* session = NULL;
  treadle_options* options = options_with(&user);
  CHECK(load("body", options, &model) == TREADLE_OK);
  CHECK(treadle_session_create(model, NULL, &session) == TREADLE_OK);
  for (unsigned char flag = 0; flag < 2; ++flag) {
    const char *in[] = {"x", "flag"}, *out[] = {"y"};
    const int64_t dims[2] = {1, 3};
    float data[3] = {1, 2, 3};
    treadle_value *values[2] = {NULL, NULL}, *y = NULL;
    CHECK(treadle_tensor_wrap(TREADLE_FLOAT, dims, 2, data, sizeof data, &values[0]) == 0);
    CHECK(treadle_tensor_wrap(TREADLE_BOOL, NULL, 0, &flag, 1, &values[1]) == 0);
    CHECK(treadle_session_run(session, in, (const treadle_value* const*)values, 2, out, &y, 1,
                              NULL) == TREADLE_OK);
    if (y != NULL) CHECK(*(const float*)treadle_tensor_data(y) == (flag ? 2.5f : 1.0f));
    for (int i = 0; i < 2; ++i) treadle_value_release(values[i]);
    treadle_value_release(y);
  }
  treadle_session_release(session);
  treadle_model_release(model);
  treadle_options_release(options);
  CHECK(user.created == user.destroyed);
}

static void test_strings(void) {
  counts user = {0, 0, 0};
  treadle_model* model = NULL;
  treadle_session* session = NULL;
  treadle_options* options = options_with(&user);
  const char *in[] = {"x"}, *out[] = {"y"}, *texts[] = {"a", "", "bcd"};
  const int64_t dims[1] = {3};
  treadle_value *x = NULL, *y = NULL;
  CHECK(load("text", options, &model) == TREADLE_OK);
  CHECK(treadle_session_create(model, NULL, &session) == TREADLE_OK);
  CHECK(treadle_tensor_create_strings(dims, 1, texts, NULL, &x) == TREADLE_OK);
  CHECK(treadle_session_run(session, in, (const treadle_value* const*)&x, 1, out, &y, 1, NULL) ==
        TREADLE_OK);
  if (y != NULL) {
    CHECK(strcmp(treadle_tensor_string(y, 1, NULL), "!") == 0);
    CHECK(strcmp(treadle_tensor_string(y, 2, NULL), "bcd!") == 0);
  }
  treadle_value_release(x);
  treadle_value_release(y);
  treadle_session_release(session);
  treadle_model_release(model);
  treadle_options_release(options);
}

static void* run_often(void* model) {
  size_t count = 0;
  float y[12];
  int good = 0;
  for (int i = 0; i < 50; ++i) {
    good += run(model, NULL, 1 + i % 4, y, 12, &count) == TREADLE_OK && y[2] == 2.5f;
  }
  return good == 50 ? model : NULL;
}

static void test_threads(void) {
  counts user = {0, 0, 0};
  treadle_model* model = NULL;
  treadle_options* options = options_with(&user);
  pthread_t threads[4];
  CHECK(load("scale", options, &model) == TREADLE_OK);
  for (int i = 0; i < 4; ++i) CHECK(pthread_create(&threads[i], NULL, run_often, model) == 0);
  for (int i = 0; i < 4; ++i) {
    void* result = NULL;
    CHECK(pthread_join(threads[i], &result) == 0 && result == model);
  }
  CHECK(user.computed == 200);
  treadle_model_release(model);
  treadle_options_release(options);
}

/* ---- What becomes of their mistakes */

static void test_wrong(void) {
  static const struct {
    const char* how;
    treadle_status status;
    const char* text;
  } kCases[] = {
      {"fail", TREADLE_INVALID_DATA, "x is too blue"},
      {"silent", TREADLE_LIMIT, "compute callback failed"},
      {"status", TREADLE_INTERNAL, "unknown status 77"},
      {"rank", TREADLE_INVALID_ARGUMENT, "expected float[4, 3, 1]"},
      {"dtype", TREADLE_INVALID_ARGUMENT, "double"},
      {"nothing", TREADLE_INVALID_ARGUMENT, "did not make output 'Y'"},
      {"index", TREADLE_INVALID_ARGUMENT, "there is no output 5"},
      {"kind", TREADLE_INVALID_ARGUMENT, "attribute 'how'"},
      {"outside", TREADLE_INVALID_ARGUMENT, "in infer only"},
      {"length", TREADLE_INVALID_ARGUMENT, "bytes for a string"},
  };
  counts user = {0, 0, 0};
  treadle_model* model = NULL;
  treadle_options* options = options_with(&user);
  size_t count = 0;
  float y[12];
  for (size_t i = 0; i < sizeof kCases / sizeof *kCases; ++i) {
    char name[32];
    snprintf(name, sizeof name, "wrong_%s", kCases[i].how);
    CHECK(load(name, options, &model) == TREADLE_OK);
    CHECK(run(model, NULL, 4, y, 12, &count) == kCases[i].status);
    CHECK(strstr(treadle_last_error(), kCases[i].text) != NULL);
    CHECK(strstr(treadle_last_error(), "node 'wrong'") != NULL);
    treadle_model_release(model);
  }
  CHECK(load("wrong", options, &model) == TREADLE_OK);
  CHECK(run(model, NULL, 4, y, 12, &count) == TREADLE_OK);
  treadle_model_release(model);
  CHECK(load("wrong_load", options, &model) == TREADLE_UNSUPPORTED);
  CHECK(strstr(treadle_last_error(), "never again") && strstr(treadle_last_error(), "'wrong'"));
  CHECK(load("wrong_dim", options, &model) == TREADLE_INVALID_MODEL);
  CHECK(strstr(treadle_last_error(), "-99 is no dimension") != NULL);
  treadle_options_release(options);
}

static void refuse(treadle_options* options, const treadle_op* op, const char* text) {
  CHECK(treadle_options_add_op(options, op) == TREADLE_INVALID_ARGUMENT);
  CHECK(strstr(treadle_last_error(), text) != NULL);
}

static void test_refused(void) {
  counts user = {0, 0, 0};
  treadle_options* options = NULL;
  treadle_op op = scale_op(&user);
  CHECK(treadle_options_create(&options) == TREADLE_OK);
  refuse(options, NULL, "'op'");
  CHECK(treadle_options_add_op(NULL, &op) == TREADLE_INVALID_ARGUMENT);
#define REFUSE(field, value, text) \
  op = scale_op(&user);            \
  op.field = value;                \
  refuse(options, &op, text)
  REFUSE(struct_size, 0, "struct_size is 0");
  REFUSE(struct_size, sizeof op - 1, "struct_size");
  REFUSE(name, NULL, "op.name");
  REFUSE(name, "", "name");
  REFUSE(name, "a.b", "'a.b'");
  REFUSE(domain, NULL, "op.domain");
  REFUSE(domain, "", "domain");
  REFUSE(domain, "ai.onnx", "ai.onnx");
  REFUSE(domain, "ai.onnx.ml", "ai.onnx.ml");
  REFUSE(domain, "treadle", "treadle");
  REFUSE(compute, NULL, "op.compute");
  REFUSE(flags, 64, "flags");
  REFUSE(inputs, "X", "'X'");
  REFUSE(inputs, "?:T", "no name");
  REFUSE(inputs, "X:U", "'U'");
  REFUSE(inputs, "A*:T B:T", "'A'");
  REFUSE(outputs, NULL, "no output");
  REFUSE(outputs, "", "no output");
  REFUSE(types, "T", "'T'");
  REFUSE(types, "T=flot", "'flot'");
  REFUSE(attributes, "factor", "'factor'");
  REFUSE(attributes, "factor:", "kind ''");
  REFUSE(attributes, "factor:!", "kind ''");
  REFUSE(attributes, "body:g", "graph");
  op = scale_op(&user);
  CHECK(treadle_options_add_op(options, &op) == TREADLE_OK);
  refuse(options, &op, "there already");
  op.domain = "com.microsoft";
  op.name = "FusedConv";
  refuse(options, &op, "there already");
  treadle_options_release(options);
}

static void test_plugins(const char* plugin, const char* other, const char* failing) {
  treadle_options* options = NULL;
  treadle_model* model = NULL;
  char path[4096];
  CHECK(treadle_options_create(&options) == TREADLE_OK);
  CHECK(treadle_load_plugin(NULL, plugin) == TREADLE_INVALID_ARGUMENT);
  CHECK(treadle_load_plugin(options, NULL) == TREADLE_INVALID_ARGUMENT);
  CHECK(treadle_load_plugin(options, "/does/not/exist.so") == TREADLE_IO);
  CHECK(strstr(treadle_last_error(), "/does/not/exist.so") != NULL);
  CHECK(treadle_load_plugin(options, folder) == TREADLE_IO);
  snprintf(path, sizeof path, "%s/scale.onnx", folder);
  CHECK(treadle_load_plugin(options, path) == TREADLE_INVALID_ARGUMENT);
  CHECK(treadle_load_plugin(options, other) == TREADLE_INVALID_ARGUMENT);
  CHECK(strstr(treadle_last_error(), "no plugin") != NULL);
  CHECK(treadle_load_plugin(options, failing) == TREADLE_DEVICE);
  CHECK(strstr(treadle_last_error(), "no luck today") != NULL);
  CHECK(load("default", options, &model) == TREADLE_UNSUPPORTED); /* nothing of it stayed */
  CHECK(treadle_load_plugin(options, plugin) == TREADLE_OK);
  CHECK(treadle_load_plugin(options, plugin) == TREADLE_INVALID_ARGUMENT);
  CHECK(strstr(treadle_last_error(), "there already") != NULL);
  treadle_options_release(options);
  CHECK(treadle_options_create(&options) == TREADLE_OK);
  CHECK(treadle_options_set(options, "plugins", other) == TREADLE_INVALID_ARGUMENT);
  CHECK(treadle_options_set(options, "plugins", plugin) == TREADLE_OK);
  CHECK(treadle_load_plugin(options, plugin) == TREADLE_INVALID_ARGUMENT);
  treadle_options_release(options);
}

/* ---- Training through them: y = x + Scale(c), of which c is trained. */

static double step(treadle_trainer* trainer) {
  const char* names[] = {"x", "target"};
  const int64_t dims[2] = {1, 3};
  float zeros[3] = {0, 0, 0};
  treadle_value* x = NULL;
  treadle_step_result result = {.struct_size = sizeof result};
  CHECK(treadle_tensor_wrap(TREADLE_FLOAT, dims, 2, zeros, sizeof zeros, &x) == TREADLE_OK);
  const treadle_value* batch[2] = {x, x};
  CHECK(treadle_trainer_step(trainer, names, batch, 2, &result) == TREADLE_OK);
  treadle_value_release(x);
  return result.loss;
}

static void test_training(const char* plugin) {
  counts user = {0, 0, 0};
  char path[4096];
  treadle_train_options* options = NULL;
  treadle_trainer* trainer = NULL;
  treadle_op scale = scale_op(&user), gradient = scale_op(&user);
  snprintf(path, sizeof path, "%s/constant.onnx", folder);
  scale.gradient = "test.ScaleGradient";
  gradient.name = "ScaleGradient";
  gradient.inputs = "dY:T X:T Y:T";
  CHECK(treadle_train_options_create(&options) == TREADLE_OK);
  CHECK(treadle_train_options_add_op(options, NULL) == TREADLE_INVALID_ARGUMENT);
  CHECK(treadle_train_options_set(options, "plugins", "/does/not/exist.so") == TREADLE_IO);
  CHECK(treadle_train_options_set(options, "plugins", plugin) == TREADLE_OK);
  CHECK(treadle_trainer_create(path, options, &trainer) == TREADLE_UNSUPPORTED);
  CHECK(treadle_train_options_add_op(options, &scale) == TREADLE_OK);
  CHECK(treadle_trainer_create(path, options, &trainer) == TREADLE_UNSUPPORTED);
  CHECK(strstr(treadle_last_error(), "test.ScaleGradient is no added operator") != NULL);
  CHECK(treadle_train_options_add_op(options, &gradient) == TREADLE_OK);
  CHECK(treadle_trainer_create(path, options, &trainer) == TREADLE_OK);
  treadle_train_options_release(options);
  const double first = step(trainer);
  CHECK(first > 18.6 && first < 18.7); /* the mean of 2², 4² and 6² */
  CHECK(step(trainer) < 0.99 * first);
  treadle_trainer_release(trainer);
  CHECK(user.created == user.destroyed);
}

int main(int argc, char** argv) {
  if (argc != 5) return 2;
  folder = argv[1];
  test_scale("cpu", "1");
  test_scale("cpu", "0");
  test_scale("reference", "1");
  test_save();
  test_shapes();
  test_graph();
  test_body();
  test_strings();
  test_threads();
  test_wrong();
  test_refused();
  test_plugins(argv[2], argv[3], argv[4]);
  test_training(argv[2]);
  if (failures == 0) puts("ok");
  return failures == 0 ? 0 : 1;
}
