// Formats whose library the build did not find.
#include "training/data/formats.h"

namespace treadle {
namespace {

[[noreturn, maybe_unused]] void refuse(const std::filesystem::path& path, const char* library) {
  fail(Code::kUnsupported, "'", path.string(), "': this build was made without ", library);
}

}  // namespace

#ifndef TREADLE_HDF5
Source open_hdf5(const std::filesystem::path& path, const DataOptions&) { refuse(path, "HDF5"); }
#endif
#ifndef TREADLE_LMDB
Source open_lmdb(const std::filesystem::path& path, const DataOptions&) { refuse(path, "LMDB"); }
#endif

}  // namespace treadle
