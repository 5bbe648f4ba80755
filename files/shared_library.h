// Libraries that are opened when something asks for them, so that all else starts without.
#pragma once

#include <dlfcn.h>

#include "graph/base/error.h"

namespace treadle {

class SharedLibrary {
 public:
  // It stays open. `name` is for messages: "the library of HDF5". kUnsupported where it is not
  // there.
  SharedLibrary(const char* file, const char* name)
      : handle_(dlopen(file, RTLD_NOW | RTLD_LOCAL)), name_(name) {
    if (handle_ != nullptr) return;
    const char* why = dlerror();
    fail(Code::kUnsupported, "cannot open ", name_, ": ", why != nullptr ? why : "");
  }
  template <class Symbol>
  void find(const char* symbol, Symbol& to) const {
    to = reinterpret_cast<Symbol>(dlsym(handle_, symbol));
    TREADLE_CHECK(to != nullptr, kUnsupported, name_, " lacks ", symbol);
  }

 private:
  void* handle_;
  const char* name_;
};

}  // namespace treadle
