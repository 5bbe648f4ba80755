// JPEG 2000 through OpenJPEG: grey or RGB, one or three components of equal size.
#ifdef TREADLE_JPEG2000
#include <openjpeg.h>

#include <algorithm>
#include <cstring>
#include <memory>

#include "files/image_formats.h"

namespace treadle {
namespace {

struct Stream {
  std::string_view bytes;
  size_t at = 0;
};

constexpr OPJ_SIZE_T kEnd = static_cast<OPJ_SIZE_T>(-1);

OPJ_SIZE_T read_bytes(void* to, OPJ_SIZE_T size, void* user) {
  auto& s = *static_cast<Stream*>(user);
  const size_t count = std::min(size, s.bytes.size() - s.at);
  if (count == 0) return kEnd;
  std::memcpy(to, s.bytes.data() + s.at, count);
  s.at += count;
  return count;
}
OPJ_BOOL seek(OPJ_OFF_T offset, void* user) {
  auto& s = *static_cast<Stream*>(user);
  if (offset < 0 || static_cast<size_t>(offset) > s.bytes.size()) return OPJ_FALSE;
  s.at = static_cast<size_t>(offset);
  return OPJ_TRUE;
}
OPJ_OFF_T skip(OPJ_OFF_T count, void* user) {
  auto& s = *static_cast<Stream*>(user);
  if (count < 0) return -1;
  const size_t moved = std::min(static_cast<size_t>(count), s.bytes.size() - s.at);
  s.at += moved;
  return static_cast<OPJ_OFF_T>(moved);
}

using StreamHandle = std::unique_ptr<opj_stream_t, void (*)(opj_stream_t*)>;
using Codec = std::unique_ptr<opj_codec_t, void (*)(opj_codec_t*)>;
using Decoded = std::unique_ptr<opj_image_t, void (*)(opj_image_t*)>;

StreamHandle open_stream(Stream& bytes) {
  StreamHandle stream(opj_stream_default_create(OPJ_TRUE), &opj_stream_destroy);
  if (stream == nullptr) return stream;
  opj_stream_set_user_data(stream.get(), &bytes, nullptr);
  opj_stream_set_user_data_length(stream.get(), bytes.bytes.size());
  opj_stream_set_read_function(stream.get(), read_bytes);
  opj_stream_set_seek_function(stream.get(), seek);
  opj_stream_set_skip_function(stream.get(), skip);
  return stream;
}

Decoded decode(std::string_view bytes) {
  Stream source{bytes};
  const StreamHandle stream = open_stream(source);
  const bool boxed = bytes[0] == 0;
  const Codec codec(opj_create_decompress(boxed ? OPJ_CODEC_JP2 : OPJ_CODEC_J2K),
                    &opj_destroy_codec);
  Decoded none(nullptr, &opj_image_destroy);
  opj_dparameters_t parameters;
  opj_set_default_decoder_parameters(&parameters);
  if (stream == nullptr || codec == nullptr || !opj_setup_decoder(codec.get(), &parameters))
    return none;
  opj_image_t* raw = nullptr;
  const bool header = opj_read_header(stream.get(), codec.get(), &raw) != 0;
  Decoded image(raw, &opj_image_destroy);
  if (!header || image == nullptr) return none;
  if (!is_image_size(int64_t{image->x1} - image->x0, int64_t{image->y1} - image->y0)) return none;
  if (!opj_decode(codec.get(), stream.get(), image.get())) return none;
  return image;
}

uint8_t sample_of(const opj_image_comp_t& component, size_t i) {
  const int64_t most = (int64_t{1} << component.prec) - 1;
  const int64_t value = int64_t{component.data[i]} + (component.sgnd ? (most + 1) / 2 : 0);
  return static_cast<uint8_t>((std::clamp<int64_t>(value, 0, most) * 255 + most / 2) / most);
}

}  // namespace

std::optional<Image> decode_jpeg2000(std::string_view bytes) {
  const Decoded decoded = decode(bytes);
  if (decoded == nullptr || decoded->numcomps == 0) return std::nullopt;
  const size_t colors = decoded->numcomps >= 3 ? 3 : 1;
  const opj_image_comp_t& first = decoded->comps[0];
  for (size_t i = 0; i < colors; ++i) {
    const opj_image_comp_t& c = decoded->comps[i];
    if (c.data == nullptr || c.w != first.w || c.h != first.h || c.prec < 1 || c.prec > 31)
      return std::nullopt;
  }
  Image image{first.w, first.h, {}};
  const size_t pixels = static_cast<size_t>(first.w) * first.h;
  image.rgb.reserve(3 * pixels);
  for (size_t i = 0; i < pixels; ++i) {
    for (size_t k = 0; k < 3; ++k)
      image.rgb.push_back(sample_of(decoded->comps[colors == 3 ? k : 0], i));
  }
  return image;
}

}  // namespace treadle
#endif
