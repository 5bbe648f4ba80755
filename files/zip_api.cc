#include "files/zip_api.h"

#include "files/shared_library.h"

namespace treadle {
namespace {

ZipApi open() {
  const SharedLibrary library(TREADLE_ZIP, "the library libzip");
  ZipApi z{};
  library.find("zip_open", z.open);
  library.find("zip_discard", z.discard);
  library.find("zip_close", z.close);
  library.find("zip_error_init_with_code", z.error_init_with_code);
  library.find("zip_error_strerror", z.error_strerror);
  library.find("zip_error_fini", z.error_fini);
  library.find("zip_strerror", z.strerror);
  library.find("zip_stat_index", z.stat_index);
  library.find("zip_fopen_index", z.fopen_index);
  library.find("zip_fread", z.fread);
  library.find("zip_fclose", z.fclose);
  library.find("zip_get_num_entries", z.get_num_entries);
  library.find("zip_get_name", z.get_name);
  library.find("zip_source_buffer", z.source_buffer);
  library.find("zip_file_add", z.file_add);
  library.find("zip_set_file_compression", z.set_file_compression);
  return z;
}

}  // namespace

const ZipApi& zip_api() {
  static const ZipApi opened = open();
  return opened;
}

}  // namespace treadle
