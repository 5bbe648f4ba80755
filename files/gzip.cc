#include "files/gzip.h"

#include <zlib.h>

#include <algorithm>
#include <limits>
#include <memory>

#include "files/file.h"
#include "graph/base/error.h"

namespace treadle {
namespace {

constexpr int kGzipWindow = 15 + 16;  // as zlib.h asks for gzip's header
constexpr size_t kPart = size_t{1} << 20;
// Deflate can do 1032 to 1, data do not; more is taken for an attack on memory.
constexpr size_t kMaxRatio = 100, kUnsuspicious = size_t{1} << 26;

using Inflater = std::unique_ptr<z_stream, void (*)(z_stream*)>;

Inflater start(z_stream& stream) {
  if (inflateInit2(&stream, kGzipWindow) != Z_OK) throw std::bad_alloc();
  return {&stream, [](z_stream* s) { inflateEnd(s); }};
}

// Appends what the next part of the input yields. False at the end of a member.
bool inflate_part(z_stream& stream, std::string& out, size_t max_bytes) {
  const size_t size = out.size();
  TREADLE_CHECK(size < max_bytes, kLimit, "more than ", max_bytes, " bytes when decompressed");
  const size_t room = std::min(kPart, max_bytes - size);
  out.resize(size + room);
  stream.next_out = reinterpret_cast<Bytef*>(out.data() + size);
  stream.avail_out = static_cast<uInt>(room);
  const int status = inflate(&stream, Z_NO_FLUSH);
  out.resize(size + room - stream.avail_out);
  TREADLE_CHECK(status == Z_OK || status == Z_STREAM_END, kInvalidArgument,
                "broken gzip data: ", stream.msg != nullptr ? stream.msg : "it is cut off");
  return status == Z_OK;
}

std::string inflated(std::string_view bytes, size_t max_bytes) {
  max_bytes = std::min(max_bytes, std::max(kUnsuspicious, kMaxRatio * bytes.size()));
  std::string out;
  while (bytes.starts_with("\x1f\x8b")) {  // members may follow each other
    z_stream stream{};
    const Inflater guard = start(stream);
    const size_t part = std::min<size_t>(bytes.size(), std::numeric_limits<uInt>::max());
    stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(bytes.data()));
    stream.avail_in = static_cast<uInt>(part);
    while (inflate_part(stream, out, max_bytes)) {
    }
    bytes.remove_prefix(part - stream.avail_in);
  }
  return out;
}

}  // namespace

std::string read_unzipped(const std::filesystem::path& path, size_t max_bytes) {
  std::string bytes = read_file(path);
  if (!bytes.starts_with("\x1f\x8b")) return bytes;
  try {
    return inflated(bytes, max_bytes);
  } catch (Error& e) {
    e.add_context(cat("file '", path.string(), "'"));
    throw;
  }
}

}  // namespace treadle
