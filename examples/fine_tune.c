/* Trains a classifier on from where its file left off, and writes the result as ONNX again.
 *
 * usage: fine_tune MODEL.onnx OUT.onnx STEPS < samples
 * Each line of the samples holds the numbers of the model's one input, then the class. They are
 * taken in batches of BATCH, round and round.
 */
#include <stdio.h>
#include <stdlib.h>
#include <treadle/train.h>

enum { BATCH = 16, MOST = 100000 };

static void must(treadle_status status) {
  if (status == TREADLE_OK) return;
  fprintf(stderr, "%s\n", treadle_last_error());
  exit(1);
}

/* The numbers of the samples, one after another; returns how many. */
static size_t read_numbers(float* to) {
  size_t count = 0;
  while (count < MOST && scanf("%f", &to[count]) == 1) ++count;
  return count;
}

/* How many numbers a sample has, and the input's name, which the model keeps. */
static int64_t sample_size(const treadle_model* model) {
  treadle_type type;
  type.struct_size = sizeof type;
  must(treadle_model_input_type(model, 0, &type));
  if (treadle_model_input_count(model) != 1 || type.rank != 2 || type.dims[1] < 1) {
    fprintf(stderr, "expected a model of one input [batch, numbers]\n");
    exit(1);
  }
  return type.dims[1];
}

int main(int argc, char** argv) {
  static float numbers[MOST];
  treadle_model* model = NULL;
  treadle_train_options* options = NULL;
  treadle_trainer* trainer = NULL;
  treadle_value *x = NULL, *classes = NULL;
  treadle_step_result result;
  size_t count, samples, next = 0;
  int64_t width, dims[2], step, i;
  if (argc != 4) {
    fprintf(stderr, "usage: fine_tune MODEL.onnx OUT.onnx STEPS < samples\n");
    return 2;
  }
  must(treadle_model_load(argv[1], NULL, &model));
  width = sample_size(model);
  count = read_numbers(numbers);
  samples = count / (size_t)(width + 1);
  if (samples == 0 || count % (size_t)(width + 1) != 0) {
    fprintf(stderr, "expected lines of %ld numbers and a class\n", (long)width);
    return 1;
  }

  must(treadle_train_options_create(&options));
  must(treadle_train_options_set(options, "loss", "cross_entropy"));
  must(treadle_train_options_set(options, "optimizer", "adam"));
  must(treadle_train_options_set(options, "rate", "0.001"));
  must(treadle_trainer_create(argv[1], options, &trainer));
  for (i = 0; treadle_trainer_warning(trainer, (size_t)i) != NULL; ++i) {
    fprintf(stderr, "warning: %s\n", treadle_trainer_warning(trainer, (size_t)i));
  }

  dims[0] = BATCH;
  dims[1] = width;
  must(treadle_tensor_create(TREADLE_FLOAT, dims, 2, &x));
  must(treadle_tensor_create(TREADLE_INT64, dims, 1, &classes));
  result.struct_size = sizeof result;
  for (step = 0; step < atol(argv[3]); ++step) {
    const char* names[2];
    const treadle_value* values[2];
    names[0] = treadle_model_input_name(model, 0);
    names[1] = "target";
    values[0] = x;
    values[1] = classes;
    for (i = 0; i < BATCH; ++i, next = (next + 1) % samples) {
      const float* sample = numbers + next * (size_t)(width + 1);
      int64_t k;
      for (k = 0; k < width; ++k) ((float*)treadle_tensor_data(x))[i * width + k] = sample[k];
      ((int64_t*)treadle_tensor_data(classes))[i] = (int64_t)sample[width];
    }
    must(treadle_trainer_step(trainer, names, values, 2, &result));
    if (step % 100 == 0) printf("step %ld: loss %f\n", (long)step, result.loss);
  }
  must(treadle_trainer_export(trainer, argv[2], 1));

  treadle_value_release(x);
  treadle_value_release(classes);
  treadle_trainer_release(trainer);
  treadle_train_options_release(options);
  treadle_model_release(model);
  return 0;
}
