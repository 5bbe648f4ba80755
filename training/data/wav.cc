// WAV files, a folder a class: PCM of 8 to 32 bits or floats, as one channel of a fixed length.
#include <algorithm>
#include <bit>

#include "files/file.h"
#include "training/data/formats.h"

namespace treadle {
namespace fs = std::filesystem;
namespace {

// Little-endian fields; 0 beyond the end.
uint32_t field(std::string_view bytes, size_t at, size_t size) {
  uint32_t value = 0;
  for (size_t i = 0; i < size && at + i < bytes.size(); ++i)
    value |= static_cast<uint32_t>(static_cast<unsigned char>(bytes[at + i])) << (8 * i);
  return value;
}

struct Wav {
  uint32_t format = 0;  // 1: PCM, 3: floats
  uint32_t channels = 0;
  uint32_t bits = 0;
  std::string_view data;
};

constexpr uint32_t kPcm = 1, kFloats = 3, kExtensible = 0xfffe;

Wav parse(std::string_view bytes) {
  TREADLE_CHECK(bytes.size() >= 12 && bytes.starts_with("RIFF") && bytes.substr(8, 4) == "WAVE",
                kInvalidArgument, "no WAV file");
  Wav wav;
  for (size_t at = 12; at + 8 <= bytes.size();) {
    const std::string_view id = bytes.substr(at, 4);
    const size_t size = field(bytes, at + 4, 4);
    const std::string_view body = bytes.substr(at + 8, size);
    if (id == "fmt ") {
      wav.format = field(body, 0, 2);
      if (wav.format == kExtensible) wav.format = field(body, 24, 2);
      wav.channels = field(body, 2, 2);
      wav.bits = field(body, 14, 2);
    } else if (id == "data") {
      wav.data = body;
      break;
    }
    at += 8 + size + size % 2;
  }
  const bool pcm = wav.format == kPcm && wav.bits % 8 == 0 && wav.bits >= 8 && wav.bits <= 32;
  TREADLE_CHECK(wav.channels > 0 && (pcm || (wav.format == kFloats && wav.bits == 32)),
                kInvalidArgument, "WAV of format ", wav.format, " with ", wav.bits, " bits and ",
                wav.channels, " channels is not read, expected PCM or 32-bit floats");
  return wav;
}

float sample_at(const Wav& wav, size_t i) {
  const size_t size = wav.bits / 8;
  const uint32_t raw = field(wav.data, i * size, size);
  if (wav.format == kFloats) return std::bit_cast<float>(raw);
  if (wav.bits == 8) return (static_cast<float>(raw) - 128) / 128;  // unsigned, by the format
  const auto value = static_cast<int32_t>(raw << (32 - wav.bits));
  return static_cast<float>(static_cast<double>(value) / 2147483648.0);
}

// The mean of the channels, cut or filled with silence.
Tensor read_wav(const fs::path& file, int64_t length) {
  const std::string bytes = read_file(file);
  Tensor out = Tensor::zeros(DType::kFloat, {1, length});
  try {
    const Wav wav = parse(bytes);
    const size_t frames = wav.data.size() / (wav.bits / 8) / wav.channels;
    auto to = out.data<float>();
    for (size_t f = 0; f < std::min(frames, to.size()); ++f) {
      float sum = 0;
      for (size_t c = 0; c < wav.channels; ++c) sum += sample_at(wav, f * wav.channels + c);
      to[f] = sum / static_cast<float>(wav.channels);
    }
  } catch (Error& e) {
    e.add_context(cat("file '", file.string(), "'"));
    throw;
  }
  return out;
}

}  // namespace

Source open_wav_folder(const fs::path& folder, const DataOptions& options) {
  TREADLE_CHECK(options.sound_length > 0, kInvalidArgument, "sounds of ", options.sound_length,
                " samples");
  ClassFolders found =
      class_folders(folder, [](const fs::path& f) { return f.extension() == ".wav"; });
  Source source;
  source.name = folder.string();
  source.content = Content::kSound;
  source.inputs = {{"", DType::kFloat, {1, options.sound_length}}};
  source.target = {"target", DType::kInt64, {}};
  source.classes = std::move(found.classes);
  source.size = static_cast<int64_t>(found.files.size());
  source.sample = [files = std::move(found.files), length = options.sound_length](int64_t i) {
    const Labelled& item = files[static_cast<size_t>(i)];
    return Sample{{read_wav(item.file, length)}, Tensor::scalar<int64_t>(item.label)};
  };
  return source;
}

}  // namespace treadle
