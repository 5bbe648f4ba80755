/* The operators of operators_test.c: good ones, and one that errs in every way. */
#ifndef TESTS_C_API_OPERATORS_H
#define TESTS_C_API_OPERATORS_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <treadle/treadle.h>

#include "check.h"

/* ---- Scale: y = x * factor (1), with a state that is counted. */

typedef struct counts {
  int created, destroyed, computed;
} counts;

static treadle_status create_scale(const treadle_op_api* api, treadle_op_call* call, void* user,
                                   void** state) {
  float* factor = malloc(sizeof *factor);
  if (factor == NULL) return api->fail(call, TREADLE_OUT_OF_MEMORY, "no memory");
  *factor = api->attribute_float(call, "factor", 1);
  ++((counts*)user)->created;
  *state = factor;
  return TREADLE_OK;
}

static void destroy_scale(void* user, void* state) {
  ++((counts*)user)->destroyed;
  free(state);
}

static treadle_status infer_scale(const treadle_op_api* api, treadle_op_call* call, void* user,
                                  void* state) {
  int64_t dims[TREADLE_MAX_RANK];
  const int32_t rank = api->input_rank(call, 0);
  (void)user, (void)state;
  for (int32_t i = 0; i < rank; ++i) dims[i] = api->input_dim(call, 0, (size_t)i);
  return api->set_output_type(call, 0, TREADLE_UNDEFINED, dims, rank);
}

static treadle_status compute_scale(const treadle_op_api* api, treadle_op_call* call, void* user,
                                    void* state) {
  treadle_op_tensor x, y;
  treadle_status status = api->input(call, 0, &x);
  if (status == TREADLE_OK) status = api->output(call, 0, x.dtype, x.dims, x.rank, &y);
  if (status != TREADLE_OK) return status;
  const float factor = *(const float*)state;
  for (size_t i = 0; i < x.count; ++i) ((float*)y.data)[i] = ((const float*)x.data)[i] * factor;
  __atomic_fetch_add(&((counts*)user)->computed, 1, __ATOMIC_RELAXED);
  return api->poll(call);
}

static treadle_op scale_op(counts* user) {
  treadle_op op = {0};
  op.struct_size = sizeof op;
  op.name = "Scale";
  op.domain = "test";
  op.inputs = "X:T";
  op.outputs = "Y:T";
  op.types = "T=float";
  op.attributes = "factor:f=1";
  op.user = user;
  op.create = create_scale;
  op.destroy = destroy_scale;
  op.infer = infer_scale;
  op.compute = compute_scale;
  return op;
}

/* ---- Grow: [N, 3] to [2*N + 1, 3], zeros. Late: the same, which only the run tells. */

static treadle_status infer_grow(const treadle_op_api* api, treadle_op_call* call, void* user,
                                 void* state) {
  int64_t dims[2];
  (void)user, (void)state;
  if (api->input_rank(call, 0) != 2) return TREADLE_OK;
  dims[0] = api->dim_add(call, api->dim_multiply(call, api->input_dim(call, 0, 0), 2), 1);
  dims[1] = api->dim_divide(call, api->dim_multiply(call, api->input_dim(call, 0, 1), 2), 2);
  return api->set_output_type(call, 0, TREADLE_FLOAT, dims, 2);
}

static treadle_status compute_grow(const treadle_op_api* api, treadle_op_call* call, void* user,
                                   void* state) {
  treadle_op_tensor x, y;
  treadle_status status = api->input(call, 0, &x);
  (void)user, (void)state;
  if (status != TREADLE_OK) return status;
  const int64_t dims[2] = {2 * x.dims[0] + 1, x.dims[1]};
  status = api->output(call, 0, TREADLE_FLOAT, dims, 2, &y);
  if (status == TREADLE_OK && y.size > 0) memset(y.data, 0, y.size);
  return status;
}

/* ---- Shout: each string with a '!'. */

static treadle_status compute_shout(const treadle_op_api* api, treadle_op_call* call, void* user,
                                    void* state) {
  treadle_op_tensor x, y;
  treadle_status status = api->input(call, 0, &x);
  (void)user, (void)state;
  if (status == TREADLE_OK) status = api->output(call, 0, x.dtype, x.dims, x.rank, &y);
  for (size_t i = 0; status == TREADLE_OK && i < x.count; ++i) {
    char text[32];
    size_t length = 0;
    const char* from = api->input_string(call, 0, i, &length);
    if (from == NULL || length + 1 > sizeof text)
      return api->fail(call, TREADLE_INVALID_DATA, "too long");
    memcpy(text, from, length);
    text[length] = '!';
    status = api->set_output_string(call, 0, i, text, length + 1);
  }
  if (api->input_string(call, 0, x.count, NULL) != NULL || api->input_string(call, 9, 0, NULL))
    return api->fail(call, TREADLE_INTERNAL, "a string out of range");
  return status;
}

/* ---- Wrong: mistakes by the attribute `how`. */

static int how_is(const treadle_op_api* api, treadle_op_call* call, const char* how) {
  return strcmp(api->attribute_string(call, "how", ""), how) == 0;
}

static treadle_status create_wrong(const treadle_op_api* api, treadle_op_call* call, void* user,
                                   void** state) {
  (void)user, (void)state;
  return how_is(api, call, "load") ? api->fail(call, TREADLE_UNSUPPORTED, "never again") : 0;
}

static treadle_status infer_wrong(const treadle_op_api* api, treadle_op_call* call, void* user,
                                  void* state) {
  const int64_t dims[3] = {how_is(api, call, "dim") ? -99 : 4, 3, 1};
  (void)user, (void)state;
  if (how_is(api, call, "length")) return TREADLE_OK;
  return api->set_output_type(call, 0, TREADLE_FLOAT, dims, how_is(api, call, "rank") ? 3 : 2);
}

static treadle_status compute_wrong(const treadle_op_api* api, treadle_op_call* call, void* user,
                                    void* state) {
  const int64_t dims[2] = {4, 3};
  treadle_op_tensor y;
  (void)user, (void)state;
  if (how_is(api, call, "fail")) return api->fail(call, TREADLE_INVALID_DATA, "x is too blue");
  if (how_is(api, call, "silent")) return TREADLE_LIMIT;
  if (how_is(api, call, "status")) return 77;
  if (how_is(api, call, "nothing")) return TREADLE_OK;
  if (how_is(api, call, "index")) api->output(call, 5, TREADLE_FLOAT, dims, 2, &y);
  if (how_is(api, call, "kind")) api->attribute_int(call, "how", 0);
  if (how_is(api, call, "length")) {
    api->output(call, 0, TREADLE_STRING, dims, 2, &y);
    return api->set_output_string(call, 0, 0, "x", SIZE_MAX);
  }
  if (how_is(api, call, "outside")) api->set_output_type(call, 0, TREADLE_FLOAT, dims, 2);
  const treadle_dtype dtype = how_is(api, call, "dtype") ? TREADLE_DOUBLE : TREADLE_FLOAT;
  if (api->output(call, 0, dtype, dims, 2, &y) == TREADLE_OK) memset(y.data, 0, y.size);
  return TREADLE_OK; /* what failed above counts all the same */
}

static treadle_op plain_op(const char* name,
                           treadle_status (*compute)(const treadle_op_api*, treadle_op_call*, void*,
                                                     void*)) {
  treadle_op op = {0};
  op.struct_size = sizeof op;
  op.name = name;
  op.domain = "test";
  op.inputs = "X:any";
  op.outputs = "Y:any";
  op.attributes = "how:s";
  op.compute = compute;
  return op;
}

/* ---- Models with them, in `folder` */

static const char* folder;

static treadle_status load(const char* name, const treadle_options* options,
                           treadle_model** model) {
  char path[4096];
  *model = NULL;
  snprintf(path, sizeof path, "%s/%s.onnx", folder, name);
  return treadle_model_load(path, options, model);
}

/* Runs on x = {-1, 0, 1, …} [rows, 3]; `y` gets up to `room` elements. */
static treadle_status run(const treadle_model* model, const treadle_options* options, int64_t rows,
                          float* y, size_t room, size_t* count) {
  const char *in[] = {"x"}, *out[] = {"y"};
  const int64_t dims[2] = {rows, 3};
  float data[64];
  treadle_value *x = NULL, *result = NULL;
  treadle_session* session = NULL;
  for (int i = 0; i < 64; ++i) data[i] = (float)(i - 1);
  CHECK(treadle_session_create(model, options, &session) == TREADLE_OK);
  CHECK(treadle_tensor_wrap(TREADLE_FLOAT, dims, 2, data, (size_t)rows * 12, &x) == TREADLE_OK);
  const treadle_status status =
      treadle_session_run(session, in, (const treadle_value* const*)&x, 1, out, &result, 1, NULL);
  *count = treadle_tensor_count(result);
  if (status == TREADLE_OK && *count <= room)
    memcpy(y, treadle_tensor_data(result), treadle_tensor_size(result));
  treadle_value_release(result);
  treadle_value_release(x);
  treadle_session_release(session);
  return status;
}

#endif /* TESTS_C_API_OPERATORS_H */
