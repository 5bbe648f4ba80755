// THE list of subcommands. Each has just the flags that it honours.
#include "tools/treadle/command.h"
#include "tools/treadle/grad.h"

namespace treadle::tool {
namespace {

using Flags = std::vector<Flag>;

const Flag kJson = {"--json", "", "print one JSON object and nothing else"};
const Flag kThreads = {"--threads", "N",
                       "threads to compute with (default: the processors this process may use)"};
const Flag kShape = {"--shape", "NAME:1x3x8",
                     "sizes of an input, or SYMBOL=8: of a dimension; several by commas"};

const Flag kPlugin = {"--plugin", "FILE", "a shared object with operators; may be given again"};
const Flags kLoad = {
    kPlugin,
    {"--overridable", "A,B", "initializers that stay inputs"},
};
const Flags kPasses = {
    {"--skip-pass", "A,B", "leave out these optimizer passes (optimize --list-passes names them)"},
    {"--pass", "A,B", "run only these optimizer passes"},
    {"--stop-after", "N", "stop the optimizer after N rewrites"},
    {"--fold-limit", "BYTES", "that computing a node beforehand may add to the weights (4194304)"},
};
const Flags kRunning = {
    {"--device", "DEVICE", "cpu (default) or reference"},
    {"--no-fallback", "", "fail where the device does not run a node"},
    {"--no-optimize", "", "run the graph as it is"},
    {"--no-winograd", "", "convolutions by direct sums: more exact, slower"},
};

const Flags kInputs = {
    {"--input", "[NAME=]FILE",
     "an input: .npy .npz .json .pb .bin .jpg .png, - for the standard input, or NAME= and the "
     "numbers, as in x=16000 or x=[1,2]"},
    kShape,
    {"--fill", "random|zeros|ones",
     "inputs without a file; random: floats ~N(0,1), integers 0 or 1, bools true"},
    {"--val-range", "LOW,HIGH", "random numbers lie in it, as in 0,255"},
    {"--seed", "N", "of the random numbers (0)"},
};
const Flags kPictures = {
    {"--scale", "X", "0..255 times it (1/255; 1 for integer inputs), then"},
    {"--mean", "A,B,C", "less this, a number or one a channel in its order (0), then"},
    {"--std", "A,B,C", "divided by this (1)"},
    {"--color", "rgb|bgr", "order of the channels (rgb)"},
    {"--resize", "crop|stretch", "short side and centre crop, or both sides (crop)"},
    {"--layout", "nchw|nhwc", "layout of the input (from its shape)"},
};
const Flags kTolerance = {
    {"--rtol", "[OUTPUT:]X", "relative tolerance of floats (1e-3); several by commas"},
    {"--atol", "[OUTPUT:]X", "absolute tolerance (1e-4)"},
};

const Flags kRun = {
    {"--test-data", "DIR",
     "input_N.pb, output_N.pb (or folders test_data_set_N): compare, exit 1 when apart"},
    {"--outputs", "A,B|all", "compute these outputs only; all: every tensor after optimizing"},
    {"--save-outputs", "FILE",
     "write the outputs to an .npz, or the only one to an .npy; -: an .npz to the standard output"},
    {"--assert-outputs", "FILE.npz", "compare with its arrays by name, exit 1 when apart"},
    {"--check-nan", "", "exit 1 where an output holds NaN, naming it"},
    {"--topk", "N", "the N largest of the first output along its last axis (5 with --labels)"},
    {"--labels", "FILE",
     "names for --topk: a line each, or lines 'index,name' (the model's own, treadle.classes)"},
    {"--timeout", "SECONDS", "give up after so long"},
    {"--training-steps", "N",
     "instead: so many steps of the training that the file itself holds (TrainingInfoProto)"},
    {"--no-initialization", "", "of such a training: begin with the weights as they are"},
    {"--save-model", "FILE", "the file again, with what such steps made of the weights"},
};
const Flag kBatchSize = {"--batch-size", "N",
                         "samples of a batch (1), where the leading dimension is symbolic"};
const Flags kBench = {
    {"--duration", "SECONDS", "measure for so long (2)"},
    {"--iterations", "N", "measure so many runs instead"},
    {"--export-times", "FILE", "write the time of each run as JSON, in their order"},
    {"--warmup", "N", "runs before measuring (3)"},
    {"--percentiles", "P,Q", "which ones to tell of the times (90,99), as in 50,95,99.9"},
    {"--concurrency", "N", "so many sessions at once, each of its share of the threads (1)"},
    kBatchSize,
    {"--sweep", "batch=1,2,4",
     "a row each: batch=, threads= or concurrency=; given again, each with each"},
    {"--compare", "BASE.json", "how much slower the median is than in this earlier --json"},
    {"--fail-if-slower", "PERCENT", "exit 1 where the median is more than this above the base's"},
};
const Flags kTraining = {
    {"--train", "", "steps of training instead of runs", "Training"},
    {"--loss", "KIND", "mse (default), cross_entropy, l1 ...; a formula, FILE.onnx", "Training"},
    {"--optimizer", "RULE", "sgd (default), momentum, adam, adamw ...", "Training"},
    {"--lr", "X", "the learning rate (0.01)", "Training"},
    {"--batch", "FILE.npz", "the batch: the inputs by name, and the target", "Training"},
    {"--memory-budget", "BYTES",
     "of a step's buffers, as 500MB: values are made again instead of being kept", "Training"},
    {"--set", "KEY=VALUE", "another option of training, as train.h names them", "Training"},
};
const Flags kInspect = {
    kShape,
    {"--show", "PARTS",
     "in detail, by commas: layers ops memory placement passes weights metadata attrs"},
    {"--dot", "FILE", "write the optimized graph for Graphviz"},
    {"--json", "", "print one JSON object: the summary, and the parts of --show"},
};
const Flags kProfile = {
    kBatchSize,
    {"--iterations", "N", "runs (20)"},
    {"--fastest", "", "the least time of each step, not the mean: for a busy machine"},
    {"--top", "N", "show the N slowest (all, in the order of the run)"},
    {"--sort", "order|time|op|node", "the order of the table (order; time with --top)"},
    {"--trace", "FILE", "write a Chrome trace (chrome://tracing, Perfetto)"},
};
const Flags kOptimize = {
    {"--opset", "N", "write this opset at most (default: the lowest that every node allows)"},
    {"--external-data", "", "write the weights beside the model, to OUT.data"},
    {"--no-check", "", "do not compare with the original"},
    {"--overwrite-input-shape", "NAME:1x3x8",
     "the written model takes just these sizes, or SYMBOL=8; several by commas"},
    {"--print-after", "PASS", "print the graph as it is after this pass, in ONNX's text form"},
    {"--list-passes", "", "name the passes in their order, and do nothing"},
};
const Flags kCompare = {
    {"--devices", "A,B", "one model on two devices, as in cpu,reference"},
    {"--reference", "onnxruntime",
     "beside onnxruntime, run by $TREADLE_PYTHON (python3), which must have it"},
    {"--all-layers", "", "compare every tensor that both have, not only the outputs"},
    {"--stat", "STATISTIC",
     "of the errors, that must be within the tolerances: max (default), mean, median, quantile "
     "(0.99), quantile:X"},
    {"--cosine", "[OUTPUT:]X", "similarity as vectors at least; tolerances count only if given"},
    {"--psnr", "[OUTPUT:]X",
     "signal to noise in dB at least, against the largest of B; tolerances likewise"},
    {"--save-diff", "FILE.npz", "write A - B by the tensors' names"},
};

const Flags kNew = {
    {"--classes", "N", "classes, or tokens (10)"},
    {"--input-shape", "1x28x28", "of a sample, without the batch (the kind's usual one)"},
    {"--hidden", "128,64",
     "of mlp: units of each layer; of char-rnn, transformer: the width (128)"},
    {"--filters", "N", "of cnn, unet: filters of the first layer"},
    {"--dropout", "X", "of cnn, mobilenetv2 (0.2)"},
    {"--seed", "N", "of the initial values (0)"},
};

const Flags kJob = {
    {"--data", "PATH", "a folder or file (see --fields, data.*)"},
    {"--format", "FORMAT", "images masks text idx cifar csv npz wav hdf5 lmdb (auto)"},
    {"--val-split", "X", "the share of validation where the data have no parts of their own (0.2)"},
    {"--channels", "N", "of pictures: 1 or 3"},
    {"--target", "NAME", "the array of an npz (target), the column of a csv (the last)"},
    {"--mean", "A,B,C", "less this, a number a channel (measured), then"},
    {"--std", "A,B,C", "divided by this"},
    {"--loss", "KIND",
     "cross_entropy (of classes), mse (of numbers), nll l1 huber bce_with_logits kl hinge; a "
     "formula, FILE.onnx"},
    {"--batch-size", "N", "samples a step (32)"},
    {"--seed", "N", "of everything that is drawn (0)"},
    {"--threads", "N", "that compute (1)"},
    kPlugin,
};
const Flags kFitting = {
    {"--optimizer", "RULE",
     "sgd momentum nesterov adagrad rmsprop adadelta adam adamw lion lamb (adam)"},
    {"--lr", "X", "the learning rate"},
    {"--schedule", "KIND",
     "constant step multistep exponential inverse polynomial cosine one_cycle plateau"},
    {"--epochs", "N", "how often all samples are seen (10), or"},
    {"--steps", "N", "how many updates are made"},
    {"--no-shuffle", "", "samples in their order"},
    {"--freeze", "A,B", "patterns of names of what does not train"},
    {"--memory-budget", "BYTES",
     "of a step's buffers, as 500MB: values are made again instead of being kept"},
    {"--out", "DIR",
     "the folder of the run: metrics, checkpoints, model.onnx; of a sweep: its trials (sweep)"},
    {"--resume", "", "go on from the newest checkpoint in --out"},
};
const Flags kTrain = {
    {"--training-info", "",
     "a step is what the file itself says (TrainingInfoProto): its loss, gradients and update"},
    {"--training-loss", "NAME", "of such a training: the output that is the loss"},
    {"--no-initialization", "", "of such a training: begin with the weights as they are"},
    {"--find-lr", "", "tell the losses at rising learning rates, and train nothing"},
    {"--fields", "", "list the fields of a job as Markdown"},
};
const Flags kFinetune = {
    {"--train-last", "K", "train only the last K layers"},
    {"--replace-head", "N", "a new last layer (done anyway where the data have other classes)"},
    {"--lora", "R", "train matrices of rank R beside the old ones"},
};
const Flags kExport = {
    {"--best", "", "the best checkpoint, not the newest"},
    {"--averaged", "", "the average of the parameters"},
    {"--fold-batchnorm", "", "into the weights before it"},
    {"--embed-preprocess", "", "the model takes bytes 0..255 as floats and normalizes itself"},
    {"--opset", "N", "write this opset at most"},
    kPlugin,
};
const Flags kEval = {
    {"--split", "val|train", "which part of the data (val)"},
    {"--best", "", "the best checkpoint, not the newest"},
    {"--averaged", "", "the average of the parameters"},
};
const Flags kSweep = {
    {"--vary", "KEY=LOW:HIGH",
     "a field of the job, log-uniform where LOW > 0; or KEY=A|B; may be given again"},
    {"--trials", "N", "jobs to run (20)"},
    {"--monitor", "NAME", "what tells the best (val_loss)"},
};

const Flags kGrad = {
    {"--wrt", "A,B", "inputs, weights or other values to differentiate for"},
    {"--of", "A,B", "outputs whose elements' sum is differentiated (all of floats)"},
    {"--order", "1|2",
     "2: also the gradient of the first one's product with the inputs direction_A, …"},
    {"--keep-outputs", "", "the outputs come first"},
    {"--check", "", "compare with differences, in double; nothing is written where they differ"},
    {"--tolerance", "X", "relative, of --check (1e-5)"},
    {"--opset", "N", "write this opset at most (default: the lowest that every node allows)"},
    {"--external-data", "", "write the weights beside the model, to OUT.data"},
};

Flags grouped(const char* group, Flags flags) {
  for (Flag& flag : flags) flag.group = group;
  return flags;
}

Flags join(std::initializer_list<Flags> lists) {
  Flags all;
  for (const Flags& list : lists) all.insert(all.end(), list.begin(), list.end());
  return all;
}

std::vector<Command> make_commands() {
  const Flags inputs = grouped("Inputs", kInputs),
              pictures = grouped("Pictures as inputs", kPictures);
  const Flags passes = grouped("The optimizer", join({kPasses, kLoad}));
  const Flags model = join({grouped("Running", join({kRunning, {kThreads}})), passes});
  const Positional file = {"MODEL", "an ONNX file"};
  const Positional job = {"MODEL", "an ONNX file, or a job: FILE.toml", true};
  const Positional fields = {"FIELDS", "fields of the job: KEY=VALUE", true, true};
  return {
      {"run",
       "Runs a model on given inputs and prints its outputs",
       {file},
       join({kRun, kTolerance, {kJson}, inputs, pictures, model}),
       run_run},
      {"bench",
       "Measures load time, latency, throughput and memory, on random input or as given",
       {file},
       join({kBench, {kJson}, kTraining, inputs, pictures, model}),
       run_bench},
      {"inspect",
       "Shows what a model is and how it will run",
       {file},
       join({kInspect, model}),
       run_inspect},
      {"profile",
       "Measures each step of a run, on random input or as given",
       {file},
       join({kProfile, {kJson}, kTraining, inputs, pictures, model}),
       run_profile},
      {"optimize",
       "Writes the optimized model as standard ONNX, checked against the original",
       {{"IN", "an ONNX file", true},
        {"OUT", "the file to write; without it --print-after prints only", true}},
       join({kOptimize, kTolerance, {kThreads, kJson}, inputs, pictures, passes}),
       run_optimize},
      {"compare",
       "Runs two models, one on two devices, or beside onnxruntime, on the same input",
       {{"A", "an ONNX file"},
        {"B", "another one with the same inputs; floats may be of another width", true}},
       join({kCompare, kTolerance, {kJson}, inputs, pictures, model}),
       run_compare},
      {"new",
       "Writes an untrained network",
       {{"KIND", "mlp cnn lenet resnet18 mobilenetv2 unet char-rnn transformer"},
        {"OUT", "the file to write"}},
       join({kNew, {kJson}}),
       run_new},
      {"train",
       "Trains a model: by a job.toml, words KEY=VALUE, or flags",
       {job, fields},
       join({kTrain, kFitting, kJob, {kJson}}),
       run_train},
      {"finetune",
       "Trains a trained model on other data",
       {file, fields},
       join({kFinetune, kFitting, kJob, {kJson}}),
       run_finetune},
      {"eval",
       "Tells the loss and metrics of a run or a model over data",
       {{"RUN", "a run's folder, or an ONNX file"}},
       join({kEval, kJob, {kJson}}),
       run_eval},
      {"export",
       "Writes the model of a run in inference form",
       {{"RUN", "a run's folder"}, {"OUT", "the file to write"}},
       join({kExport, {kJson}}),
       run_export},
      {"sweep",
       "Searches for a job's best fields at random, coarse to fine; goes on where it was",
       {job, fields},
       join({kSweep, kFitting, kJob, {kJson}}),
       run_sweep},
      {"grad",
       "Writes the gradient of a model as standard ONNX",
       {file, {"OUT", "the file to write"}},
       join({kGrad, {kJson}, inputs, pictures, kLoad}),
       run_grad},
      {"check",
       "Lists all problems of a model at once",
       {file},
       {kPlugin,
        {"--train", "", "also the nodes that training cannot differentiate"},
        {"--strict", "", "exit 1 where something is ignored or a rank is unknown"},
        kJson},
       run_check},
      {"ops",
       "Lists the operators, or shows one",
       {{"NAME", "an operator, as Conv or com.microsoft.QLinearAdd", true}},
       {kJson},
       run_ops},
      {"info", "Shows version, processor, threads and devices", {}, {kJson}, run_info},
      {"version", "Prints the version", {}, {kJson}, run_version},
      {"completion",
       "Prints the script by which a shell completes this command",
       {{"bash|zsh|fish", "the shell"}},
       {},
       run_completion},
  };
}

}  // namespace

const std::vector<Command>& commands() {
  static const std::vector<Command> table = make_commands();
  return table;
}

}  // namespace treadle::tool
