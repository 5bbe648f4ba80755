/* The C API of inference from C11: loading, naming, running in place and owned, errors, misuse, two
 * threads' sessions. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <treadle/treadle.h>

#include "check.h"

/* y = Relu(x + c), x float[N, 3], c = {1, -2, 3}: the smallest useful ModelProto, written by hand.
 */
static size_t put_bytes(unsigned char* out, unsigned char tag, const void* data, size_t size) {
  out[0] = tag;
  out[1] = (unsigned char)size;
  memcpy(out + 2, data, size);
  return size + 2;
}

static size_t put_text(unsigned char* out, unsigned char tag, const char* text) {
  return put_bytes(out, tag, text, strlen(text));
}

static size_t put_int(unsigned char* out, unsigned char tag, unsigned char value) {
  out[0] = tag;
  out[1] = value;
  return 2;
}

static size_t put_node(unsigned char* out, const char* op, const char* a, const char* b,
                       const char* y) {
  unsigned char body[64];
  size_t n = put_text(body, 0x0a, a);
  if (b != NULL) n += put_text(body + n, 0x0a, b);
  n += put_text(body + n, 0x12, y);
  n += put_text(body + n, 0x1a, op);
  n += put_text(body + n, 0x22, op);
  return put_bytes(out, 0x0a, body, n);
}

static size_t put_value(unsigned char* out, unsigned char tag, const char* name) {
  unsigned char dims[32], shape[40], tensor[48], type[56], body[80];
  unsigned char symbolic[8], fixed[8];
  const size_t a = put_text(symbolic, 0x12, "N");
  const size_t b = put_int(fixed, 0x08, 3);
  size_t n = put_bytes(dims, 0x0a, symbolic, a);
  n += put_bytes(dims + n, 0x0a, fixed, b);
  const size_t s = put_bytes(shape, 0x12, dims, n);
  size_t t = put_int(tensor, 0x08, TREADLE_FLOAT);
  memcpy(tensor + t, shape, s);
  t += s;
  const size_t y = put_bytes(type, 0x0a, tensor, t);
  size_t m = put_text(body, 0x0a, name);
  m += put_bytes(body + m, 0x12, type, y);
  return put_bytes(out, tag, body, m);
}

static size_t make_model(unsigned char* out) {
  static const float constant[3] = {1, -2, 3};
  unsigned char graph[512], init[64], opset[8];
  size_t g = put_node(graph, "Add", "x", "c", "sum");
  g += put_node(graph + g, "Relu", "sum", NULL, "y");
  g += put_text(graph + g, 0x12, "tiny");
  size_t i = put_int(init, 0x08, 3);
  i += put_int(init + i, 0x10, TREADLE_FLOAT);
  i += put_text(init + i, 0x42, "c");
  i += put_bytes(init + i, 0x4a, constant, sizeof constant);
  g += put_bytes(graph + g, 0x2a, init, i);
  g += put_value(graph + g, 0x5a, "x");
  g += put_value(graph + g, 0x62, "y");
  size_t n = put_int(out, 0x08, 8); /* ir_version */
  out[n++] = 0x3a;
  out[n++] = (unsigned char)(0x80 | (g & 0x7f));
  out[n++] = (unsigned char)(g >> 7);
  memcpy(out + n, graph, g);
  n += g;
  const size_t o = put_int(opset, 0x10, 17);
  n += put_bytes(out + n, 0x42, opset, o);
  return n;
}

static void test_errors(const treadle_model* model) {
  treadle_model* none = NULL;
  treadle_options* options = NULL;
  size_t index = 7;
  CHECK(treadle_model_load("/does/not/exist.onnx", NULL, &none) == TREADLE_IO);
  CHECK(strstr(treadle_last_error(), "/does/not/exist.onnx") != NULL);
  CHECK(treadle_model_load(NULL, NULL, &none) == TREADLE_INVALID_ARGUMENT);
  CHECK(treadle_model_load_memory("garbage!", 8, NULL, NULL, &none) == TREADLE_INVALID_MODEL);
  CHECK(none == NULL);
  CHECK(treadle_model_find_input(model, "X", &index) == TREADLE_INVALID_ARGUMENT && index == 7);
  CHECK(strstr(treadle_last_error(), "'x'") != NULL);
  CHECK(treadle_options_create(&options) == TREADLE_OK);
  CHECK(treadle_options_set(options, "thread", "1") == TREADLE_INVALID_ARGUMENT);
  CHECK(strstr(treadle_last_error(), "threads") != NULL);
  CHECK(treadle_options_set(options, "threads", "many") == TREADLE_INVALID_ARGUMENT);
  CHECK(treadle_options_set(options, "dims", "N=3,batch=1") == TREADLE_OK);
  CHECK(treadle_options_set(options, "dims", "3") == TREADLE_INVALID_ARGUMENT);
  CHECK(treadle_options_set(options, "dims", "=3") == TREADLE_INVALID_ARGUMENT);
  CHECK(treadle_options_set(options, "denoted_dims", "N=-1") == TREADLE_INVALID_ARGUMENT);
  CHECK(treadle_options_set(options, "device", "abacus") == TREADLE_OK);
  unsigned char bytes[1024];
  CHECK(treadle_model_load_memory(bytes, make_model(bytes), NULL, options, &none) ==
        TREADLE_DEVICE);
  treadle_options_release(options);
  CHECK(strcmp(treadle_status_name(TREADLE_DEVICE), "device") == 0);
  treadle_model_release(NULL);
  treadle_session_release(NULL);
  treadle_value_release(NULL);
  treadle_string_free(NULL);
}

static void test_model(const treadle_model* model) {
  treadle_type type;
  CHECK(treadle_model_input_count(model) == 1 && treadle_model_output_count(model) == 1);
  CHECK(strcmp(treadle_model_input_name(model, 0), "x") == 0);
  CHECK(treadle_model_input_name(model, 1) == NULL);
  type.struct_size = sizeof type;
  CHECK(treadle_model_input_type(model, 0, &type) == TREADLE_OK);
  CHECK(type.dtype == TREADLE_FLOAT && type.rank == 2 && type.dims[0] == -1 && type.dims[1] == 3);
  CHECK(type.kind == TREADLE_TENSOR && strcmp(type.text, "tensor(float)") == 0);
  CHECK(strcmp(treadle_model_output_dim(model, 0, 0), "N") == 0);
  type.struct_size = 4;
  CHECK(treadle_model_input_type(model, 0, &type) == TREADLE_INVALID_ARGUMENT);
}

static void test_run(treadle_session* session, int64_t rows) {
  const char* in[] = {"x"};
  const char* out[] = {"y"};
  const int64_t dims[2] = {rows, 3};
  const size_t count = (size_t)rows * 3;
  float* x = malloc(count * sizeof(float));
  float* y = malloc(count * sizeof(float));
  treadle_value *input = NULL, *placed = NULL, *owned = NULL;
  for (size_t i = 0; i < count; ++i) x[i] = (float)i - 2;
  CHECK(treadle_tensor_wrap(TREADLE_FLOAT, dims, 2, x, count * sizeof(float), &input) ==
        TREADLE_OK);
  CHECK(treadle_tensor_wrap(TREADLE_FLOAT, dims, 2, y, count * sizeof(float), &placed) ==
        TREADLE_OK);
  const treadle_value* inputs[] = {input};
  CHECK(treadle_session_run(session, in, inputs, 1, out, &placed, 1, NULL) == TREADLE_OK);
  CHECK(treadle_session_run(session, in, inputs, 1, out, &owned, 1, NULL) == TREADLE_OK);
  CHECK(owned != NULL && treadle_tensor_count(owned) == count &&
        treadle_tensor_dims(owned)[0] == rows);
  const float c[3] = {1, -2, 3};
  for (size_t i = 0; owned != NULL && i < count; ++i) {
    const float want = fmaxf(0, x[i] + c[i % 3]);
    CHECK(y[i] == want && ((const float*)treadle_tensor_data(owned))[i] == want);
  }
  treadle_value_release(input);
  treadle_value_release(placed);
  treadle_value_release(owned);
  free(x);
  free(y);
}

#if defined(__GLIBC__) && !defined(TREADLE_SANITIZED)
extern void* __libc_malloc(size_t size);
static _Thread_local int counting, calls;
__attribute__((visibility("default"))) void* malloc(size_t size) {
  calls += counting;
  return __libc_malloc(size);
}

/* A repeated run into given outputs allocates nothing, whatever its options. */
static void test_allocation(treadle_session* session) {
  const int64_t dims[2] = {2, 3};
  const char *in[] = {"x"}, *out[] = {"y"};
  treadle_value *x = NULL, *y = NULL;
  treadle_cancel* cancel = NULL;
  CHECK(treadle_tensor_create(TREADLE_FLOAT, dims, 2, &x) == TREADLE_OK);
  counting = 1;
  CHECK(treadle_tensor_create(TREADLE_FLOAT, dims, 2, &y) == TREADLE_OK);
  counting = 0;
  CHECK(calls > 0); /* they are counted */
  CHECK(treadle_cancel_create(&cancel) == TREADLE_OK);
  const treadle_run_options options = {sizeof options, 100, cancel};
  calls = 0;
  for (int i = 0; i < 4; ++i) {
    counting = i == 3;
    CHECK(treadle_session_run(session, in, (const treadle_value* const*)&x, 1, out, &y, 1,
                              &options) == TREADLE_OK);
  }
  counting = 0;
  CHECK(calls == 0);
  treadle_value_release(x);
  treadle_value_release(y);
  treadle_cancel_release(cancel);
}
#else
static void test_allocation(treadle_session* session) { (void)session; }
#endif

static void test_misuse(treadle_session* session) {
  const char* in[] = {"x"};
  const char* wrong[] = {"z"};
  const char* out[] = {"y"};
  const int64_t bad[2] = {2, 4};
  treadle_value *input = NULL, *output = NULL;
  float data[8] = {0};
  CHECK(treadle_tensor_wrap(TREADLE_FLOAT, bad, 2, data, 4, &input) == TREADLE_INVALID_ARGUMENT);
  CHECK(treadle_tensor_wrap(TREADLE_FLOAT, bad, 2, data, sizeof data, &input) == TREADLE_OK);
  const treadle_value* inputs[] = {input};
  CHECK(treadle_session_run(session, in, inputs, 1, out, &output, 1, NULL) ==
        TREADLE_INVALID_ARGUMENT);
  CHECK(strstr(treadle_last_error(), "[2, 4]") != NULL &&
        strstr(treadle_last_error(), "'x'") != NULL);
  CHECK(treadle_session_run(session, wrong, inputs, 1, out, &output, 1, NULL) ==
        TREADLE_INVALID_ARGUMENT);
  CHECK(treadle_session_run(session, in, inputs, 0, out, &output, 1, NULL) ==
        TREADLE_INVALID_ARGUMENT);
  CHECK(treadle_session_run(session, in, inputs, 1, wrong, &output, 1, NULL) ==
        TREADLE_INVALID_ARGUMENT);
  CHECK(treadle_session_run(NULL, in, inputs, 1, out, &output, 1, NULL) ==
        TREADLE_INVALID_ARGUMENT);
  CHECK(output == NULL);
  treadle_value_release(input);
}

static void test_cancel(treadle_session* session) {
  const char* in[] = {"x"};
  const char* out[] = {"y"};
  const int64_t dims[2] = {1, 3};
  treadle_value *input = NULL, *output = NULL;
  treadle_cancel* cancel = NULL;
  CHECK(treadle_tensor_create(TREADLE_FLOAT, dims, 2, &input) == TREADLE_OK);
  memset(treadle_tensor_data(input), 0, treadle_tensor_size(input));
  CHECK(treadle_cancel_create(&cancel) == TREADLE_OK);
  treadle_cancel_signal(cancel);
  const treadle_run_options options = {sizeof options, 0, cancel};
  const treadle_value* inputs[] = {input};
  CHECK(treadle_session_run(session, in, inputs, 1, out, &output, 1, &options) ==
        TREADLE_CANCELLED);
  CHECK(treadle_session_run(session, in, inputs, 1, out, &output, 1, NULL) == TREADLE_OK);
  treadle_cancel_release(cancel);
  treadle_value_release(input);
  treadle_value_release(output);
}

/* Relu(0 + c) with another c, shared; and what is refused. */
static void test_initializers(const unsigned char* bytes, size_t size) {
  static float given[3] = {5, 6, -7};
  static float zeros[3] = {0, 0, 0};
  const int64_t three = 3;
  const int64_t dims[2] = {1, 3};
  treadle_options* options = NULL;
  treadle_value* tensor = NULL;
  treadle_model* model = NULL;
  CHECK(treadle_options_create(&options) == TREADLE_OK);
  CHECK(treadle_tensor_wrap(TREADLE_FLOAT, &three, 1, given, sizeof given, &tensor) == TREADLE_OK);
  CHECK(treadle_options_set_initializer(options, "c", tensor, 1) == TREADLE_OK);
  CHECK(treadle_options_set_initializer(options, "nothing", tensor, 0) == TREADLE_OK);
  treadle_value_release(tensor);
  CHECK(treadle_model_load_memory(bytes, size, NULL, options, &model) == TREADLE_OK);
  treadle_session* session = NULL;
  treadle_value *x = NULL, *y = NULL;
  const char *in[] = {"x"}, *out[] = {"y"};
  CHECK(treadle_session_create(model, NULL, &session) == TREADLE_OK);
  CHECK(treadle_tensor_wrap(TREADLE_FLOAT, dims, 2, zeros, sizeof zeros, &x) == TREADLE_OK);
  CHECK(treadle_session_run(session, in, (const treadle_value* const*)&x, 1, out, &y, 1, NULL) ==
        TREADLE_OK);
  const float* result = treadle_tensor_const_data(y);
  CHECK(result[0] == 5 && result[1] == 6 && result[2] == 0);
  CHECK(treadle_options_set_initializer(options, "nothing", x, 1) == TREADLE_OK);
  treadle_value_release(x);
  treadle_value_release(y);
  treadle_session_release(session);
  treadle_model_release(model);
  CHECK(treadle_model_load_memory(bytes, size, NULL, options, &model) == TREADLE_INVALID_ARGUMENT);
  CHECK(strstr(treadle_last_error(), "no initializer 'nothing'") != NULL);
  CHECK(treadle_options_set_initializer(options, "c", NULL, 0) == TREADLE_INVALID_ARGUMENT);
  treadle_options_release(options);
}

/* What goes in through a constructor comes out through the accessors. */
static void test_values(void) {
  const int64_t two[1] = {2};
  const char* words[2] = {"a\0b", "c"};
  const size_t lengths[2] = {3, 1};
  int64_t keys[2] = {7, 8};
  size_t length = 0;
  treadle_value *strings = NULL, *numbers = NULL, *map = NULL, *sequence = NULL, *optional = NULL;
  treadle_value* element = NULL;
  CHECK(treadle_tensor_create_strings(two, 1, words, lengths, &strings) == TREADLE_OK);
  CHECK(memcmp(treadle_tensor_string(strings, 0, &length), "a\0b", 4) == 0 && length == 3);
  CHECK(treadle_tensor_string(strings, 2, NULL) == NULL);
  CHECK(treadle_tensor_wrap(TREADLE_INT64, two, 1, keys, sizeof keys, &numbers) == TREADLE_OK);
  CHECK(treadle_map_create(numbers, strings, &map) == TREADLE_OK);
  CHECK(treadle_value_kind(map) == TREADLE_MAP && treadle_value_count(map) == 2);
  CHECK(treadle_tensor_data(map) == NULL && treadle_tensor_dtype(map) == TREADLE_UNDEFINED);
  const treadle_value* both[2] = {numbers, strings};
  CHECK(treadle_sequence_create(both, 2, &sequence) == TREADLE_OK);
  CHECK(treadle_optional_create(sequence, &optional) == TREADLE_OK);
  treadle_value_release(sequence);
  CHECK(treadle_value_element(optional, 1, &element) == TREADLE_INVALID_ARGUMENT);
  CHECK(treadle_value_element(optional, 0, &sequence) == TREADLE_OK);
  CHECK(treadle_value_kind(sequence) == TREADLE_SEQUENCE && treadle_value_count(sequence) == 2);
  CHECK(treadle_value_element(sequence, 0, &element) == TREADLE_OK);
  CHECK(treadle_tensor_data(element) == keys && treadle_tensor_const_data(element) == keys);
  treadle_value* const all[] = {strings, numbers, map, sequence, optional, element};
  for (size_t i = 0; i < sizeof all / sizeof all[0]; ++i) treadle_value_release(all[i]);
  CHECK(treadle_optional_create(NULL, &optional) == TREADLE_OK);
  CHECK(treadle_value_count(optional) == 0);
  CHECK(treadle_map_create(optional, optional, &map) != TREADLE_OK);
  treadle_value_release(optional);
  CHECK(treadle_value_kind(NULL) == TREADLE_NONE);
}

/* An output slot is null or a tensor. */
static void test_wrong_slot(treadle_session* session) {
  const int64_t dims[2] = {1, 3};
  const char *in[] = {"x"}, *out[] = {"y"};
  treadle_value *x = NULL, *slot = NULL;
  CHECK(treadle_tensor_create(TREADLE_FLOAT, dims, 2, &x) == TREADLE_OK);
  CHECK(treadle_sequence_create(NULL, 0, &slot) == TREADLE_OK);
  treadle_value* const sequence = slot;
  CHECK(treadle_session_run(session, in, (const treadle_value* const*)&x, 1, out, &slot, 1, NULL) ==
        TREADLE_INVALID_ARGUMENT);
  CHECK(slot == sequence && treadle_value_kind(slot) == TREADLE_SEQUENCE);
  CHECK(strstr(treadle_last_error(), "'y'") != NULL);
  treadle_value_release(slot);
  treadle_value_release(x);
}

static void test_reports(treadle_session* session) {
  const char* kinds[] = {"placement", "passes", "memory", "profile"};
  char* json = NULL;
  CHECK(treadle_session_report(session, "profile", &json) == TREADLE_INVALID_ARGUMENT);
  CHECK(treadle_session_profile(session, 1) == TREADLE_OK);
  test_run(session, 2);
  for (size_t i = 0; i < 4; ++i) {
    json = NULL;
    CHECK(treadle_session_report(session, kinds[i], &json) == TREADLE_OK);
    CHECK(json != NULL && json[0] == '{');
    treadle_string_free(json);
  }
  CHECK(treadle_session_profile(session, 0) == TREADLE_OK);
  CHECK(treadle_session_trim(session) == TREADLE_OK);
}

int main(void) {
  unsigned char bytes[1024];
  treadle_model* model = NULL;
  treadle_session* session = NULL;
  CHECK(treadle_version_number() > 0);
  CHECK(treadle_model_load_memory(bytes, make_model(bytes), NULL, NULL, &model) == TREADLE_OK);
  CHECK(treadle_session_create(model, NULL, &session) == TREADLE_OK);
  if (session == NULL) return 1;
  test_model(model);
  test_errors(model);
  treadle_model_release(model); /* the session keeps what it needs */
  for (int64_t rows = 0; rows < 5; ++rows) test_run(session, rows);
  test_misuse(session);
  test_wrong_slot(session);
  test_allocation(session);
  test_cancel(session);
  test_values();
  test_initializers(bytes, make_model(bytes));
  test_reports(session);
  test_run(session, 3);
  treadle_session_release(session);
  if (failures == 0) puts("ok");
  return failures == 0 ? 0 : 1;
}
