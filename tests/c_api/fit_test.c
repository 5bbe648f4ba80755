/* The C API of training from C11: fitting with its events, and networks made layer by layer. */
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
  samples.names = other;
  CHECK(treadle_trainer_fit(trainer, &samples, NULL, &options, NULL) == TREADLE_INVALID_ARGUMENT);
  CHECK(strstr(treadle_last_error(), "lack 'target'") != NULL);
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
  CHECK(treadle_network_model(network, &model, &size) == TREADLE_INVALID_ARGUMENT);
  treadle_network_release(network);
  treadle_network_release(NULL);

  CHECK(treadle_network_known("mlp", "classes=3 input_shape=1,4,4", 0, &model, &size) ==
        TREADLE_OK);
  CHECK(size > 100);
  treadle_string_free(model);
  CHECK(treadle_network_known("mlq", "", 0, &model, &size) == TREADLE_INVALID_ARGUMENT);
}

int main(int argc, char** argv) {
  if (argc < 3) return 2;
  make_batch();
  test_fit(argv[1], argv[2]);
  test_networks();
  release_batch();
  if (failures == 0) printf("fitting: all passed\n");
  return failures == 0 ? 0 : 1;
}
