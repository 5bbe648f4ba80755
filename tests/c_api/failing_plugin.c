/* A plugin that fails after its first operator. */
#include <treadle/treadle.h>

static treadle_status compute(const treadle_op_api* api, treadle_op_call* call, void* user,
                              void* state) {
  (void)api, (void)call, (void)user, (void)state;
  return TREADLE_OK;
}

treadle_status treadle_plugin_register(const treadle_plugin_host* host) {
  treadle_op op = {0};
  op.struct_size = sizeof op;
  op.name = "Scale";
  op.domain = "test";
  op.outputs = "Y:float";
  op.compute = compute;
  if (host->add_op(host->context, &op) != TREADLE_OK) return TREADLE_INTERNAL;
  return host->fail(host->context, TREADLE_DEVICE, "no luck today");
}
