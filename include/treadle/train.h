/* Treadle: train ONNX models. The C API of training; C99, and usable from C++. The conventions of
 * treadle.h hold; a treadle_trainer runs one call at a time. Another one meanwhile, from any thread
 * or a hook, is TREADLE_BUSY (for events, see treadle_event_callback); names, types and counts may
 * be asked for at any time. */
#ifndef TREADLE_TRAIN_H
#define TREADLE_TRAIN_H

#include <treadle/treadle.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- Options: keys and values ---- */

typedef struct treadle_train_options treadle_train_options;
TREADLE_API treadle_status treadle_train_options_create(treadle_train_options** options);
TREADLE_API void treadle_train_options_release(treadle_train_options* options);
/* Values are text, lists are comma-separated; an unknown key or a bad value is
 * TREADLE_INVALID_ARGUMENT.
 *
 * The loss, of one of the model's outputs and a target:
 *   loss            "mse" (default), "l1", "huber", "cross_entropy", "nll", "bce_with_logits",
 *                   "kl", "hinge", "output" (the model's output is the loss; no target); a formula
 *                   over values of the model and arrays of the batch, which has parentheses:
 *                   "mean((output - target)^2) + 0.1 * mean(abs(batch.share * aux))"; or the path
 *                   of an ONNX file (.onnx) with one output, the loss. Its inputs are the model's
 *                   values of the same names; a batch must hold the others
 *   loss_output     the name of that output; default: the first
 *   target          the name of the target in a batch; default "target"
 *   reduction       "mean" (default), "sum"
 *   label_smoothing, ignore_index, class_weights   of cross_entropy (and nll)
 *   delta           of huber and hinge
 * The update:
 *   optimizer       "sgd" (default), "momentum", "nesterov", "adagrad", "rmsprop", "adadelta",
 *                   "adam", "adamw", "lion", "lamb"
 *   momentum, rho, beta1, beta2, epsilon           default: the optimizer's own
 *   weight_decay, decoupled_decay ("0", "1"), clip_norm, clip_value
 *   freeze          patterns (* and ?) of names of parameters that stay as they are
 *   rates           PATTERN=FACTOR, …: times the learning rate
 *   decays          PATTERN=FACTOR, …: times the weight decay
 *   accumulate      batches whose gradients are averaged for one update; default 1. "0": their sums
 *                   wait for treadle_trainer_apply
 *   average         above 0: keep a moving average of the parameters, of this decay
 *   loss_scale, loss_scale_interval                for models of 16-bit floats
 *   guard           "1" (default): a step whose loss is not finite changes nothing
 *   training_form   "1" (default): BatchNormalization and Dropout train, even where the model has
 *                   them in inference form
 *   straight_through "1" (default): gradients pass QuantizeLinear as if it did not round, within
 *                   its range (quantization-aware training)
 *   seed            of Dropout
 *   fetch           names of values, or grad:NAME, for treadle_trainer_fetched
 *   gradient_norm   "1": report it
 * The learning rate:
 *   rate            default 0.01
 *   schedule        "constant" (default), "step", "multistep", "exponential", "inverse",
 *                   "polynomial", "cosine", "one_cycle", "plateau"
 *   gamma, power, last_rate, rise, period, milestones, steps, warm_up, patience, threshold
 * The machine:
 *   threads         default "1"; results are the same bit for bit at the same count
 *   device, optimize
 *   memory_budget   bytes of a step's buffers, also as "500MB" (parameters and slots not counted).
 *                   Where it needs more, values of the forward pass are made again in the backward
 *                   pass instead of being kept, as far as that helps; results stay the same bit for
 *                   bit. "0" (default): as far as it takes about 2 % of the time; "none": never
 * Operators of your own:
 *   plugins         paths, each as treadle_load_plugin takes it */
TREADLE_API treadle_status treadle_train_options_set(treadle_train_options* options,
                                                     const char* key, const char* value);
/* As treadle_options_add_op. It is trained through where it names its gradient, which is added the
 * same way. */
TREADLE_API treadle_status treadle_train_options_add_op(treadle_train_options* options,
                                                        const treadle_op* op);

/* Sees a value of a training step as it is made. What it writes to the tensor, the rest of the step
 * sees; the tensor is not valid afterwards. Not 0: the step ends with TREADLE_CANCELLED, and some
 * parameters may have been updated. */
typedef int32_t (*treadle_hook)(void* user, const char* name, treadle_value* value);
/* `name`: a value of the model, as the file calls it; "grad:NAME", the gradient of the loss by one;
 * "part:NAME", each of the gradients that its readers yield, before they are summed to that.
 * Called by the thread that steps, and again where the cause of a loss that is not finite is looked
 * for. */
TREADLE_API treadle_status treadle_train_options_add_hook(treadle_train_options* options,
                                                          const char* name, treadle_hook hook,
                                                          void* user);

/* ---- Trainers ---- */

typedef struct treadle_trainer treadle_trainer;
/* The model is read as the file has it. `options` may be null. TREADLE_UNSUPPORTED names every node
 * without a gradient at once. */
TREADLE_API treadle_status treadle_trainer_create(const char* model_path,
                                                  const treadle_train_options* options,
                                                  treadle_trainer** trainer);
TREADLE_API treadle_status treadle_trainer_create_memory(const void* model, size_t size,
                                                         const treadle_train_options* options,
                                                         treadle_trainer** trainer);
TREADLE_API void treadle_trainer_release(treadle_trainer* trainer);
/* What was noticed at creation, such as parameters that the loss does not depend on; null from the
 * first index on that has none. */
TREADLE_API const char* treadle_trainer_warning(const treadle_trainer* trainer, size_t index);

/* What a batch holds: the inputs of the model, and the target where the loss takes one. Null from
 * the first index on that has none. */
TREADLE_API const char* treadle_trainer_input_name(const treadle_trainer* trainer, size_t index);
TREADLE_API treadle_status treadle_trainer_input_type(const treadle_trainer* trainer, size_t index,
                                                      treadle_type* type);
/* The model's. Null from the first index on that has none. */
TREADLE_API const char* treadle_trainer_output_name(const treadle_trainer* trainer, size_t index);

typedef struct treadle_step_result {
  size_t struct_size;
  double loss;     /* of the batch, before the update */
  double rate;     /* the learning rate that was used */
  double norm;     /* of the gradients, where the option gradient_norm asks for it; else 0 */
  int32_t updated; /* 0: gradients were added only, or overflowed under loss scaling */
} treadle_step_result;

/* One batch forward and back, and the update. `names` and `values` hold every input of the model
 * and the target, in any order. `result` may be null. TREADLE_INVALID_DATA where the loss is not
 * finite, naming the first node whose result is not. */
TREADLE_API treadle_status treadle_trainer_step(treadle_trainer* trainer, const char* const* names,
                                                const treadle_value* const* values, size_t count,
                                                treadle_step_result* result);
/* With the option accumulate "0", the two halves of a step. The first one adds the gradients of a
 * batch to their sums; in `result`, `updated` is 0. */
TREADLE_API treadle_status treadle_trainer_accumulate(treadle_trainer* trainer,
                                                      const char* const* names,
                                                      const treadle_value* const* values,
                                                      size_t count, treadle_step_result* result);
/* An update by `factor` times the sums (1/n: the mean of n batches), which then are zero; in
 * `result`, the loss is 0. */
TREADLE_API treadle_status treadle_trainer_apply(treadle_trainer* trainer, double factor,
                                                 treadle_step_result* result);
/* Forgets the sums. */
TREADLE_API treadle_status treadle_trainer_zero(treadle_trainer* trainer);
/* Inference form, no update. `loss` may be null. outputs[i] gets a new value of the model's output
 * i for the first output_count ones; `outputs` may be null with a count of 0. */
TREADLE_API treadle_status treadle_trainer_eval(treadle_trainer* trainer, const char* const* names,
                                                const treadle_value* const* values, size_t count,
                                                double* loss, treadle_value** outputs,
                                                size_t output_count);
/* A copy of what the last batch yielded of the option fetch. */
TREADLE_API treadle_status treadle_trainer_fetched(const treadle_trainer* trainer, const char* name,
                                                   treadle_value** value);

/* Updates made so far. */
TREADLE_API int64_t treadle_trainer_steps(const treadle_trainer* trainer);
/* The learning rate of the next step. */
TREADLE_API double treadle_trainer_rate(const treadle_trainer* trainer);
/* Instead of the schedule's; below 0: the schedule's again. */
TREADLE_API treadle_status treadle_trainer_set_rate(treadle_trainer* trainer, double rate);
/* Tells the schedule "plateau" what an epoch measured; less is better. */
TREADLE_API treadle_status treadle_trainer_measured(treadle_trainer* trainer, double value);

/* ---- Parameters: by name, and all of them as one buffer of floats in their order ---- */

/* The name of a parameter; null from the first index on that has none. */
TREADLE_API const char* treadle_trainer_parameter_name(const treadle_trainer* trainer,
                                                       size_t index);
/* Copies. Running statistics and the optimizer's slots have names too: "velocity/NAME" and the
 * like. */
TREADLE_API treadle_status treadle_trainer_get(const treadle_trainer* trainer, const char* name,
                                               treadle_value** value);
TREADLE_API treadle_status treadle_trainer_set(treadle_trainer* trainer, const char* name,
                                               const treadle_value* value);
/* How many numbers all parameters hold. */
TREADLE_API size_t treadle_trainer_parameter_count(const treadle_trainer* trainer);
/* `count` must be that. */
TREADLE_API treadle_status treadle_trainer_get_parameters(const treadle_trainer* trainer, float* to,
                                                          size_t count);
TREADLE_API treadle_status treadle_trainer_set_parameters(treadle_trainer* trainer,
                                                          const float* from, size_t count);

/* ---- Files ---- */

/* A checkpoint, from which a trainer of the same model and options goes on bit for bit. Written
 * atomically. */
TREADLE_API treadle_status treadle_trainer_save(const treadle_trainer* trainer, const char* path);
/* TREADLE_INVALID_DATA where the file is damaged, TREADLE_INVALID_ARGUMENT where it belongs to
 * other options; then nothing has changed. */
TREADLE_API treadle_status treadle_trainer_load(treadle_trainer* trainer, const char* path);
/* The trained model as ONNX in inference form: dropout and loss gone, names and metadata kept.
 * `fold_batchnorm` 1: into the weights. */
TREADLE_API treadle_status treadle_trainer_export(const treadle_trainer* trainer, const char* path,
                                                  int32_t fold_batchnorm);

/* ---- Fitting: epochs of batches of samples in memory ---- */

enum {
  TREADLE_STARTED = 0, /* text: warnings, a line each */
  TREADLE_EPOCH_STARTED = 1,
  TREADLE_STEP_STARTED = 2,
  TREADLE_STEP_COMPLETED = 3,  /* numbers: loss, rate, gradient_norm where asked for */
  TREADLE_EPOCH_COMPLETED = 4, /* numbers: train_loss, val_loss, metrics of validation, seconds */
  TREADLE_EXCEPTION = 5,       /* text: what went wrong; the call then fails with it */
  TREADLE_COMPLETED = 6        /* numbers: of the last epoch */
};
typedef struct treadle_event {
  size_t struct_size;
  int32_t kind;
  int64_t epoch;          /* from 1 */
  int64_t step;           /* updates so far */
  int64_t batch, batches; /* done, and all of the epoch */
  size_t number_count;
  const char* const* names; /* of the numbers */
  const double* numbers;
  const char* text; /* never null */
} treadle_event;
/* What it is given is valid during the call. Not 0: the fit ends after this step, and saves. It may
 * read, set, evaluate, save and export the trainer; what trains or loads is TREADLE_BUSY. */
typedef int32_t (*treadle_event_callback)(void* user, const treadle_event* event);

/* Samples: a tensor [samples, …] for each input of the model, and one for the target. Not copied:
 * they must stay as they are during the call. */
typedef struct treadle_samples {
  const char* const* names;
  const treadle_value* const* values;
  size_t count;
} treadle_samples;

typedef struct treadle_fit_options {
  size_t struct_size;
  int64_t epochs;      /* either this or steps is above 0 */
  int64_t steps;       /* beside those made before; with resume: all of them */
  int64_t batch;       /* samples a step; 0: 32 */
  uint64_t seed;       /* of the order */
  int32_t in_order;    /* 1: samples are not shuffled */
  int32_t drop_last;   /* 1: the batch that is not full is left out */
  int32_t threads;     /* that prepare batches; 0: the trainer's own */
  int64_t patience;    /* epochs without a better monitor that end the fit; 0: none do */
  const char* monitor; /* null: "val_loss" */
  const char* out;     /* a folder for checkpoints, metrics and curves; null: nothing is kept */
  int32_t resume;      /* 1: from the newest checkpoint of `out`, where there is one */
  int64_t checkpoint_steps;        /* a checkpoint also every so many steps; 0: after epochs only */
  treadle_event_callback on_event; /* may be null */
  void* user;
  treadle_cancel* cancel; /* ends the fit after a step, and saves; may be null */
} treadle_fit_options;

typedef struct treadle_fit_result {
  size_t struct_size;
  int64_t steps;
  int64_t epochs; /* of this call */
  double best;    /* of the monitor; 0 where nothing was measured */
  int32_t stopped_early;
  int32_t cancelled;
} treadle_fit_result;

/* Trains on `train`; `val` (may be null) is measured after each epoch. `result` may be null.
 * Integer targets are classes. */
TREADLE_API treadle_status treadle_trainer_fit(treadle_trainer* trainer,
                                               const treadle_samples* train,
                                               const treadle_samples* val,
                                               const treadle_fit_options* options,
                                               treadle_fit_result* result);

/* Samples in files, as `treadle train --data` takes them: a folder of pictures or sounds for each
 * class, pictures with masks, text, CSV, NumPy arrays, IDX, CIFAR, HDF5, LMDB. */
typedef struct treadle_data {
  size_t struct_size;
  const char* path; /* a file or a folder */
  /* Fields data.…, augment.… and loader.batch_sizes, loader.ahead, loader.skip_broken of
   * docs/training.md, with texts as treadle_train_options_set has them: "data.format", "npz". Null
   * with a count of 0. */
  const char* const* keys;
  const char* const* values;
  size_t count;
} treadle_data;

/* Trains on the data's part for training, and validates on the other one. Pictures get the size
 * that the model takes; the options' seed is that of a split too. Means and deviations of the
 * inputs, and the names of classes, become metadata of the model. TREADLE_UNSUPPORTED where the
 * library was built without formats of data. */
TREADLE_API treadle_status treadle_trainer_fit_data(treadle_trainer* trainer,
                                                    const treadle_data* data,
                                                    const treadle_fit_options* options,
                                                    treadle_fit_result* result);

/* ---- Networks to start from ---- */

/* A network that is described layer by layer. After an error, it is of no more use. */
typedef struct treadle_network treadle_network;
/* Initial values depend on the seed and the layers' names. */
TREADLE_API treadle_status treadle_network_create(uint64_t seed, treadle_network** network);
TREADLE_API void treadle_network_release(treadle_network* network);
/* A dimension below 0 is open: the first one the batch's, "N". `value` gets the number by which
 * layers and outputs name what they take. */
TREADLE_API treadle_status treadle_network_input(treadle_network* network, const char* name,
                                                 treadle_dtype dtype, const int64_t* dims,
                                                 size_t rank, size_t* value);
/* `settings`: space-separated KEY=VALUE, lists with commas. Its parameters begin with `name`.
 *
 *   linear              units, bias (1); of the last axis
 *   conv                filters, kernel (3), stride (1), pad (-1: keeps the size at stride 1),
 *                       dilation (1), groups (1), bias (1); of [N, C, H, W]
 *   conv_transpose      filters, kernel (2), stride (2), pad (0), output_padding (0), bias (1)
 *   batch_norm layer_norm flatten global_average_pool
 *   max_pool average_pool   kernel (2), stride (the kernel's), pad (0)
 *   dropout             ratio (0.5)
 *   embedding           count, width; of integers
 *   lstm                width; of [N, T, C]
 *   reshape             shape; 0: as it is, -1: the rest
 * linear, conv, conv_transpose, embedding and lstm take initializer too ("he", "xavier_uniform",
 * "normal" …). Every operator of ONNX is a kind as well, its attributes the settings: Relu, Add,
 * Concat ("axis=1").
 *
 * TREADLE_INVALID_ARGUMENT names the layer: an unknown kind or key, inputs that do not fit. */
TREADLE_API treadle_status treadle_network_layer(treadle_network* network, const char* kind,
                                                 const char* name, const size_t* inputs,
                                                 size_t count, const char* settings, size_t* value);
TREADLE_API treadle_status treadle_network_output(treadle_network* network, const char* name,
                                                  size_t value);
/* The network as the bytes of an ONNX file, for treadle_string_free. */
TREADLE_API treadle_status treadle_network_model(const treadle_network* network, char** model,
                                                 size_t* size);
/* The same of a well-known network: "mlp", "cnn", "lenet", "resnet18", "mobilenetv2", "unet",
 * "char-rnn", "transformer". Settings: classes, input_shape (1,28,28), hidden, filters, dropout. */
TREADLE_API treadle_status treadle_network_known(const char* kind, const char* settings,
                                                 uint64_t seed, char** model, size_t* size);

#ifdef __cplusplus
}
#endif

#endif /* TREADLE_TRAIN_H */
