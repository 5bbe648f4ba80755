/* The C API of training from C11: options, steps, accumulation, evaluation, parameters, hooks,
 * checkpoints, export, errors. */
#include <string.h>

#include "train_line.h"

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

/* Two batches summed and applied together are one step by their mean. */
static void test_accumulation(const char* model) {
  treadle_train_options *options = NULL, *on_request = NULL;
  treadle_trainer *whole = NULL, *halves = NULL;
  treadle_value* product = NULL;
  treadle_step_result result;
  float want[3], got[3];
  int i;
  result.struct_size = sizeof result;
  options = options_of("0.05");
  on_request = options_of("0.05");
  CHECK(treadle_train_options_set(on_request, "accumulate", "0") == TREADLE_OK);
  CHECK(treadle_trainer_create(model, options, &whole) == TREADLE_OK);
  CHECK(treadle_trainer_create(model, on_request, &halves) == TREADLE_OK);
  CHECK(treadle_trainer_accumulate(whole, kNames, batch, 2, NULL) == TREADLE_INVALID_ARGUMENT);
  CHECK(strstr(treadle_last_error(), "accumulate must be 0") != NULL);
  for (i = 0; i < 3; ++i) {
    const double loss = step(whole);
    CHECK(treadle_trainer_accumulate(halves, kNames, batch, 2, &result) == TREADLE_OK);
    CHECK(result.updated == 0 && fabs(result.loss - loss) < 1e-6);
    CHECK(treadle_trainer_zero(halves) == TREADLE_OK);
    CHECK(treadle_trainer_accumulate(halves, kNames, batch, 2, NULL) == TREADLE_OK);
    CHECK(treadle_trainer_accumulate(halves, kNames, batch, 2, NULL) == TREADLE_OK);
    CHECK(treadle_trainer_steps(halves) == i);
    CHECK(treadle_trainer_apply(halves, 0.5, &result) == TREADLE_OK);
    CHECK(result.updated == 1 && result.norm > 0 && result.rate == 0.05);
    CHECK(treadle_trainer_steps(halves) == i + 1);
    CHECK(treadle_trainer_get_parameters(whole, want, 3) == TREADLE_OK);
    CHECK(treadle_trainer_get_parameters(halves, got, 3) == TREADLE_OK);
    CHECK(fabsf(want[0] - got[0]) < 1e-6f && fabsf(want[2] - got[2]) < 1e-6f);
  }
  CHECK(treadle_trainer_fetched(halves, "product", &product) == TREADLE_OK);
  treadle_value_release(product);
  CHECK(fabs(step(whole) - step(halves)) < 1e-6); /* a step is both */
  CHECK(treadle_trainer_steps(halves) == 4);
  CHECK(treadle_trainer_apply(halves, NAN, NULL) == TREADLE_INVALID_ARGUMENT);
  treadle_trainer_release(whole);
  treadle_trainer_release(halves);
  treadle_train_options_release(options);
  treadle_train_options_release(on_request);
}

typedef struct seen {
  int calls;
  size_t count; /* of the last value */
  float first;
  float factor; /* it is multiplied by */
  int32_t answer;
} seen;

static int32_t look(void* user, const char* name, treadle_value* value) {
  seen* s = user;
  float* data = treadle_tensor_data(value);
  size_t i;
  CHECK(strchr(name, 'w') != NULL || strcmp(name, "product") == 0 || strchr(name, 'y') != NULL);
  ++s->calls;
  s->count = treadle_tensor_count(value);
  s->first = data[0];
  for (i = 0; i < s->count; ++i) data[i] *= s->factor;
  return s->answer;
}

static void test_hooks(const char* model) {
  seen product = {0, 0, 0, 1, 0}, part = product, sum = product;
  treadle_train_options* options = NULL;
  treadle_trainer *plain = NULL, *hooked = NULL;
  float before[3], want[3], got[3];
  CHECK(treadle_train_options_create(&options) == TREADLE_OK);
  CHECK(treadle_trainer_create(model, options, &plain) == TREADLE_OK);
  sum.factor = 2;
  CHECK(treadle_train_options_add_hook(options, "product", look, &product) == TREADLE_OK);
  CHECK(treadle_train_options_add_hook(options, "part:w", look, &part) == TREADLE_OK);
  CHECK(treadle_train_options_add_hook(options, "grad:w", look, &sum) == TREADLE_OK);
  CHECK(treadle_train_options_add_hook(options, "w", NULL, NULL) == TREADLE_INVALID_ARGUMENT);
  CHECK(treadle_trainer_create(model, options, &hooked) == TREADLE_OK);
  CHECK(treadle_trainer_get_parameters(plain, before, 3) == TREADLE_OK);
  CHECK(treadle_trainer_step(plain, kNames, batch, 2, NULL) == TREADLE_OK);
  CHECK(treadle_trainer_step(hooked, kNames, batch, 2, NULL) == TREADLE_OK);
  CHECK(product.calls == 1 && product.count == ROWS && part.calls == 1 && sum.calls == 1);
  CHECK(product.first == 1 * 0.5f + 2 * -1.0f && sum.count == 2 && sum.first == part.first);
  /* The doubled gradient moved w twice as far, and b as before. */
  CHECK(treadle_trainer_get_parameters(plain, want, 3) == TREADLE_OK);
  CHECK(treadle_trainer_get_parameters(hooked, got, 3) == TREADLE_OK);
  CHECK(want[0] != before[0]);
  CHECK(fabsf((got[0] - before[0]) - 2 * (want[0] - before[0])) < 1e-6f);
  CHECK(got[2] == want[2]);
  product.answer = 1;
  CHECK(treadle_trainer_step(hooked, kNames, batch, 2, NULL) == TREADLE_CANCELLED);
  CHECK(strstr(treadle_last_error(), "the hook on 'product'") != NULL);
  treadle_trainer_release(hooked);
  treadle_trainer_release(plain);
  hooked = NULL;
  CHECK(treadle_train_options_add_hook(options, "grad:nothing", look, &sum) == TREADLE_OK);
  CHECK(treadle_trainer_create(model, options, &hooked) == TREADLE_INVALID_ARGUMENT);
  CHECK(strstr(treadle_last_error(), "'nothing' for a hook") != NULL);
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
  CHECK(treadle_train_options_set(options, "momentum", "-1") == TREADLE_INVALID_ARGUMENT);
  CHECK(strstr(treadle_last_error(), "'momentum' is '-1', expected at least 0") != NULL);
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
  if (argc < 3) return 2;
  make_batch();
  test_options();
  test_training(argv[1], argv[2]);
  test_accumulation(argv[1]);
  test_hooks(argv[1]);
  test_errors(argv[1]);
  release_batch();
  if (failures == 0) printf("training: all passed\n");
  return failures == 0 ? 0 : 1;
}
