// LMDB's functions, of a library that is opened when a database asks for it.
#pragma once

#include <lmdb.h>

namespace treadle {

struct LmdbApi {
  decltype(&::mdb_env_create) env_create;
  decltype(&::mdb_env_open) env_open;
  decltype(&::mdb_env_close) env_close;
  decltype(&::mdb_env_info) env_info;
  decltype(&::mdb_env_stat) env_stat;
  decltype(&::mdb_txn_begin) txn_begin;
  decltype(&::mdb_txn_abort) txn_abort;
  decltype(&::mdb_dbi_open) dbi_open;
  decltype(&::mdb_cursor_open) cursor_open;
  decltype(&::mdb_cursor_get) cursor_get;
  decltype(&::mdb_cursor_close) cursor_close;
  decltype(&::mdb_get) get;
  decltype(&::mdb_strerror) strerror;
};

// Opened at the first call. kUnsupported where it is not there.
const LmdbApi& lmdb();

}  // namespace treadle
