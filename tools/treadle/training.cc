#include "tools/treadle/training.h"

#include <algorithm>

#include "files/npy.h"
#include "tools/treadle/inputs.h"
#include "tools/treadle/load.h"
#include "tools/treadle/shapes.h"
#include "training/settings.h"

namespace treadle::tool {
namespace {

void set(TrainerOptions& options, const char* flag, const std::string& key,
         const std::string& value) {
  try {
    set_train_setting(options, key, value);
  } catch (const Error& e) {
    throw UsageError(cat(flag, ": ", e.what()));
  }
}

// Every class in turn, for a loss that takes classes.
Tensor classes(const Trainer& trainer, Dims dims) {
  const Graph& model = trainer.model();
  const std::string& name = trainer.options().joint.output;
  const auto& outputs = model.outputs();
  const auto it = std::ranges::find(outputs, name, &GraphOutput::name);
  const auto& shape = model.value((it == outputs.end() ? outputs.begin() : it)->value).type.shape;
  const bool known = shape && shape->size() > 1 && (*shape)[1].known();
  const int64_t count = known ? std::max<int64_t>((*shape)[1].value(), 1) : 1;
  Tensor t(DType::kInt64, std::move(dims));
  int64_t next = 0;
  for (int64_t& x : t.data<int64_t>()) x = next++ % count;
  return t;
}

}  // namespace

TrainerOptions trainer_options(const Args& args) {
  TrainerOptions options;
  options.joint.operators = load_options(args).operators;
  if (args.has("loss")) set(options, "--loss", "loss", args.text("loss"));
  if (args.has("optimizer")) set(options, "--optimizer", "optimizer", args.text("optimizer"));
  if (args.has("lr")) set(options, "--lr", "rate", args.text("lr"));
  if (args.has("memory-budget"))
    set(options, "--memory-budget", "memory_budget", args.text("memory-budget"));
  for (const std::string& item : args.all("set")) {
    const size_t equals = item.find('=');
    if (equals == std::string::npos) throw UsageError("--set: expected KEY=VALUE");
    set(options, "--set", item.substr(0, equals), item.substr(equals + 1));
  }
  if (args.has("threads")) options.threads = static_cast<int>(args.integer("threads", 1));
  return options;
}

std::vector<NamedValue> training_batch(const Trainer& trainer, const Args& args) {
  std::vector<NamedValue> batch;
  if (args.has("batch")) {
    if (args.has("batch-size")) throw UsageError("--batch-size does not go with --batch");
    for (auto& [name, tensor] : read_npz(args.text("batch"))) batch.push_back({name, tensor});
    return batch;
  }
  NamedTypes types;
  for (const Trainer::Input& input : trainer.inputs()) {
    if (input.name != trainer.target()) types.emplace_back(input.name, input.type);
  }
  const int64_t size = std::max<int64_t>(batch_size(args, types), 1);
  for (const Trainer::Input& input : trainer.inputs()) {
    TREADLE_CHECK(input.type.is_tensor() && input.type.shape, kInvalidArgument, "input '",
                  input.name, "' is ", input.type.text(), ": give a batch with --batch FILE.npz");
    Dims dims;
    for (const Dim& d : *input.type.shape) {
      TREADLE_CHECK(d.known() || dims.empty(), kInvalidArgument, "input '", input.name, "' is ",
                    input.type.text(), ": give a batch with --batch FILE.npz");
      dims.push_back(d.known() ? d.value() : size);
    }
    const bool of_classes = input.name == trainer.target() && input.type.dtype == DType::kInt64;
    const auto seed = static_cast<uint64_t>(args.integer("seed", 0)) + batch.size();
    batch.push_back({input.name, of_classes ? classes(trainer, std::move(dims))
                                            : random_tensor(input.type.dtype, dims, seed, args)});
  }
  return batch;
}

}  // namespace treadle::tool
