/* Treadle: load, optimize and run ONNX models. The C API of inference; C99, and usable from C++.
 *
 * Conventions
 *  1. Every function that can fail returns a treadle_status; TREADLE_OK is 0. The message of the
 *     last failure of the calling thread is treadle_last_error(); results are written through
 *     pointers, and only on success.
 *  2. Handles are opaque. treadle_*_release(NULL) does nothing. A handle keeps alive what it needs:
 *     a session its model, so handles may be released in any order.
 *  3. A treadle_model is immutable and may be used from any number of threads. A treadle_session
 *     runs one call at a time (another gets TREADLE_BUSY): make one a thread, they share the
 *     model's weights. A treadle_options and a treadle_value belong to one thread at a time.
 *  4. Strings that are returned are UTF-8, end in 0 and live as long as the handle they came from,
 *     unless said otherwise. Strings and arrays that are passed in are copied, but for a tensor's
 *     data (treadle_tensor_wrap).
 *  5. Tensors are row-major and dense, outermost dimension first. Counts are elements, sizes are
 *     bytes.
 *  6. Structs that the caller fills begin with struct_size: set it to sizeof the struct.
 *  7. The library never prints, aborts or exits, and keeps the caller's OpenMP settings. A child
 *     made by fork() may use what it inherited, on one thread; a session that was running in the
 *     parent at that moment is lost to it.
 *  8. Threads are OpenMP's (libgomp). By default they wait for work by spinning some milliseconds,
 *     which slows everything down where other work wants the processors: start the process with
 *     GOMP_SPINCOUNT=1000 in its environment (libgomp reads it when it is loaded).
 */
#ifndef TREADLE_TREADLE_H
#define TREADLE_TREADLE_H

#include <stddef.h>
#include <stdint.h>

#if defined(TREADLE_BUILD)
#define TREADLE_API __attribute__((visibility("default")))
#else
#define TREADLE_API
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* ---- Status and errors ---- */

typedef int32_t treadle_status;
enum {
  TREADLE_OK = 0,
  TREADLE_INVALID_ARGUMENT = 1, /* a wrong name, shape, dtype, option or null pointer */
  TREADLE_INVALID_MODEL = 2,    /* the model's bytes or graph are wrong */
  TREADLE_UNSUPPORTED = 3,      /* a valid model that needs what this build lacks */
  TREADLE_INVALID_DATA = 4,     /* input data out of its domain, found during a run */
  TREADLE_IO = 5,
  TREADLE_LIMIT = 6, /* a configured limit was reached */
  TREADLE_OUT_OF_MEMORY = 7,
  TREADLE_BUSY = 8, /* the session is running on another thread */
  TREADLE_CANCELLED = 9,
  TREADLE_TIMEOUT = 10,
  TREADLE_DEVICE = 11,  /* unknown or unavailable device */
  TREADLE_INTERNAL = 12 /* a bug of Treadle's */
};

/* "ok", "invalid argument" … Never null; static. */
TREADLE_API const char* treadle_status_name(treadle_status status);
/* The last failure of this thread: what, where (node, operator, shapes), what was expected. ""
 * before the first. Valid until the next failing call on this thread. */
TREADLE_API const char* treadle_last_error(void);
/* The node that the last failure of this thread names ("" when none); the same lifetime. */
TREADLE_API const char* treadle_last_error_node(void);

/* "0.1.0"; static. */
TREADLE_API const char* treadle_version(void);
/* major*10000 + minor*100 + patch. */
TREADLE_API int32_t treadle_version_number(void);

/* ---- Element types: numbered as ONNX numbers them ---- */

typedef int32_t treadle_dtype;
enum {
  TREADLE_UNDEFINED = 0,
  TREADLE_FLOAT = 1,
  TREADLE_UINT8 = 2,
  TREADLE_INT8 = 3,
  TREADLE_UINT16 = 4,
  TREADLE_INT16 = 5,
  TREADLE_INT32 = 6,
  TREADLE_INT64 = 7,
  TREADLE_STRING = 8,
  TREADLE_BOOL = 9,
  TREADLE_FLOAT16 = 10,
  TREADLE_DOUBLE = 11,
  TREADLE_UINT32 = 12,
  TREADLE_UINT64 = 13,
  TREADLE_COMPLEX64 = 14,
  TREADLE_COMPLEX128 = 15,
  TREADLE_BFLOAT16 = 16,
  TREADLE_FLOAT8E4M3FN = 17,
  TREADLE_FLOAT8E4M3FNUZ = 18,
  TREADLE_FLOAT8E5M2 = 19,
  TREADLE_FLOAT8E5M2FNUZ = 20,
  TREADLE_UINT4 = 21,
  TREADLE_INT4 = 22,
  TREADLE_FLOAT4E2M1 = 23,
  TREADLE_FLOAT8E8M0 = 24,
  TREADLE_UINT2 = 25,
  TREADLE_INT2 = 26,
  TREADLE_FLOAT6E2M3 = 27,
  TREADLE_FLOAT6E3M2 = 28
};
/* "float", "int64" …; static. */
TREADLE_API const char* treadle_dtype_name(treadle_dtype dtype);
/* Bits of one element; 0 for strings and unknown types. */
TREADLE_API int32_t treadle_dtype_bits(treadle_dtype dtype);

/* ---- Options: keys and values, for loading and for sessions ---- */

typedef struct treadle_options treadle_options;
TREADLE_API treadle_status treadle_options_create(treadle_options** options);
TREADLE_API void treadle_options_release(treadle_options* options);
/* Values are text; an unknown key or a bad value is TREADLE_INVALID_ARGUMENT. One set of options
 * may serve models and sessions: each reads its own keys.
 *
 * Of a model:
 *   device       "cpu" (default), "reference"
 *   fallback     "1" (default): nodes that the device lacks run on the reference;
 *                "0": they are TREADLE_UNSUPPORTED
 *   optimize     "1" (default), "0"
 *   winograd     "1" (default): 3x3 convolutions may take Winograd's algorithm, whose rounding
 *                errors are some 1e-5 of the largest result; "0": none does
 *   skip_pass    comma-separated names of optimizer passes
 *   overridable  comma-separated initializers that stay inputs, which a run may leave out; "*":
 *                all that the file lists as inputs too (none before IR version 4)
 *   dims         sizes of symbolic input dimensions, "batch=1,width=64"; names that no input
 *                has are ignored
 *   denoted_dims the same by the dimensions' denotations, "DATA_BATCH=1"
 *   plugins      comma-separated paths, each for treadle_load_plugin
 *   defer        "1" (default): weights are read from the file when they are needed, and it stays
 *                open; where it is written over before that (instead of being replaced), a run
 *                fails with TREADLE_IO. "0": everything is read at once, and kept
 *   mmap         "0" (default); "1": map the weights. A file that shrinks while mapped kills the
 *                process
 *   max_bytes    limit of one session's buffers
 *   max_nodes    limit of nodes in the file; max_depth: of nested subgraphs and functions (32);
 *                max_weight_bytes: of all its tensors
 * Of a session:
 *   threads      "0" (default): the processors that this process may use; "1": no other thread */
TREADLE_API treadle_status treadle_options_set(treadle_options* options, const char* key,
                                               const char* value);

typedef struct treadle_value treadle_value; /* see Values below */
/* In models loaded with these options the tensor stands for the file's initializer of this name,
 * whose own bytes are not read; dtype and dims must be the file's. `required` 0: it is ignored
 * where the file has no such initializer; 1: that is TREADLE_INVALID_ARGUMENT. The tensor may be
 * released; bytes that it wraps must outlive the models. */
TREADLE_API treadle_status treadle_options_set_initializer(treadle_options* options,
                                                           const char* name,
                                                           const treadle_value* tensor,
                                                           int32_t required);
/* Takes `data` for the file of external data that models name `location`. It must outlive the
 * loads, which copy what they need. */
TREADLE_API treadle_status treadle_options_set_file(treadle_options* options, const char* location,
                                                    const void* data, size_t size);
/* Random operators that state no seed go on from this one, in all sessions of the process. */
TREADLE_API void treadle_set_seed(uint64_t seed);

/* ---- Kinds of values ---- */

typedef int32_t treadle_kind;
enum {
  TREADLE_NONE = 0, /* a null handle */
  TREADLE_TENSOR = 1,
  TREADLE_SEQUENCE = 2,
  TREADLE_MAP = 3,
  TREADLE_OPTIONAL = 4
};

/* ---- Models ---- */

typedef struct treadle_model treadle_model;
/* Loads and optimizes. `options` may be null. External data is looked for in the model's folder
 * only. */
TREADLE_API treadle_status treadle_model_load(const char* path, const treadle_options* options,
                                              treadle_model** model);
/* The same from memory, which may be freed afterwards. `folder` is where external data lies; null:
 * none is allowed. */
TREADLE_API treadle_status treadle_model_load_memory(const void* data, size_t size,
                                                     const char* folder,
                                                     const treadle_options* options,
                                                     treadle_model** model);
TREADLE_API void treadle_model_release(treadle_model* model);
/* Writes the optimized model as standard ONNX, atomically. `opset` 0: the lowest that is legal. */
TREADLE_API treadle_status treadle_model_save(const treadle_model* model, const char* path,
                                              int32_t opset);

TREADLE_API size_t treadle_model_input_count(const treadle_model* model);
TREADLE_API size_t treadle_model_output_count(const treadle_model* model);
/* Null when the index is out of range. */
TREADLE_API const char* treadle_model_input_name(const treadle_model* model, size_t index);
TREADLE_API const char* treadle_model_output_name(const treadle_model* model, size_t index);
/* TREADLE_INVALID_ARGUMENT, with the close match in the message, when there is none. */
TREADLE_API treadle_status treadle_model_find_input(const treadle_model* model, const char* name,
                                                    size_t* index);
TREADLE_API treadle_status treadle_model_find_output(const treadle_model* model, const char* name,
                                                     size_t* index);

#define TREADLE_MAX_RANK 32
typedef struct treadle_type {
  size_t struct_size;
  treadle_kind kind;
  treadle_dtype dtype;            /* TREADLE_UNDEFINED: not a tensor, or not known */
  int32_t rank;                   /* -1: not known, or not a tensor */
  int64_t dims[TREADLE_MAX_RANK]; /* -1: symbolic, see treadle_model_*_dim */
  const char* text;               /* "tensor(float)", "seq(tensor(int64))", "map(int64,float)" */
} treadle_type;
TREADLE_API treadle_status treadle_model_input_type(const treadle_model* model, size_t index,
                                                    treadle_type* type);
TREADLE_API treadle_status treadle_model_output_type(const treadle_model* model, size_t index,
                                                     treadle_type* type);
/* A dimension's text: "3", "batch", "2*N + 1", "?". Null when out of range or when the rank is not
 * known. */
TREADLE_API const char* treadle_model_input_dim(const treadle_model* model, size_t index,
                                                size_t axis);
TREADLE_API const char* treadle_model_output_dim(const treadle_model* model, size_t index,
                                                 size_t axis);

/* The file's metadata_props, and what it states of producer_name, producer_version, domain,
 * model_version, graph_name and description. */
TREADLE_API size_t treadle_model_metadata_count(const treadle_model* model);
/* Null when out of range. */
TREADLE_API const char* treadle_model_metadata_key(const treadle_model* model, size_t index);
/* Null when there is no such key. */
TREADLE_API const char* treadle_model_metadata(const treadle_model* model, const char* key);

/* ---- Values: tensors, and what holds tensors ---- */

TREADLE_API void treadle_value_release(treadle_value* value);
TREADLE_API treadle_kind treadle_value_kind(const treadle_value* value);

/* Owned bytes, uninitialised. */
TREADLE_API treadle_status treadle_tensor_create(treadle_dtype dtype, const int64_t* dims,
                                                 size_t rank, treadle_value** tensor);
/* The caller's bytes, without a copy. They must outlive the tensor and every value that shares
 * them: sequences and optionals made of it, and elements of those. `size` is checked against dtype
 * and dims. The elements must be aligned to their own size; 64 bytes is fastest. */
TREADLE_API treadle_status treadle_tensor_wrap(treadle_dtype dtype, const int64_t* dims,
                                               size_t rank, void* data, size_t size,
                                               treadle_value** tensor);
/* A string tensor; `strings` (one an element, row-major) are copied. `lengths` in bytes; null: each
 * ends at its first 0. */
TREADLE_API treadle_status treadle_tensor_create_strings(const int64_t* dims, size_t rank,
                                                         const char* const* strings,
                                                         const size_t* lengths,
                                                         treadle_value** tensor);
/* Of a value that is no tensor: TREADLE_UNDEFINED, 0, null. */
TREADLE_API treadle_dtype treadle_tensor_dtype(const treadle_value* tensor);
TREADLE_API size_t treadle_tensor_rank(const treadle_value* tensor);
TREADLE_API const int64_t* treadle_tensor_dims(const treadle_value* tensor);
TREADLE_API size_t treadle_tensor_count(const treadle_value* tensor); /* elements */
TREADLE_API size_t treadle_tensor_size(const treadle_value* tensor);  /* bytes; 0 for strings */
TREADLE_API void* treadle_tensor_data(treadle_value* tensor);         /* null for strings */
TREADLE_API const void* treadle_tensor_const_data(const treadle_value* tensor); /* the same */
/* Element `index` of a string tensor, ended by 0; null when it is out of range or not a string
 * tensor. `length`, when not null, gets its bytes. */
TREADLE_API const char* treadle_tensor_string(const treadle_value* tensor, size_t index,
                                              size_t* length);

/* Values that share the bytes of the given elements, which the caller may release. */
TREADLE_API treadle_status treadle_sequence_create(const treadle_value* const* elements,
                                                   size_t count, treadle_value** sequence);
/* `element` null: the optional is empty. */
TREADLE_API treadle_status treadle_optional_create(const treadle_value* element,
                                                   treadle_value** optional);
/* `keys`: a tensor [N] of int64 or strings; `values`: a tensor [N]. */
TREADLE_API treadle_status treadle_map_create(const treadle_value* keys,
                                              const treadle_value* values, treadle_value** map);
/* What a value holds: a sequence its elements, an optional none or one, a map two (the tensor of
 * its keys and the tensor of its values), a tensor nothing. */
TREADLE_API size_t treadle_value_count(const treadle_value* value);
/* A new handle, which shares the element's bytes and which the caller releases. */
TREADLE_API treadle_status treadle_value_element(const treadle_value* value, size_t index,
                                                 treadle_value** element);

/* ---- Cancelling ---- */

typedef struct treadle_cancel treadle_cancel;
TREADLE_API treadle_status treadle_cancel_create(treadle_cancel** cancel);
/* From any thread; runs that were given it end with TREADLE_CANCELLED at their next step, and the
 * session stays usable. It stays signalled. */
TREADLE_API void treadle_cancel_signal(treadle_cancel* cancel);
TREADLE_API void treadle_cancel_release(treadle_cancel* cancel); /* after the runs that use it */

/* ---- Sessions ---- */

typedef struct treadle_session treadle_session;
/* `options` may be null. */
TREADLE_API treadle_status treadle_session_create(const treadle_model* model,
                                                  const treadle_options* options,
                                                  treadle_session** session);
TREADLE_API void treadle_session_release(treadle_session* session);

typedef struct treadle_run_options {
  size_t struct_size;
  double timeout_seconds;       /* 0: none; else TREADLE_TIMEOUT at the next step after it */
  const treadle_cancel* cancel; /* may be null */
} treadle_run_options;

/* Runs by name. Inputs in any order; every input of the model is needed; an output's buffer must
 * not overlap an input's or another output's. For each wanted output:
 * outputs[i] null on entry gets a new value, which the caller releases; else the tensor given is
 * filled in place and must have the output's dtype and dims. Only what the wanted outputs need is
 * computed. `options` may be null. */
TREADLE_API treadle_status treadle_session_run(treadle_session* session,
                                               const char* const* input_names,
                                               const treadle_value* const* inputs,
                                               size_t input_count, const char* const* output_names,
                                               treadle_value** outputs, size_t output_count,
                                               const treadle_run_options* options);
/* A report as JSON: "placement" (every step: node, operator, backend, kernel, why not the device),
 * "passes" (what the optimizer did), "memory", "profile" (times since treadle_session_profile).
 * Symbolic input dimensions count as 1 for "placement". Free it by treadle_string_free. */
TREADLE_API treadle_status treadle_session_report(treadle_session* session, const char* what,
                                                  char** json);
TREADLE_API void treadle_string_free(char* text);
/* Starts (1) or stops (0) measuring each step of the runs; starting forgets earlier times. */
TREADLE_API treadle_status treadle_session_profile(treadle_session* session, int32_t on);
/* Gives back the session's buffers and the model's cached plans, which its sessions share; the next
 * run of each makes them again. */
TREADLE_API treadle_status treadle_session_trim(treadle_session* session);

#ifdef __cplusplus
}
#endif

#include <treadle/op.h>

#endif /* TREADLE_TREADLE_H */
