/* The C API of training from C11: options, steps, evaluation, parameters, checkpoints, export,
 * errors. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <treadle/train.h>

#include "check.h"

#define ROWS 4

static treadle_value* tensor(const float* data, int64_t columns) {
  const int64_t dims[2] = {ROWS, columns};
  treadle_value* value = NULL;
  if (treadle_tensor_create(TREADLE_FLOAT, dims, 2, &value) != TREADLE_OK) exit(1);
  memcpy(treadle_tensor_data(value), data, treadle_tensor_size(value));
  return value;
}

static const char* const kNames[2] = {"x", "target"};
static const treadle_value* batch[2];

static treadle_train_options* options_of(const char* rate) {
  treadle_train_options* options = NULL;
  CHECK(treadle_train_options_create(&options) == TREADLE_OK);
  CHECK(treadle_train_options_set(options, "optimizer", "momentum") == TREADLE_OK);
  CHECK(treadle_train_options_set(options, "rate", rate) == TREADLE_OK);
  CHECK(treadle_train_options_set(options, "gradient_norm", "1") == TREADLE_OK);
  CHECK(treadle_train_options_set(options, "fetch", "product") == TREADLE_OK);
  return options;
}

static void test_options(void) {
  treadle_train_options* options = NULL;
  CHECK(treadle_train_options_create(NULL) == TREADLE_INVALID_ARGUMENT);
  CHECK(treadle_train_options_create(&options) == TREADLE_OK);
  CHECK(treadle_train_options_set(options, "momentom", "1") == TREADLE_INVALID_ARGUMENT);
  CHECK(strstr(treadle_last_error(), "did you mean 'momentum'") != NULL);
  CHECK(treadle_train_options_set(options, "rate", "fast") == TREADLE_INVALID_ARGUMENT);
  CHECK(strstr(treadle_last_error(), "expected a number") != NULL);
  CHECK(treadle_train_options_set(options, "accumulate", "1.5") == TREADLE_INVALID_ARGUMENT);
  CHECK(treadle_train_options_set(options, "guard", "yes") == TREADLE_INVALID_ARGUMENT);
  treadle_train_options_release(options);
  treadle_train_options_release(NULL);
}

static double step(treadle_trainer* trainer) {
  treadle_step_result result;
  memset(&result, 0, sizeof result);
  result.struct_size = sizeof result;
  CHECK(treadle_trainer_step(trainer, kNames, batch, 2, &result) == TREADLE_OK);
  CHECK(result.updated == 1);
  CHECK(result.norm > 0);
  return result.loss;
}

static void test_training(const char* model, const char* folder) {
  char path[1024];
  treadle_train_options* options = options_of("0.05");
  treadle_trainer *trainer = NULL, *other = NULL;
  treadle_value* value = NULL;
  double first, loss = 0;
  float flat[3], again[3];
  int i;
  CHECK(treadle_trainer_create(model, options, &trainer) == TREADLE_OK);
  CHECK(treadle_trainer_warning(trainer, 0) == NULL);
  CHECK(strcmp(treadle_trainer_parameter_name(trainer, 0), "w") == 0);
  CHECK(strcmp(treadle_trainer_parameter_name(trainer, 1), "b") == 0);
  CHECK(treadle_trainer_parameter_name(trainer, 2) == NULL);
  CHECK(treadle_trainer_parameter_count(trainer) == 3);
  CHECK(treadle_trainer_get_parameters(trainer, flat, 3) == TREADLE_OK);
  CHECK(flat[0] == 0.5f && flat[1] == -1.0f && flat[2] == 0.25f);
  CHECK(treadle_trainer_get_parameters(trainer, flat, 2) == TREADLE_INVALID_ARGUMENT);

  first = step(trainer);
  for (i = 0; i < 30; ++i) loss = step(trainer);
  CHECK(loss < 0.5 * first);
  CHECK(treadle_trainer_steps(trainer) == 31);
  CHECK(treadle_trainer_fetched(trainer, "product", &value) == TREADLE_OK);
  CHECK(treadle_tensor_count(value) == ROWS);
  treadle_value_release(value);
  CHECK(treadle_trainer_fetched(trainer, "y", &value) == TREADLE_INVALID_ARGUMENT);

  /* A checkpoint goes on bit for bit. */
  snprintf(path, sizeof path, "%s/trained.ckpt", folder);
  CHECK(treadle_trainer_save(trainer, path) == TREADLE_OK);
  CHECK(treadle_trainer_create(model, options, &other) == TREADLE_OK);
  CHECK(treadle_trainer_load(other, path) == TREADLE_OK);
  CHECK(treadle_trainer_steps(other) == 31);
  CHECK(step(trainer) == step(other));
  CHECK(treadle_trainer_get_parameters(trainer, flat, 3) == TREADLE_OK);
  CHECK(treadle_trainer_get_parameters(other, again, 3) == TREADLE_OK);
  CHECK(memcmp(flat, again, sizeof flat) == 0);
  CHECK(treadle_trainer_load(other, "/nowhere/x.ckpt") == TREADLE_IO);

  /* By name, slots too. */
  CHECK(treadle_trainer_get(trainer, "velocity/w", &value) == TREADLE_OK);
  CHECK(treadle_trainer_set(other, "velocity/w", value) == TREADLE_OK);
  CHECK(treadle_trainer_set(other, "b", value) == TREADLE_INVALID_ARGUMENT);
  treadle_value_release(value);
  CHECK(treadle_trainer_get(trainer, "v", &value) == TREADLE_INVALID_ARGUMENT);
  CHECK(treadle_trainer_set_parameters(other, flat, 3) == TREADLE_OK);
  treadle_trainer_release(other);

  CHECK(treadle_trainer_rate(trainer) == 0.05);
  CHECK(treadle_trainer_set_rate(trainer, 0.5) == TREADLE_OK);
  CHECK(treadle_trainer_rate(trainer) == 0.5);
  CHECK(treadle_trainer_set_rate(trainer, -1) == TREADLE_OK);
  CHECK(treadle_trainer_rate(trainer) == 0.05);
  CHECK(treadle_trainer_measured(trainer, 1) == TREADLE_OK);

  /* What is exported computes what the trainer evaluates. */
  {
    treadle_model* exported = NULL;
    treadle_session* session = NULL;
    treadle_value *want = NULL, *got = NULL;
    const char* const in[1] = {"x"};
    const char* const out[1] = {"y"};
    double evaluated = -1;
    snprintf(path, sizeof path, "%s/trained.onnx", folder);
    CHECK(treadle_trainer_export(trainer, path, 0) == TREADLE_OK);
    CHECK(treadle_trainer_eval(trainer, kNames, batch, 2, &evaluated, &want, 1) == TREADLE_OK);
    CHECK(evaluated >= 0);
    CHECK(treadle_model_load(path, NULL, &exported) == TREADLE_OK);
    CHECK(treadle_model_input_count(exported) == 1);
    CHECK(treadle_session_create(exported, NULL, &session) == TREADLE_OK);
    CHECK(treadle_session_run(session, in, batch, 1, out, &got, 1, NULL) == TREADLE_OK);
    for (i = 0; i < ROWS; ++i) {
      const float a = ((const float*)treadle_tensor_const_data(got))[i];
      const float b = ((const float*)treadle_tensor_const_data(want))[i];
      CHECK(fabsf(a - b) <= 1e-5f * (1 + fabsf(b)));
    }
    treadle_value_release(got);
    treadle_value_release(want);
    treadle_session_release(session);
    treadle_model_release(exported);
  }
  treadle_trainer_release(trainer);
  treadle_train_options_release(options);
}

static void test_errors(const char* model) {
  treadle_trainer* trainer = NULL;
  treadle_train_options* options = NULL;
  treadle_step_result result;
  treadle_value* bad;
  const treadle_value* poisoned[2];
  float numbers[2 * ROWS] = {0};
  CHECK(treadle_trainer_create("/nowhere.onnx", NULL, &trainer) == TREADLE_IO);
  CHECK(treadle_trainer_create_memory("junk", 4, NULL, &trainer) == TREADLE_INVALID_MODEL);
  CHECK(treadle_train_options_create(&options) == TREADLE_OK);
  CHECK(treadle_train_options_set(options, "freeze", "w,b") == TREADLE_OK);
  CHECK(treadle_trainer_create(model, options, &trainer) == TREADLE_INVALID_ARGUMENT);
  CHECK(strstr(treadle_last_error(), "nothing to train") != NULL);
  treadle_train_options_release(options);
  CHECK(trainer == NULL);
  CHECK(treadle_trainer_create(model, NULL, &trainer) == TREADLE_OK);
  CHECK(treadle_trainer_step(trainer, kNames, batch, 1, NULL) == TREADLE_INVALID_ARGUMENT);
  CHECK(strstr(treadle_last_error(), "lacks 'target'") != NULL);
  result.struct_size = 1;
  CHECK(treadle_trainer_step(trainer, kNames, batch, 2, &result) == TREADLE_INVALID_ARGUMENT);
  CHECK(treadle_trainer_steps(trainer) == 0);
  numbers[3] = NAN;
  bad = tensor(numbers, 2);
  poisoned[0] = bad;
  poisoned[1] = batch[1];
  CHECK(treadle_trainer_step(trainer, kNames, poisoned, 2, NULL) == TREADLE_INVALID_DATA);
  CHECK(strstr(treadle_last_error(), "'x' holds nan") != NULL);
  treadle_value_release(bad);
  CHECK(treadle_trainer_step(trainer, kNames, batch, 2, NULL) == TREADLE_OK);
  CHECK(treadle_trainer_step(NULL, kNames, batch, 2, NULL) == TREADLE_INVALID_ARGUMENT);
  treadle_trainer_release(trainer);
  treadle_trainer_release(NULL);
}

int main(int argc, char** argv) {
  const float x[2 * ROWS] = {1, 2, -1, 0.5f, 0.25f, -2, 0.5f, 1};
  const float t[ROWS] = {1, 0, -1, 0.5f};
  treadle_value* held[2];
  if (argc < 3) return 2;
  held[0] = tensor(x, 2);
  held[1] = tensor(t, 1);
  batch[0] = held[0];
  batch[1] = held[1];
  test_options();
  test_training(argv[1], argv[2]);
  test_errors(argv[1]);
  treadle_value_release(held[0]);
  treadle_value_release(held[1]);
  if (failures == 0) printf("training: all passed\n");
  return failures == 0 ? 0 : 1;
}
