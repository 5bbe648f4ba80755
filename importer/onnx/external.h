// External data: files that a model names, opened beneath the model's folder only.
#pragma once

#include <filesystem>
#include <map>
#include <memory>
#include <string>

#include "importer/onnx/bytes.h"

namespace treadle::onnx {

class ExternalFiles {
 public:
  // `folder` empty: external data is refused. `model` is the model's own file (may be empty); where
  // it is a link, as in Hugging Face's cache, files beside its target may be linked to as well.
  ExternalFiles(std::filesystem::path folder, std::filesystem::path model, Access access)
      : folder_(std::move(folder)), model_(std::move(model)), access_(access) {}
  // Takes `memory`, which outlives this, for the file at `location`.
  void add(const std::string& location, std::span<const std::byte> memory) {
    opened_[location] = Bytes::over(memory);
  }
  // kInvalidModel for a location outside the folder, or one that is no file that can be opened.
  const Bytes& open(const std::string& location);

 private:
  std::filesystem::path folder_;
  std::filesystem::path model_;
  Access access_;
  std::map<std::string, std::shared_ptr<Bytes>> opened_;
};

}  // namespace treadle::onnx
