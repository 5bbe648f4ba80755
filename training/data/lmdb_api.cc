#include "training/data/lmdb_api.h"

#include "files/shared_library.h"

namespace treadle {
namespace {

LmdbApi open() {
  const SharedLibrary library(TREADLE_LMDB, "the library of LMDB");
  LmdbApi l{};
  library.find("mdb_env_create", l.env_create);
  library.find("mdb_env_open", l.env_open);
  library.find("mdb_env_close", l.env_close);
  library.find("mdb_env_info", l.env_info);
  library.find("mdb_env_stat", l.env_stat);
  library.find("mdb_txn_begin", l.txn_begin);
  library.find("mdb_txn_abort", l.txn_abort);
  library.find("mdb_dbi_open", l.dbi_open);
  library.find("mdb_cursor_open", l.cursor_open);
  library.find("mdb_cursor_get", l.cursor_get);
  library.find("mdb_cursor_close", l.cursor_close);
  library.find("mdb_get", l.get);
  library.find("mdb_strerror", l.strerror);
  return l;
}

}  // namespace

const LmdbApi& lmdb() {
  static const LmdbApi opened = open();
  return opened;
}

}  // namespace treadle
