/* What the tests of training share: a batch for line.onnx (y = x·w + b, see train_model.py), and
 * trainers of it. */
#ifndef TREADLE_TESTS_TRAIN_LINE_H
#define TREADLE_TESTS_TRAIN_LINE_H

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
static treadle_value* held[2];

static treadle_train_options* options_of(const char* rate) {
  treadle_train_options* options = NULL;
  CHECK(treadle_train_options_create(&options) == TREADLE_OK);
  CHECK(treadle_train_options_set(options, "optimizer", "momentum") == TREADLE_OK);
  CHECK(treadle_train_options_set(options, "rate", rate) == TREADLE_OK);
  CHECK(treadle_train_options_set(options, "gradient_norm", "1") == TREADLE_OK);
  CHECK(treadle_train_options_set(options, "fetch", "product") == TREADLE_OK);
  return options;
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

static void make_batch(void) {
  const float x[2 * ROWS] = {1, 2, -1, 0.5f, 0.25f, -2, 0.5f, 1};
  const float t[ROWS] = {1, 0, -1, 0.5f};
  batch[0] = held[0] = tensor(x, 2);
  batch[1] = held[1] = tensor(t, 1);
}

static void release_batch(void) {
  treadle_value_release(held[0]);
  treadle_value_release(held[1]);
}

#endif
