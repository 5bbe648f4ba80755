// HDF5's functions. The library brings thirty others along (curl, Kerberos, LDAP), so it is opened
// when a file asks for it, and all other commands start without.
#pragma once

#include <hdf5.h>

namespace treadle {

struct Hdf5 {
  decltype(&H5open) open;
  decltype(&H5Eset_auto2) set_errors;
  decltype(&H5Fopen) open_file;
  decltype(&H5Fclose) close_file;
  decltype(&H5Gget_info) group_info;
  decltype(&H5Lget_name_by_idx) link_name;
  decltype(&H5Lget_info) link_info;
  decltype(&H5Oopen) open_object;
  decltype(&H5Oclose) close_object;
  decltype(&H5Iget_type) kind;
  decltype(&H5Fget_name) file_name;
  decltype(&H5Dget_create_plist) creation;
  decltype(&H5Pget_layout) layout;
  decltype(&H5Pget_external_count) external_count;
  decltype(&H5Pclose) close_list;
  decltype(&H5Dget_type) type;
  decltype(&H5Tclose) close_type;
  decltype(&H5Tget_class) type_class;
  decltype(&H5Tget_size) type_size;
  decltype(&H5Dget_space) space;
  decltype(&H5Sclose) close_space;
  decltype(&H5Screate_simple) make_space;
  decltype(&H5Sget_simple_extent_ndims) rank;
  decltype(&H5Sget_simple_extent_dims) dims;
  decltype(&H5Sselect_hyperslab) select;
  decltype(&H5Dread) read;
  hid_t native_float, native_double, native_int64;
};

// Opened at the first call, under the caller's lock. kUnsupported where it is not there.
const Hdf5& hdf5();

}  // namespace treadle
