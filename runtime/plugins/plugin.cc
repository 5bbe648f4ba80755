// Plugins: shared objects that register operators.
#include <dlfcn.h>

#include <new>
#include <optional>

#include "runtime/plugins/call.h"
#include "runtime/plugins/plugins.h"

namespace treadle {
namespace {

struct Registration {
  AddedOps ops;
  std::optional<Error> failure;
};

template <class Body>
treadle_status attempt(void* context, Body&& body) noexcept {
  auto& registration = *static_cast<Registration*>(context);
  try {
    body(registration);
    return TREADLE_OK;
  } catch (const Error& e) {
    if (!registration.failure) registration.failure = e;
    return static_cast<treadle_status>(e.code());
  } catch (const std::bad_alloc&) {
    return TREADLE_OUT_OF_MEMORY;
  }
}

treadle_status add_to_host(void* context, const treadle_op* op) {
  return attempt(context, [&](Registration& r) {
    TREADLE_CHECK(op != nullptr, kInvalidArgument, "'op' is null");
    add_op(r.ops, *op);
  });
}

treadle_status fail_host(void* context, treadle_status status, const char* message) {
  return attempt(context, [&](Registration&) {
    fail(plugins::code_of(status), message != nullptr ? message : "");
  });
}

using Register = decltype(&treadle_plugin_register);

Register open_plugin(const std::filesystem::path& path) {
  std::error_code ignored;
  TREADLE_CHECK(std::filesystem::is_regular_file(path, ignored), kIo, "there is no such file");
  // An absolute path, so that no library is searched for; kept, so that nothing of it dangles.
  void* library =
      dlopen(std::filesystem::absolute(path).c_str(), RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
  if (library == nullptr) {
    const char* why = dlerror();
    fail(Code::kInvalidArgument, "it cannot be opened: ", why != nullptr ? why : "");
  }
  void* symbol = dlsym(library, "treadle_plugin_register");
  TREADLE_CHECK(symbol != nullptr, kInvalidArgument,
                "it is no plugin: it exports no treadle_plugin_register");
  return reinterpret_cast<Register>(symbol);
}

void register_all(const std::filesystem::path& path, Registration& registration) {
  const treadle_plugin_host host = {sizeof(treadle_plugin_host), &registration, add_to_host,
                                    fail_host};
  treadle_status status = TREADLE_OK;
  try {
    status = open_plugin(path)(&host);
  } catch (const Error&) {
    throw;
  } catch (...) {
    fail(Code::kInternal, "treadle_plugin_register threw an exception");
  }
  if (registration.failure) throw *registration.failure;
  TREADLE_CHECK(status == TREADLE_OK, kInvalidArgument, "treadle_plugin_register returned status ",
                status);
}

}  // namespace

void load_plugin(AddedOps& ops, const std::filesystem::path& path) {
  Registration registration{ops, {}};
  try {
    register_all(path, registration);
  } catch (Error& e) {
    e.add_context(cat("plugin '", path.string(), "'"));
    throw;
  }
  ops = std::move(registration.ops);
}

}  // namespace treadle
