// A text as windows of tokens, each with the token that follows.
#include <algorithm>
#include <map>

#include "files/gzip.h"
#include "training/data/formats.h"

namespace treadle {
namespace {

// The length of a UTF-8 character by its first byte; a broken one counts as one byte.
size_t character_length(std::string_view text, size_t at) {
  const auto first = static_cast<unsigned char>(text[at]);
  const size_t length = first < 0xc0 ? 1 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
  if (at + length > text.size()) return 1;
  for (size_t i = 1; i < length; ++i) {
    if ((static_cast<unsigned char>(text[at + i]) & 0xc0) != 0x80) return 1;
  }
  return length;
}

struct Tokens {
  std::vector<std::string> names;
  std::vector<int64_t> numbers;
};

Tokens bytes_of(std::string_view text) {
  Tokens tokens;
  for (int i = 0; i < 256; ++i) tokens.names.emplace_back(1, static_cast<char>(i));
  for (const char c : text) tokens.numbers.push_back(static_cast<unsigned char>(c));
  return tokens;
}

// Numbered in the order of their bytes.
Tokens characters_of(std::string_view text) {
  std::map<std::string_view, int64_t> number;
  std::vector<std::string_view> characters;
  for (size_t at = 0; at < text.size(); at += characters.back().size()) {
    characters.push_back(text.substr(at, character_length(text, at)));
    number[characters.back()] = 0;
  }
  Tokens tokens;
  for (auto& [character, i] : number) {
    i = static_cast<int64_t>(tokens.names.size());
    tokens.names.emplace_back(character);
  }
  for (const std::string_view c : characters) tokens.numbers.push_back(number[c]);
  return tokens;
}

}  // namespace

Source open_text(const std::filesystem::path& file, const DataOptions& options) {
  TREADLE_CHECK(options.window > 0, kInvalidArgument, "a window of ", options.window, " tokens");
  const std::string text = read_unzipped(file, static_cast<size_t>(options.max_bytes));
  Tokens tokens = options.bytes ? bytes_of(text) : characters_of(text);
  Source source;
  source.name = file.string();
  source.content = Content::kTokens;
  source.classes = std::move(tokens.names);
  source.inputs = {{"", DType::kInt64, {options.window}}};
  source.target = {"target", DType::kInt64, {options.window}};
  source.size = (static_cast<int64_t>(tokens.numbers.size()) - 1) / options.window;
  TREADLE_CHECK(source.size > 0, kInvalidArgument, "'", file.string(), "' has ",
                tokens.numbers.size(), " tokens, expected more than a window of ", options.window);
  source.sample = [numbers = std::move(tokens.numbers), window = options.window](int64_t i) {
    const auto from = numbers.begin() + static_cast<ptrdiff_t>(i * window);
    const auto part = [&](ptrdiff_t at) {
      return Tensor::of<int64_t>({window}, {from + at, from + at + static_cast<ptrdiff_t>(window)});
    };
    return Sample{{part(0)}, part(1)};
  };
  return source;
}

}  // namespace treadle
