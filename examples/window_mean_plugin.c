/* A plugin with one operator: example.WindowMean(X) -> Y, the mean of each `window` neighbours
 * along the last axis, [.., N] to [.., N - window + 1]; and its gradient.
 *
 * Nothing here links with the library: the functions that the callbacks need come as a table. */
#include <stdlib.h>
#include <treadle/treadle.h>

/* Once for each node: the attribute, read and checked. */
static treadle_status create(const treadle_op_api* api, treadle_op_call* call, void* user,
                             void** state) {
  int64_t* window = malloc(sizeof *window);
  (void)user;
  if (window == NULL) return api->fail(call, TREADLE_OUT_OF_MEMORY, "out of memory");
  *window = api->attribute_int(call, "window", 0);
  if (*window < 1) {
    free(window);
    return api->fail(call, TREADLE_INVALID_MODEL, "window must be at least 1");
  }
  *state = window;
  return TREADLE_OK;
}

static void destroy(void* user, void* state) {
  (void)user;
  free(state);
}

/* The output's dtype follows from the row; its last dimension is reckoned from the input's, which
 * may be a symbol. */
static treadle_status infer(const treadle_op_api* api, treadle_op_call* call, void* user,
                            void* state) {
  const int64_t window = *(const int64_t*)state;
  const int32_t rank = api->input_rank(call, 0);
  int64_t dims[TREADLE_MAX_RANK];
  int32_t i;
  (void)user;
  if (rank == -1) return TREADLE_OK; /* not known yet */
  if (rank == 0) return api->fail(call, TREADLE_INVALID_MODEL, "X must have an axis");
  for (i = 0; i < rank; ++i) dims[i] = api->input_dim(call, 0, (size_t)i);
  dims[rank - 1] = api->dim_subtract(call, dims[rank - 1], window - 1);
  return api->set_output_type(call, 0, TREADLE_UNDEFINED, dims, rank);
}

static void mean_of_row(const float* x, int64_t width, int64_t window, float* y) {
  double sum = 0;
  int64_t i;
  for (i = 0; i < width; ++i) {
    sum += x[i];
    if (i >= window) sum -= x[i - window];
    if (i >= window - 1) y[i - window + 1] = (float)(sum / (double)window);
  }
}

/* Sessions on several threads call it at the same time: `state` is only read. */
static treadle_status compute(const treadle_op_api* api, treadle_op_call* call, void* user,
                              void* state) {
  const int64_t window = *(const int64_t*)state;
  int64_t dims[TREADLE_MAX_RANK], width, rows, i;
  treadle_op_tensor x, y;
  treadle_status status = api->input(call, 0, &x);
  (void)user;
  if (status != TREADLE_OK) return status;
  for (i = 0; i < x.rank; ++i) dims[i] = x.dims[i];
  width = x.dims[x.rank - 1];
  if (width < window) return api->fail(call, TREADLE_INVALID_DATA, "X is shorter than the window");
  dims[x.rank - 1] = width - window + 1;
  status = api->output(call, 0, x.dtype, dims, x.rank, &y);
  if (status != TREADLE_OK) return status;
  rows = (int64_t)x.count / width;
  for (i = 0; i < rows; ++i)
    mean_of_row((const float*)x.data + i * width, width, window,
                (float*)y.data + i * dims[x.rank - 1]);
  return TREADLE_OK;
}

/* The gradient (dY, X, Y) -> dX: the attributes are those of WindowMean. */

static treadle_status infer_gradient(const treadle_op_api* api, treadle_op_call* call, void* user,
                                     void* state) {
  const int32_t rank = api->input_rank(call, 1);
  int64_t dims[TREADLE_MAX_RANK];
  int32_t i;
  (void)user, (void)state;
  if (rank == -1) return TREADLE_OK;
  for (i = 0; i < rank; ++i) dims[i] = api->input_dim(call, 1, (size_t)i);
  return api->set_output_type(call, 0, TREADLE_UNDEFINED, dims, rank);
}

static treadle_status compute_gradient(const treadle_op_api* api, treadle_op_call* call, void* user,
                                       void* state) {
  const int64_t window = *(const int64_t*)state;
  int64_t width, means, row, i, k;
  treadle_op_tensor dy, x, dx;
  treadle_status status = api->input(call, 0, &dy);
  (void)user;
  if (status == TREADLE_OK) status = api->input(call, 1, &x);
  if (status == TREADLE_OK) status = api->output(call, 0, x.dtype, x.dims, x.rank, &dx);
  if (status != TREADLE_OK) return status;
  width = x.dims[x.rank - 1];
  means = width - window + 1;
  for (i = 0; i < (int64_t)x.count; ++i) ((float*)dx.data)[i] = 0;
  for (row = 0; means > 0 && row < (int64_t)dy.count / means; ++row) {
    const float* from = (const float*)dy.data + row * means;
    float* to = (float*)dx.data + row * width;
    for (i = 0; i < means; ++i)
      for (k = i; k < i + window; ++k) to[k] += from[i] / (float)window;
  }
  return TREADLE_OK;
}

treadle_status treadle_plugin_register(const treadle_plugin_host* host) {
  treadle_op op = {0}, gradient;
  treadle_status status;
  op.struct_size = sizeof op;
  op.name = "WindowMean";
  op.domain = "example";
  op.inputs = "X:T";
  op.outputs = "Y:T";
  op.types = "T=float";
  op.attributes = "window:i!";
  op.flags = TREADLE_OP_PURE;
  op.create = create;
  op.destroy = destroy;
  op.infer = infer;
  op.compute = compute;
  op.gradient = "example.WindowMeanGradient";
  status = host->add_op(host->context, &op);
  if (status != TREADLE_OK) return status;

  gradient = op;
  gradient.name = "WindowMeanGradient";
  gradient.inputs = "dY:T X:T Y:T";
  gradient.outputs = "dX:T";
  gradient.infer = infer_gradient;
  gradient.compute = compute_gradient;
  gradient.gradient = NULL;
  return host->add_op(host->context, &gradient);
}
