// Sessions: runs, reports, profiles.
#include <cstdlib>
#include <cstring>
#include <span>

#include "runtime/c_api/handles.h"

using treadle::Value;
using treadle::c_api::guarded;
using treadle::c_api::require;

namespace {

void take_options(const treadle_run_options* given, treadle::RunOptions& options) {
  treadle_run_options read = {};
  if (given != nullptr) {
    read = treadle::read_struct(*given, sizeof(treadle_run_options), "treadle_run_options");
  }
  options.timeout_seconds = read.timeout_seconds;
  options.cancel = read.cancel != nullptr ? &read.cancel->token : nullptr;
}

// What the calling thread's runs reuse, so that a repeated run allocates nothing.
struct Scratch {
  std::vector<const Value*> inputs;
  std::vector<Value*> outputs;
  treadle::RunOptions options;
};

void take_inputs(const treadle::Model& model, const char* const* names,
                 const treadle_value* const* values, size_t count,
                 std::vector<const Value*>& inputs) {
  static const Value kNone;
  inputs.assign(model.input_count(), &kNone);
  for (size_t i = 0; i < count; ++i) {
    require(names[i], "input_names[i]");
    require(values[i], "inputs[i]");
    const Value*& slot = inputs[model.find_input(names[i])];
    TREADLE_CHECK(slot == &kNone, kInvalidArgument, "input '", names[i], "' is given twice");
    slot = &values[i]->value;
  }
}

// New handles for the outputs that have none, kept when the run succeeds.
class NewOutputs {
 public:
  NewOutputs(const char* const* names, treadle_value** outputs, size_t count, Scratch& scratch)
      : outputs_(outputs, count) {
    scratch.outputs.clear();
    for (size_t i = 0; i < count; ++i) {
      require(names[i], "output_names[i]");
      treadle_value* value = outputs[i];
      if (value == nullptr) {
        made_.push_back(std::make_unique<treadle_value>());
        value = made_.back().get();
      } else {
        TREADLE_CHECK(value->value.is_tensor(), kInvalidArgument, "the value given for output '",
                      names[i], "' is no tensor: give a tensor to be filled, or null");
      }
      scratch.outputs.push_back(&value->value);
    }
    scratch.options.outputs.assign(names, names + count);
  }
  void keep() {
    size_t next = 0;
    for (treadle_value*& output : outputs_) {
      if (output == nullptr) output = made_[next++].release();
    }
  }

 private:
  std::span<treadle_value*> outputs_;
  std::vector<std::unique_ptr<treadle_value>> made_;
};

}  // namespace

extern "C" {

treadle_status treadle_session_create(const treadle_model* model, const treadle_options* options,
                                      treadle_session** session) {
  return guarded([&] {
    require(model, "model");
    require(session, "session");
    auto handle = std::make_unique<treadle_session>();
    handle->model = model->model;
    handle->session = std::make_unique<treadle::Session>(
        model->model, options != nullptr ? options->session : treadle::SessionOptions{});
    *session = handle.release();
  });
}

void treadle_session_release(treadle_session* session) { delete session; }

treadle_status treadle_session_run(treadle_session* session, const char* const* input_names,
                                   const treadle_value* const* inputs, size_t input_count,
                                   const char* const* output_names, treadle_value** outputs,
                                   size_t output_count, const treadle_run_options* options) {
  return guarded([&] {
    require(session, "session");
    if (input_count > 0) {
      require(input_names, "input_names");
      require(inputs, "inputs");
    }
    TREADLE_CHECK(output_count > 0, kInvalidArgument, "no output is wanted");
    require(output_names, "output_names");
    require(outputs, "outputs");
    thread_local Scratch scratch;
    take_options(options, scratch.options);
    take_inputs(*session->model, input_names, inputs, input_count, scratch.inputs);
    NewOutputs made(output_names, outputs, output_count, scratch);
    session->session->run_into(scratch.inputs, scratch.outputs, scratch.options);
    made.keep();
  });
}

treadle_status treadle_session_report(treadle_session* session, const char* what, char** json) {
  return guarded([&] {
    require(session, "session");
    require(what, "what");
    require(json, "json");
    const std::string text = treadle::c_api::report_json(*session, what);
    *json = treadle::c_api::copy_text(text);
  });
}

void treadle_string_free(char* text) { std::free(text); }

treadle_status treadle_session_profile(treadle_session* session, int32_t on) {
  return guarded([&] {
    require(session, "session");
    session->session->profile(on != 0);
  });
}

treadle_status treadle_session_trim(treadle_session* session) {
  return guarded([&] {
    require(session, "session");
    session->session->trim();
  });
}

}  // extern "C"
