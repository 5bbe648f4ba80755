/* Treadle: operators of your own, from the application or from plugins. Included by treadle.h.
 *
 * A treadle_op describes an operator and the functions that do its work. It is added to options, by
 * the application or by a plugin, and belongs to the models that are loaded with them; nothing is
 * registered in the process. It runs on the CPU and on the reference, is planned, checked, saved
 * and reported like the library's own operators, and the optimizer moves around it without looking
 * inside.
 *
 * The callbacks get the API as a table, so a plugin need not be linked with the library. `call` is
 * one call of one callback; it and what was read through it are not valid after the callback has
 * returned. Callbacks must not throw, and must not write to inputs. They return TREADLE_OK, or
 * what `fail` returns; a function of the table that failed fails the callback too. The status and
 * the message become those of the loading or the run, which adds the node. */
#ifndef TREADLE_OP_H
#define TREADLE_OP_H

#include <treadle/treadle.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct treadle_op_call treadle_op_call;

/* Filled by the library. */
typedef struct treadle_op_tensor {
  treadle_dtype dtype; /* TREADLE_UNDEFINED: not known, or not a tensor */
  int32_t rank;        /* -1: not known; then the fields below are 0 */
  const int64_t* dims;
  size_t count; /* elements */
  size_t size;  /* bytes; 0 for strings */
  void* data;   /* null for strings */
} treadle_op_tensor;

#define TREADLE_DIM_UNKNOWN (-1)

typedef struct treadle_op_api {
  size_t struct_size; /* of the library's version: what lies behind it is not there */

  /* In every callback. */

  /* Notes the failure, and returns `status`. */
  treadle_status (*fail)(treadle_op_call* call, treadle_status status, const char* message);
  const char* (*node_name)(treadle_op_call* call);
  size_t (*input_count)(treadle_op_call* call); /* without absent ones at the end */
  size_t (*output_count)(treadle_op_call* call);
  int32_t (*has_input)(treadle_op_call* call, size_t index);
  int32_t (*has_output)(treadle_op_call* call, size_t index); /* whether anybody wants it */
  /* The node's attribute, or `fallback`, where it has none. */
  int64_t (*attribute_int)(treadle_op_call* call, const char* name, int64_t fallback);
  float (*attribute_float)(treadle_op_call* call, const char* name, float fallback);
  const char* (*attribute_string)(treadle_op_call* call, const char* name, const char* fallback);
  /* Elements of a list (null and 0 where there is none). */
  const int64_t* (*attribute_ints)(treadle_op_call* call, const char* name, size_t* count);
  const float* (*attribute_floats)(treadle_op_call* call, const char* name, size_t* count);
  /* `tensor->rank` is -1 where there is none. */
  treadle_status (*attribute_tensor)(treadle_op_call* call, const char* name,
                                     treadle_op_tensor* tensor);

  /* In `infer` and `compute`. */

  /* In `infer`: what is known of the input: data, where its elements are (constants), dtype.
   * An absent input is no failure: it has rank -1 and TREADLE_UNDEFINED. */
  treadle_status (*input)(treadle_op_call* call, size_t index, treadle_op_tensor* tensor);
  /* Element `index` of an input of strings, ended by 0, with its length (may be null) in bytes;
   * null when it is out of range or not a string. */
  const char* (*input_string)(treadle_op_call* call, size_t input, size_t index, size_t* length);

  /* In `infer`. A dimension is an int64_t: 0 and up are sizes, TREADLE_DIM_UNKNOWN is nothing, and
   * what lies below stands for an expression over symbols, to be passed on or reckoned with. */

  int32_t (*input_rank)(treadle_op_call* call, size_t index); /* -1: not known */
  int64_t (*input_dim)(treadle_op_call* call, size_t index, size_t axis);
  int64_t (*dim_add)(treadle_op_call* call, int64_t a, int64_t b);
  int64_t (*dim_subtract)(treadle_op_call* call, int64_t a, int64_t b);
  int64_t (*dim_multiply)(treadle_op_call* call, int64_t a, int64_t b);
  int64_t (*dim_divide)(treadle_op_call* call, int64_t a, int64_t b); /* rounds down */
  /* States an output. TREADLE_UNDEFINED: the dtype that the row gives it; rank -1: not known. An
   * output with a dimension that only the run can know is allocated in the run. */
  treadle_status (*set_output_type)(treadle_op_call* call, size_t index, treadle_dtype dtype,
                                    const int64_t* dims, int32_t rank);

  /* In `compute`. */

  /* Makes the output, uninitialised (strings are empty). Every output that is wanted must be made,
   * with the dtype, rank and dimensions that `infer` stated. */
  treadle_status (*output)(treadle_op_call* call, size_t index, treadle_dtype dtype,
                           const int64_t* dims, int32_t rank, treadle_op_tensor* tensor);
  treadle_status (*set_output_string)(treadle_op_call* call, size_t output, size_t index,
                                      const char* text, size_t length);
  /* Not TREADLE_OK when the run is to end: ask now and then in long work, and return it. */
  treadle_status (*poll)(treadle_op_call* call);
} treadle_op_api;

enum {
  /* Equal inputs and attributes give equal outputs: nodes may be folded and merged. */
  TREADLE_OP_PURE = 1
};

typedef struct treadle_op {
  size_t struct_size;
  const char* name;   /* as the file's op_type: letters, digits and '_' */
  const char* domain; /* as the file's domain; not ONNX's */
  /* "X:T W:T B?:T": names and types; '?' is optional, '*' (the last) any number. A type is a
   * variable of `types`, a dtype's name, or "any" (values that are no tensors cannot be read). An
   * output whose variable an input has, has its dtype. */
  const char* inputs;
  const char* outputs; /* at least one */
  /* "T=float,double U=ints": dtypes, or the sets floats ints signed unsigned numbers all; null:
   * none. */
  const char* types;
  /* "axis:i=1 pads:is mode:s!": kinds i f s is fs ss t ts tp, '!' required; null: none. What is
   * behind '=' is for readers: the callbacks give their own fallback. */
  const char* attributes;
  uint32_t flags; /* TREADLE_OP_… */
  void* user;     /* passed to the callbacks; must outlive every model that uses the operator */
  /* Called once for each node, when a model is loaded, before its types are inferred: what is made
   * of the attributes. May be null. */
  treadle_status (*create)(const treadle_op_api* api, treadle_op_call* call, void* user,
                           void** state);
  /* After the last use of `state`, on whatever thread that ends. May be null. */
  void (*destroy)(void* user, void* state);
  /* States the outputs' types. Called with more or less known of the inputs, at loading, planning,
   * and in runs, from any thread. May be null: nothing is known of the shapes before the run. */
  treadle_status (*infer)(const treadle_op_api* api, treadle_op_call* call, void* user,
                          void* state);
  /* Called from several threads at once, with the same `state`, where several sessions run; in one
   * session, one call at a time. Threads of your own must have ended when it returns. */
  treadle_status (*compute)(const treadle_op_api* api, treadle_op_call* call, void* user,
                            void* state);
  /* The full name ("domain.name") of the operator that is its gradient: its inputs are the
   * gradients of the outputs, then the inputs, then the outputs; its outputs are the gradients of
   * the inputs. Null: it cannot be trained through. */
  const char* gradient;
} treadle_op;

/* For the models that are loaded with these options from now on. TREADLE_INVALID_ARGUMENT: a
 * struct that is too short, a missing name or `compute`, a text that cannot be read, a name that
 * is taken. */
TREADLE_API treadle_status treadle_options_add_op(treadle_options* options, const treadle_op* op);

/* What a plugin is given to register its operators with. */
typedef struct treadle_plugin_host {
  size_t struct_size;
  void* context;
  treadle_status (*add_op)(void* context, const treadle_op* op);
  /* Notes a message, and returns `status`. */
  treadle_status (*fail)(void* context, treadle_status status, const char* message);
} treadle_plugin_host;

/* A plugin is a shared object that defines this function; the library does not. It returns
 * TREADLE_OK, or what the host's functions returned. */
__attribute__((visibility("default"))) treadle_status treadle_plugin_register(
    const treadle_plugin_host* host);

/* Opens a plugin and adds its operators: all, or none when it fails. It stays in the process.
 * A plugin is code of its author's choice that runs with your rights: load what you trust. */
TREADLE_API treadle_status treadle_load_plugin(treadle_options* options, const char* path);

#ifdef __cplusplus
}
#endif

#endif /* TREADLE_OP_H */
