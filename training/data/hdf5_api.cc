#include "training/data/hdf5_api.h"

#include <dlfcn.h>

#include "graph/base/error.h"

namespace treadle {
namespace {

void* open_library() {
  void* library = dlopen(TREADLE_HDF5, RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) {
    const char* why = dlerror();
    fail(Code::kUnsupported, "cannot open the library of HDF5: ", why != nullptr ? why : "");
  }
  return library;
}

template <class Function>
void find(void* library, const char* name, Function& to) {
  to = reinterpret_cast<Function>(dlsym(library, name));
  TREADLE_CHECK(to != nullptr, kUnsupported, "the library of HDF5 lacks ", name);
}

hid_t native(void* library, const char* name) {
  hid_t* id = nullptr;
  find(library, name, id);
  return *id;
}

Hdf5 open() {
  void* const library = open_library();
  Hdf5 h;
  find(library, "H5open", h.open);
  find(library, "H5Eset_auto2", h.set_errors);
  find(library, "H5Fopen", h.open_file);
  find(library, "H5Fclose", h.close_file);
  find(library, "H5Gget_info", h.group_info);
  find(library, "H5Lget_name_by_idx", h.link_name);
  find(library, "H5Lget_info", h.link_info);
  find(library, "H5Oopen", h.open_object);
  find(library, "H5Oclose", h.close_object);
  find(library, "H5Iget_type", h.kind);
  find(library, "H5Fget_name", h.file_name);
  find(library, "H5Dget_create_plist", h.creation);
  find(library, "H5Pget_layout", h.layout);
  find(library, "H5Pget_external_count", h.external_count);
  find(library, "H5Pclose", h.close_list);
  find(library, "H5Dget_type", h.type);
  find(library, "H5Tclose", h.close_type);
  find(library, "H5Tget_class", h.type_class);
  find(library, "H5Tget_size", h.type_size);
  find(library, "H5Dget_space", h.space);
  find(library, "H5Sclose", h.close_space);
  find(library, "H5Screate_simple", h.make_space);
  find(library, "H5Sget_simple_extent_ndims", h.rank);
  find(library, "H5Sget_simple_extent_dims", h.dims);
  find(library, "H5Sselect_hyperslab", h.select);
  find(library, "H5Dread", h.read);
  TREADLE_CHECK(h.open() >= 0, kUnsupported, "the library of HDF5 does not start");
  h.set_errors(H5E_DEFAULT, nullptr, nullptr);  // it prints them otherwise
  h.native_float = native(library, "H5T_NATIVE_FLOAT_g");
  h.native_double = native(library, "H5T_NATIVE_DOUBLE_g");
  h.native_int64 = native(library, "H5T_NATIVE_INT64_g");
  return h;
}

}  // namespace

const Hdf5& hdf5() {
  static const Hdf5 opened = open();
  return opened;
}

}  // namespace treadle
