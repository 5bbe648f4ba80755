// Sessions: runs, reports, profiles.
#include <cstdlib>
#include <cstring>

#include "runtime/c_api/handles.h"

using treadle::NamedValue;
using treadle::Value;
using treadle::c_api::guarded;
using treadle::c_api::require;

namespace {

treadle::RunOptions run_options(const treadle_run_options* given) {
  treadle::RunOptions options;
  if (given == nullptr) return options;
  const treadle_run_options read =
      treadle::c_api::read_struct(*given, sizeof(treadle_run_options), "treadle_run_options");
  options.timeout_seconds = read.timeout_seconds;
  options.cancel = read.cancel != nullptr ? &read.cancel->token : nullptr;
  return options;
}

std::vector<Value> inputs_by_position(const treadle::Model& model, const char* const* names,
                                      const treadle_value* const* tensors, size_t count) {
  std::vector<Value> values(model.input_count());
  for (size_t i = 0; i < count; ++i) {
    require(names[i], "input_names[i]");
    require(tensors[i], "inputs[i]");
    Value& slot = values[model.find_input(names[i])];
    TREADLE_CHECK(slot.empty(), kInvalidArgument, "input '", names[i], "' is given twice");
    slot = tensors[i]->value;
  }
  return values;
}

void hand_out(std::vector<Value>& results, treadle_value** outputs) {
  std::vector<std::unique_ptr<treadle_value>> made(results.size());
  for (size_t i = 0; i < results.size(); ++i) {
    if (outputs[i] != nullptr) continue;
    made[i] = std::make_unique<treadle_value>(treadle_value{std::move(results[i])});
  }
  for (size_t i = 0; i < results.size(); ++i) {
    if (made[i]) outputs[i] = made[i].release();
  }
}

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
    treadle::RunOptions run = run_options(options);
    const treadle::Model& model = *session->model;
    bool all = output_count == model.output_count();
    for (size_t i = 0; i < output_count; ++i) {
      require(output_names[i], "output_names[i]");
      all = all && model.output_name(i) == output_names[i];
    }
    if (!all) run.outputs.assign(output_names, output_names + output_count);
    const std::vector<Value> values = inputs_by_position(model, input_names, inputs, input_count);
    std::vector<Value> results(output_count);
    for (size_t i = 0; i < output_count; ++i) {
      if (outputs[i] != nullptr) results[i] = outputs[i]->value;
    }
    session->session->run_into(values, results, run);
    hand_out(results, outputs);
  });
}

treadle_status treadle_session_report(treadle_session* session, const char* what, char** json) {
  return guarded([&] {
    require(session, "session");
    require(what, "what");
    require(json, "json");
    const std::string text = treadle::c_api::report_json(*session, what);
    auto* copy = static_cast<char*>(std::malloc(text.size() + 1));
    if (copy == nullptr) throw std::bad_alloc();
    std::memcpy(copy, text.c_str(), text.size() + 1);
    *json = copy;
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
