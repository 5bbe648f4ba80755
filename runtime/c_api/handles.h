// The handles of the C API: each wraps one C++ object.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "importer/importer.h"
#include "runtime/runtime.h"
#include "runtime/structs.h"
#include "treadle/treadle.h"

struct treadle_options {
  treadle::LoadOptions load;
  treadle::ModelOptions model;
  treadle::SessionOptions session;
};

struct treadle_model {
  std::shared_ptr<const treadle::Model> model;
  // Texts that the caller is lent.
  std::vector<std::vector<std::string>> input_dims, output_dims;
  std::vector<std::string> input_types, output_types;
  std::vector<std::pair<std::string, std::string>> metadata;
};

struct treadle_value {
  treadle::Value value;
};

struct treadle_cancel {
  treadle::CancelToken token;
};

struct treadle_session {
  std::shared_ptr<const treadle::Model> model;
  std::unique_ptr<treadle::Session> session;
};

namespace treadle::c_api {

// Runs `body`, and turns what it throws into a status and the thread's last error.
treadle_status guard(void (*body)(void*), void* state) noexcept;

template <class Body>
treadle_status guarded(Body&& body) noexcept {
  return guard([](void* state) { (*static_cast<std::remove_reference_t<Body>*>(state))(); }, &body);
}

// kInvalidArgument naming the parameter when it is null.
void require(const void* pointer, const char* parameter);

// Adds the operators of a plugin for the models that are loaded from now on.
void add_plugin(treadle_options& options, const std::string& path);

// "tensor(float)", "seq(tensor(int64))".
std::string type_text(const Type& type);
// `text` is lent to the caller.
void fill_type(const Type& from, const std::string& text, treadle_type* to);

// A copy for treadle_string_free, ended by 0.
char* copy_text(const std::string& text);

// The JSON text of treadle_session_report.
std::string report_json(treadle_session& session, const std::string& what);

}  // namespace treadle::c_api
