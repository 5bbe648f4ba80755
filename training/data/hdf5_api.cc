#include "training/data/hdf5_api.h"

#include "files/shared_library.h"

namespace treadle {
namespace {

hid_t native(const SharedLibrary& library, const char* name) {
  hid_t* id = nullptr;
  library.find(name, id);
  return *id;
}

Hdf5 open() {
  const SharedLibrary library(TREADLE_HDF5, "the library of HDF5");
  Hdf5 h;
  library.find("H5open", h.open);
  library.find("H5Eset_auto2", h.set_errors);
  library.find("H5Fopen", h.open_file);
  library.find("H5Fclose", h.close_file);
  library.find("H5Gget_info", h.group_info);
  library.find("H5Lget_name_by_idx", h.link_name);
  library.find("H5Lget_info", h.link_info);
  library.find("H5Oopen", h.open_object);
  library.find("H5Oclose", h.close_object);
  library.find("H5Iget_type", h.kind);
  library.find("H5Fget_name", h.file_name);
  library.find("H5Dget_create_plist", h.creation);
  library.find("H5Pget_layout", h.layout);
  library.find("H5Pget_external_count", h.external_count);
  library.find("H5Pclose", h.close_list);
  library.find("H5Dget_type", h.type);
  library.find("H5Tclose", h.close_type);
  library.find("H5Tget_class", h.type_class);
  library.find("H5Tget_size", h.type_size);
  library.find("H5Dget_space", h.space);
  library.find("H5Sclose", h.close_space);
  library.find("H5Screate_simple", h.make_space);
  library.find("H5Sget_simple_extent_ndims", h.rank);
  library.find("H5Sget_simple_extent_dims", h.dims);
  library.find("H5Sselect_hyperslab", h.select);
  library.find("H5Dread", h.read);
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
