// Status codes and the thread's last error.
#include <cstring>
#include <filesystem>
#include <new>

#include "runtime/c_api/handles.h"

namespace treadle::c_api {

static_assert(TREADLE_INTERNAL == static_cast<int>(Code::kInternal));
static_assert(TREADLE_FLOAT6E3M2 == static_cast<int>(DType::kFloat6E3M2));
static_assert(TREADLE_MAX_RANK == kMaxRank);

namespace {

thread_local std::string last_error;
thread_local std::string last_node;

treadle_status remember(treadle_status status, const char* text, const std::string& node) noexcept {
  try {
    last_error = text;
    last_node = node;
  } catch (...) {
    last_error.clear();
    last_node.clear();
  }
  return status;
}

}  // namespace

treadle_status guard(void (*body)(void*), void* state) noexcept {
  try {
    body(state);
    return TREADLE_OK;
  } catch (const Error& e) {
    return remember(static_cast<treadle_status>(e.code()), e.what(), e.node());
  } catch (const std::bad_alloc&) {
    return remember(TREADLE_OUT_OF_MEMORY, "out of memory", "");
  } catch (const std::filesystem::filesystem_error& e) {
    return remember(TREADLE_IO, e.what(), "");
  } catch (const std::exception& e) {
    return remember(TREADLE_INTERNAL, e.what(), "");
  } catch (...) {
    return remember(TREADLE_INTERNAL, "unknown failure", "");
  }
}

void require(const void* pointer, const char* parameter) {
  TREADLE_CHECK(pointer != nullptr, kInvalidArgument, "'", parameter, "' is null");
}

}  // namespace treadle::c_api

extern "C" {

const char* treadle_status_name(treadle_status status) {
  if (status < TREADLE_OK || status > TREADLE_INTERNAL) return "unknown";
  return treadle::code_name(static_cast<treadle::Code>(status)).data();
}
const char* treadle_last_error(void) { return treadle::c_api::last_error.c_str(); }
const char* treadle_last_error_node(void) { return treadle::c_api::last_node.c_str(); }
const char* treadle_version(void) { return TREADLE_VERSION; }

int32_t treadle_version_number(void) {
  int32_t parts[3] = {0, 0, 0};
  int part = 0;
  for (const char* c = TREADLE_VERSION; *c != '\0' && part < 3; ++c) {
    if (*c == '.') {
      ++part;
    } else {
      parts[part] = parts[part] * 10 + (*c - '0');
    }
  }
  return parts[0] * 10000 + parts[1] * 100 + parts[2];
}

const char* treadle_dtype_name(treadle_dtype dtype) {
  return treadle::dtype_name(
             static_cast<treadle::DType>(dtype < 0 || dtype > TREADLE_FLOAT6E3M2 ? 0 : dtype))
      .data();
}
int32_t treadle_dtype_bits(treadle_dtype dtype) {
  return dtype < 0 || dtype > TREADLE_FLOAT6E3M2
             ? 0
             : treadle::dtype_bits(static_cast<treadle::DType>(dtype));
}

}  // extern "C"
