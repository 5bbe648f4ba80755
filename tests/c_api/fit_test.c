/* The C API of training from C11: fitting with its events, and networks made layer by layer. */
#include <pthread.h>
#include <stdint.h>
#include <string.h>
#include <time.h>

#include "train_line.h"

typedef struct told {
  int counts[7];
  int64_t stop_at;
  double loss; /* of the last epoch */
  char text[256];
} told;

static int32_t listen(void* user, const treadle_event* event) {
  told* t = user;
  size_t i;
  CHECK(event->struct_size == sizeof *event && event->kind >= 0 && event->kind < 7);
  ++t->counts[event->kind];
  for (i = 0; i < event->number_count; ++i) {
    if (strcmp(event->names[i], "val_loss") == 0) t->loss = event->numbers[i];
  }
  if (event->kind == TREADLE_EXCEPTION) snprintf(t->text, sizeof t->text, "%s", event->text);
  return event->kind == TREADLE_STEP_COMPLETED && event->step == t->stop_at;
}

/* Numbers in a CSV, of which a quarter is for validation. */
static void test_fit_data(const char* model, const char* folder) {
  told events;
  treadle_trainer* trainer = NULL;
  treadle_train_options* train_options = options_of("0.05");
  const char* keys[] = {"data.regression", "data.val_split"};
  const char* const values[] = {"1", "0.25"};
  treadle_data data;
  treadle_fit_options options;
  treadle_fit_result result;
  char path[1024];
  FILE* file;
  int i;
  snprintf(path, sizeof path, "%s/line.csv", folder);
  file = fopen(path, "w");
  CHECK(file != NULL);
  for (i = 0; file != NULL && i < 40; ++i) fprintf(file, "%d,%d,%g\n", i % 5, i % 7, i % 5 * 0.5);
  if (file != NULL) fclose(file);
  memset(&events, 0, sizeof events);
  memset(&options, 0, sizeof options);
  options.struct_size = sizeof options;
  options.epochs = 4;
  options.batch = 10;
  options.on_event = listen;
  options.user = &events;
  result.struct_size = sizeof result;
  data.struct_size = sizeof data;
  data.path = path;
  data.keys = keys;
  data.values = values;
  data.count = 2;
  CHECK(treadle_trainer_create(model, train_options, &trainer) == TREADLE_OK);
  CHECK(treadle_trainer_fit_data(trainer, &data, &options, &result) == TREADLE_OK);
  CHECK(result.steps == 12 && result.epochs == 4 && events.counts[TREADLE_EPOCH_COMPLETED] == 4);
  CHECK(events.loss > 0);
  keys[1] = "data.val_splt";
  CHECK(treadle_trainer_fit_data(trainer, &data, &options, NULL) == TREADLE_INVALID_ARGUMENT);
  CHECK(strstr(treadle_last_error(), "did you mean 'data.val_split'") != NULL);
  data.count = 0;
  data.path = "nowhere";
  CHECK(treadle_trainer_fit_data(trainer, &data, &options, NULL) == TREADLE_IO);
  CHECK(treadle_trainer_fit_data(trainer, NULL, &options, NULL) == TREADLE_INVALID_ARGUMENT);
  treadle_trainer_release(trainer);
  treadle_train_options_release(train_options);
}

static void test_fit(const char* model, const char* folder) {
  told events;
  treadle_trainer* trainer = NULL;
  treadle_train_options* train_options = options_of("0.05");
  treadle_samples samples;
  treadle_fit_options options;
  treadle_fit_result result;
  const char* const other[2] = {"x", "targets"};
  char path[1024], file[1100];
  double loss = 0;
  FILE* written;
  memset(&events, 0, sizeof events);
  memset(&options, 0, sizeof options);
  options.struct_size = sizeof options;
  result.struct_size = sizeof result;
  samples.names = kNames;
  samples.values = batch;
  samples.count = 2;
  options.epochs = 20;
  options.batch = 2;
  options.on_event = listen;
  options.user = &events;
  snprintf(path, sizeof path, "%s/fit%ld", folder, (long)clock());
  options.out = path;
  CHECK(treadle_trainer_create(model, train_options, &trainer) == TREADLE_OK);
  CHECK(treadle_trainer_fit(trainer, &samples, &samples, &options, &result) == TREADLE_OK);
  CHECK(result.steps == 40 && result.epochs == 20 && !result.stopped_early && !result.cancelled);
  CHECK(events.counts[TREADLE_STARTED] == 1 && events.counts[TREADLE_COMPLETED] == 1);
  CHECK(events.counts[TREADLE_EPOCH_STARTED] == 20 && events.counts[TREADLE_EPOCH_COMPLETED] == 20);
  CHECK(events.counts[TREADLE_STEP_STARTED] == 40 && events.counts[TREADLE_STEP_COMPLETED] == 40);
  CHECK(events.counts[TREADLE_EXCEPTION] == 0);
  CHECK(treadle_trainer_eval(trainer, kNames, batch, 2, &loss, NULL, 0) == TREADLE_OK);
  CHECK(fabs(loss - events.loss) < 1e-5 && loss < 0.5);
  snprintf(file, sizeof file, "%s/model.onnx", path);
  written = fopen(file, "rb");
  CHECK(written != NULL);
  if (written != NULL) fclose(written);
  events.stop_at = 43;
  options.out = NULL;
  CHECK(treadle_trainer_fit(trainer, &samples, NULL, &options, &result) == TREADLE_OK);
  CHECK(result.cancelled && result.steps == 43);
  samples.count = 1;
  CHECK(treadle_trainer_fit(trainer, &samples, NULL, &options, NULL) == TREADLE_INVALID_ARGUMENT);
  CHECK(strstr(treadle_last_error(), "lack 'target'") != NULL);
  samples.count = 2;
  samples.names = other;
  CHECK(treadle_trainer_fit(trainer, &samples, NULL, &options, NULL) == TREADLE_INVALID_ARGUMENT);
  CHECK(strstr(treadle_last_error(), "did you mean 'target'") != NULL);
  samples.names = kNames;
  events.stop_at = 0;
  options.epochs = 0;
  options.steps = 3;
  CHECK(treadle_trainer_fit(trainer, &samples, NULL, &options, &result) == TREADLE_OK);
  CHECK(!result.cancelled && result.steps == 46);
  options.epochs = 1;
  CHECK(treadle_trainer_fit(trainer, &samples, NULL, &options, NULL) == TREADLE_INVALID_ARGUMENT);
  options.steps = 0;
  {
    float numbers[2 * ROWS] = {0};
    treadle_value* bad;
    const treadle_value* poisoned[2];
    numbers[3] = NAN;
    bad = tensor(numbers, 2);
    poisoned[0] = bad;
    poisoned[1] = batch[1];
    samples.values = poisoned;
    CHECK(treadle_trainer_fit(trainer, &samples, NULL, &options, NULL) == TREADLE_INVALID_DATA);
    CHECK(events.counts[TREADLE_EXCEPTION] == 1);
    CHECK(strstr(events.text, "'x' holds nan") != NULL);
    treadle_value_release(bad);
  }
  treadle_trainer_release(trainer);
  treadle_train_options_release(train_options);
}

typedef struct meddler {
  treadle_trainer* trainer;
  const char* file;
  int in_hook;
  int calls;
} meddler;

static void* read_elsewhere(void* user) {
  const meddler* m = user;
  float numbers[3];
  CHECK(treadle_trainer_get_parameters(m->trainer, numbers, 3) == TREADLE_BUSY);
  CHECK(treadle_trainer_save(m->trainer, m->file) == TREADLE_BUSY);
  return NULL;
}

/* What the trainer answers in the middle of a call: in a hook all is Busy, in an event what trains;
 * and to other threads all. */
static void meddle(meddler* m) {
  const treadle_status others = m->in_hook ? TREADLE_BUSY : TREADLE_OK;
  treadle_samples samples;
  treadle_fit_options options;
  treadle_value* value = NULL;
  float numbers[3];
  pthread_t thread;
  samples.names = kNames;
  samples.values = batch;
  samples.count = 2;
  memset(&options, 0, sizeof options);
  options.struct_size = sizeof options;
  options.epochs = 1;
  ++m->calls;
  CHECK(treadle_trainer_step(m->trainer, kNames, batch, 2, NULL) == TREADLE_BUSY);
  CHECK(treadle_trainer_fit(m->trainer, &samples, NULL, &options, NULL) == TREADLE_BUSY);
  CHECK(treadle_trainer_load(m->trainer, m->file) == TREADLE_BUSY);
  CHECK(treadle_trainer_save(m->trainer, m->file) == others);
  CHECK(treadle_trainer_export(m->trainer, m->file, 0) == others);
  CHECK(treadle_trainer_eval(m->trainer, kNames, batch, 2, NULL, NULL, 0) == others);
  CHECK(treadle_trainer_get(m->trainer, "w", &value) == others);
  if (value != NULL) {
    CHECK(treadle_trainer_set(m->trainer, "w", value) == TREADLE_OK);
    treadle_value_release(value);
  }
  CHECK(treadle_trainer_get_parameters(m->trainer, numbers, 3) == others);
  if (others == TREADLE_OK)
    CHECK(treadle_trainer_set_parameters(m->trainer, numbers, 3) == TREADLE_OK);
  CHECK(treadle_trainer_set_rate(m->trainer, 0.05) == others);
  CHECK(pthread_create(&thread, NULL, read_elsewhere, m) == 0);
  CHECK(pthread_join(thread, NULL) == 0);
}

static int32_t meddle_in_hook(void* user, const char* name, treadle_value* value) {
  (void)name;
  (void)value;
  meddle(user);
  return 0;
}

static int32_t meddle_in_event(void* user, const treadle_event* event) {
  if (event->kind == TREADLE_STEP_STARTED) meddle(user);
  return 0;
}

static void test_busy(const char* model, const char* folder) {
  char file[1100];
  meddler hooked, listening;
  treadle_train_options* options = options_of("0.05");
  treadle_samples samples;
  treadle_fit_options fit;
  snprintf(file, sizeof file, "%s/busy%ld", folder, (long)clock());
  memset(&hooked, 0, sizeof hooked);
  memset(&listening, 0, sizeof listening);
  hooked.file = listening.file = file;
  hooked.in_hook = 1;
  CHECK(treadle_trainer_create(model, options, &listening.trainer) == TREADLE_OK);
  CHECK(treadle_train_options_add_hook(options, "product", meddle_in_hook, &hooked) == TREADLE_OK);
  CHECK(treadle_trainer_create(model, options, &hooked.trainer) == TREADLE_OK);
  step(hooked.trainer);
  CHECK(hooked.calls == 1 && treadle_trainer_steps(hooked.trainer) == 1);
  memset(&fit, 0, sizeof fit);
  fit.struct_size = sizeof fit;
  fit.steps = 2;
  samples.names = kNames;
  samples.values = batch;
  samples.count = 2;
  CHECK(treadle_trainer_fit(hooked.trainer, &samples, NULL, &fit, NULL) == TREADLE_OK);
  CHECK(hooked.calls == 3 && treadle_trainer_steps(hooked.trainer) == 3);
  fit.on_event = meddle_in_event;
  fit.user = &listening;
  CHECK(treadle_trainer_fit(listening.trainer, &samples, NULL, &fit, NULL) == TREADLE_OK);
  CHECK(listening.calls == 2 && treadle_trainer_steps(listening.trainer) == 2);
  step(listening.trainer);
  treadle_trainer_release(hooked.trainer);
  treadle_trainer_release(listening.trainer);
  treadle_train_options_release(options);
}

static void refused_fit(treadle_trainer* trainer, const treadle_samples* samples,
                        const treadle_fit_options* options, const char* text) {
  CHECK(treadle_trainer_fit(trainer, samples, NULL, options, NULL) == TREADLE_INVALID_ARGUMENT);
  CHECK(strstr(treadle_last_error(), text) != NULL);
}

static void test_refusals(const char* model) {
  const char* const nameless[3] = {"x", "target", NULL};
  const char* const typo[2] = {"x", "tarjet"};
  const char* const twice[3] = {"x", "target", "x"};
  const treadle_value* three[3];
  const size_t vast = SIZE_MAX / 2;
  treadle_train_options* train_options = options_of("0.05");
  treadle_trainer* trainer = NULL;
  treadle_samples samples;
  treadle_fit_options good, options;
  three[0] = three[2] = batch[0];
  three[1] = batch[1];
  memset(&good, 0, sizeof good);
  good.struct_size = sizeof good;
  good.steps = 1;
  samples.names = nameless;
  samples.values = three;
  samples.count = 3;
  CHECK(treadle_trainer_create(model, train_options, &trainer) == TREADLE_OK);
  refused_fit(trainer, &samples, &good, "'names[i]' is null");
  samples.count = vast;
  refused_fit(trainer, &samples, &good, "'names[i]' is null");
  CHECK(treadle_trainer_step(trainer, twice, three, vast, NULL) == TREADLE_INVALID_ARGUMENT);
  CHECK(strstr(treadle_last_error(), "the batch holds 'x' twice") != NULL);
  CHECK(treadle_trainer_step(trainer, typo, batch, 2, NULL) == TREADLE_INVALID_ARGUMENT);
  CHECK(strstr(treadle_last_error(), "did you mean 'target'") != NULL);
  samples.names = kNames;
  samples.count = 2;
  step(trainer);
  options = good;
  options.steps = INT64_MAX;
  refused_fit(trainer, &samples, &options, "beyond 64 bits");
  options = good;
  options.struct_size = offsetof(treadle_fit_options, on_event) + 4; /* within a pointer */
  refused_fit(trainer, &samples, &options, "struct_size");
  options = good;
  options.patience = -1;
  refused_fit(trainer, &samples, &options, "patience is -1");
  options = good;
  options.resume = 1;
  refused_fit(trainer, &samples, &options, "resume wants");
  options = good;
  options.checkpoint_steps = 2;
  refused_fit(trainer, &samples, &options, "checkpoint_steps wants");
  CHECK(treadle_trainer_steps(trainer) == 1);
  treadle_trainer_release(trainer);
  treadle_train_options_release(train_options);
}

static void test_networks(void) {
  const int64_t dims[2] = {-1, 2};
  treadle_network* network = NULL;
  treadle_train_options* options = options_of("0.05");
  treadle_trainer* trainer = NULL;
  treadle_type type;
  char* model = NULL;
  size_t size = 0, x = 9, h = 9, sum[2], y = 9;
  CHECK(treadle_network_create(1, &network) == TREADLE_OK);
  CHECK(treadle_network_input(network, "x", TREADLE_FLOAT, dims, 2, &x) == TREADLE_OK);
  CHECK(treadle_network_layer(network, "linear", "a", &x, 1, "units=2", &h) == TREADLE_OK);
  CHECK(treadle_network_layer(network, "Relu", "b", &h, 1, NULL, &h) == TREADLE_OK);
  sum[0] = h;
  sum[1] = x;
  CHECK(treadle_network_layer(network, "Add", "product", sum, 2, "", &y) == TREADLE_OK);
  CHECK(treadle_network_layer(network, "linear", "c", &y, 1, "units=1 bias=0", &y) == TREADLE_OK);
  CHECK(treadle_network_output(network, "y", y) == TREADLE_OK);
  CHECK(treadle_network_model(network, &model, &size) == TREADLE_OK);
  treadle_network_release(network);
  CHECK(treadle_train_options_set(options, "fetch", "") == TREADLE_OK);
  CHECK(treadle_trainer_create_memory(model, size, options, &trainer) == TREADLE_OK);
  treadle_string_free(model);
  CHECK(treadle_trainer_parameter_count(trainer) == 2 * 2 + 2 + 2);
  CHECK(strcmp(treadle_trainer_parameter_name(trainer, 0), "a.weight") == 0);
  CHECK(strcmp(treadle_trainer_input_name(trainer, 1), "target") == 0);
  CHECK(treadle_trainer_input_name(trainer, 2) == NULL);
  CHECK(strcmp(treadle_trainer_output_name(trainer, 0), "y") == 0);
  CHECK(treadle_trainer_output_name(trainer, 1) == NULL);
  type.struct_size = sizeof type;
  CHECK(treadle_trainer_input_type(trainer, 0, &type) == TREADLE_OK);
  CHECK(type.dtype == TREADLE_FLOAT && type.rank == 2 && type.dims[0] == -1 && type.dims[1] == 2);
  CHECK(treadle_trainer_input_type(trainer, 2, &type) == TREADLE_INVALID_ARGUMENT);
  step(trainer);
  treadle_trainer_release(trainer);
  treadle_train_options_release(options);

  CHECK(treadle_network_create(1, &network) == TREADLE_OK);
  CHECK(treadle_network_input(network, "x", TREADLE_FLOAT, dims, 2, &x) == TREADLE_OK);
  CHECK(treadle_network_layer(network, "liner", "a", &x, 1, "units=2", &h) ==
        TREADLE_INVALID_ARGUMENT);
  CHECK(strstr(treadle_last_error(), "layer 'a' (liner)") != NULL);
  CHECK(strstr(treadle_last_error(), "did you mean 'linear'") != NULL);
  CHECK(treadle_network_layer(network, "conv", "b", &x, 1, "filters=2", &h) ==
        TREADLE_INVALID_ARGUMENT);
  CHECK(strstr(treadle_last_error(), "expected a tensor of rank 4") != NULL);
  y = 7;
  CHECK(treadle_network_layer(network, "Relu", "d", &y, 1, "", &h) == TREADLE_INVALID_ARGUMENT);
  CHECK(treadle_network_layer(network, "linear", "e", &x, 1, "units=0", &h) ==
        TREADLE_INVALID_ARGUMENT);
  CHECK(treadle_network_layer(network, "linear", "f", &x, 1, "units=2 units=3", &h) ==
        TREADLE_INVALID_ARGUMENT);
  CHECK(strstr(treadle_last_error(), "'units' is given twice") != NULL);
  CHECK(treadle_network_model(network, &model, &size) == TREADLE_INVALID_ARGUMENT);
  treadle_network_release(network);
  treadle_network_release(NULL);

  CHECK(treadle_network_create(1, &network) == TREADLE_OK);
  CHECK(treadle_network_input(network, "x", TREADLE_FLOAT, dims, 2, &x) == TREADLE_OK);
  CHECK(treadle_network_layer(network, "linear", "a", &x, 1, "units=2", &h) == TREADLE_OK);
  CHECK(treadle_network_output(network, "x", h) == TREADLE_INVALID_ARGUMENT);
  CHECK(strstr(treadle_last_error(), "an output 'x': an input has this name") != NULL);
  CHECK(treadle_network_output(network, "y", h) == TREADLE_OK);
  CHECK(treadle_network_input(network, "y", TREADLE_FLOAT, dims, 2, &x) ==
        TREADLE_INVALID_ARGUMENT);
  CHECK(strstr(treadle_last_error(), "an output 'y' already") != NULL);
  treadle_network_release(network);

  CHECK(treadle_network_known("mlp", "classes=3 input_shape=1,4,4", 0, &model, &size) ==
        TREADLE_OK);
  CHECK(size > 100);
  treadle_string_free(model);
  CHECK(treadle_network_known("mlq", "", 0, &model, &size) == TREADLE_INVALID_ARGUMENT);
}

int main(int argc, char** argv) {
  if (argc < 3) return 2;
  make_batch();
  test_fit_data(argv[1], argv[2]);
  test_fit(argv[1], argv[2]);
  test_busy(argv[1], argv[2]);
  test_refusals(argv[1]);
  test_networks();
  release_batch();
  if (failures == 0) printf("fitting: all passed\n");
  return failures == 0 ? 0 : 1;
}
