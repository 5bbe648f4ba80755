// The handles of the C API: each wraps one C++ object.
#pragma once

#include <algorithm>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "importer/importer.h"
#include "runtime/runtime.h"
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

// Reads what the caller's struct has, which may be older (shorter) than this library's: `first` is
// the size of its first version. What it lacks is zero.
template <class Struct>
Struct read_struct(const Struct& given, size_t first, const char* name) {
  TREADLE_CHECK(given.struct_size >= first, kInvalidArgument, name, ".struct_size is ",
                given.struct_size, ", expected ", sizeof(Struct));
  Struct out = {};
  std::memcpy(&out, &given, std::min(given.struct_size, sizeof(Struct)));
  return out;
}

// Writes as much of `made` as the caller's struct has.
template <class Struct>
void write_struct(const Struct& made, size_t first, const char* name, Struct* out) {
  const size_t size = read_struct(*out, first, name).struct_size;
  std::memcpy(out, &made, std::min(size, sizeof(Struct)));
  out->struct_size = size;
}

// kInvalidArgument naming the parameter when it is null.
void require(const void* pointer, const char* parameter);

// The JSON text of treadle_session_report.
std::string report_json(treadle_session& session, const std::string& what);

}  // namespace treadle::c_api
