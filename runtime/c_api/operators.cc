// Operators that an application or a plugin adds.
#include "runtime/c_api/handles.h"
#include "runtime/plugins/plugins.h"

using treadle::AddedOps;
using treadle::c_api::guarded;
using treadle::c_api::require;

namespace treadle::c_api {

void add_plugin(treadle_options& options, const std::string& path) {
  change_operators(options.load.operators, [&](AddedOps& ops) { load_plugin(ops, path); });
}

}  // namespace treadle::c_api

extern "C" {

treadle_status treadle_options_add_op(treadle_options* options, const treadle_op* op) {
  return guarded([&] {
    require(options, "options");
    require(op, "op");
    treadle::change_operators(options->load.operators, [&](AddedOps& ops) { add_op(ops, *op); });
  });
}

treadle_status treadle_load_plugin(treadle_options* options, const char* path) {
  return guarded([&] {
    require(options, "options");
    require(path, "path");
    treadle::c_api::add_plugin(*options, path);
  });
}

}  // extern "C"
