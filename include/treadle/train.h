/* Treadle: train ONNX models. The C API of training; C99, and usable from C++. The conventions of
 * treadle.h hold; a treadle_trainer runs one call at a time. */
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
 *                   "kl", "hinge", "output" (the model's output is the loss; no target)
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
 *   accumulate      batches whose gradients make one update; default 1
 *   average         above 0: keep a moving average of the parameters, of this decay
 *   loss_scale, loss_scale_interval                for models of 16-bit floats
 *   guard           "1" (default): a step whose loss is not finite changes nothing
 *   training_form   "1" (default): BatchNormalization and Dropout train, even where the model has
 *                   them in inference form
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
 *   device, optimize */
TREADLE_API treadle_status treadle_train_options_set(treadle_train_options* options,
                                                     const char* key, const char* value);

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
/* Inference form, no update. `loss` may be null. outputs[i] gets a new value of the model's output
 * i for the first output_count ones; `outputs` may be null with a count of 0. */
TREADLE_API treadle_status treadle_trainer_eval(treadle_trainer* trainer, const char* const* names,
                                                const treadle_value* const* values, size_t count,
                                                double* loss, treadle_value** outputs,
                                                size_t output_count);
/* A copy of what the last step yielded of the option fetch. */
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

#ifdef __cplusplus
}
#endif

#endif /* TREADLE_TRAIN_H */
