// libzip's functions. It brings a library of cryptography along, so it is opened when a file asks
// for it.
#pragma once

#include <zip.h>

namespace treadle {

struct ZipApi {
  decltype(&::zip_open) open;
  decltype(&::zip_discard) discard;
  decltype(&::zip_close) close;
  decltype(&::zip_error_init_with_code) error_init_with_code;
  decltype(&::zip_error_strerror) error_strerror;
  decltype(&::zip_error_fini) error_fini;
  decltype(&::zip_strerror) strerror;
  decltype(&::zip_stat_index) stat_index;
  decltype(&::zip_fopen_index) fopen_index;
  decltype(&::zip_fread) fread;
  decltype(&::zip_fclose) fclose;
  decltype(&::zip_get_num_entries) get_num_entries;
  decltype(&::zip_get_name) get_name;
  decltype(&::zip_source_buffer) source_buffer;
  decltype(&::zip_file_add) file_add;
  decltype(&::zip_set_file_compression) set_file_compression;
};

// Opened at the first call. kUnsupported where it is not there.
const ZipApi& zip_api();

}  // namespace treadle
