// RegexFullMatch and ImageDecoder: what the formats' own files do not show (ONNX's node tests decode
// one of each).
#include "backends/reference/reference.h"
#include "tests/ops/runner.h"

namespace treadle::test {
namespace {

OpCase regex(const std::string& name, const std::string& pattern,
             const std::vector<std::string>& texts, const std::vector<bool>& want) {
  const auto count = static_cast<int64_t>(texts.size());
  return {.name = name,
          .op = "RegexFullMatch",
          .attributes = {{"pattern", pattern}},
          .inputs = {text({count, 1}, texts)},
          .want = {bools({count, 1}, want)}};
}

std::vector<OpCase> regex_cases() {
  provide_external_kernels();
  OpCase broken = regex("broken", "a(", {"a"}, {false});
  broken.error = "no regular expression";
  return {
      regex("whole_text", "a+", {"aaa", "aab", "baa", ""}, {true, false, false, false}),
      regex("empty_pattern", "", {"", "a"}, {true, false}),
      regex("unicode", "h.llo", {"hello", "h\u00e9llo", "h\xffllo"}, {true, true, false}),
      regex("classes", "[[:alpha:]]+\\d*", {"abc12", "12abc"}, {true, false}),
      // Time that doubles with each letter where a matcher goes back.
      regex("nested_repeats", "(a*)*b", {std::string(4000, 'a')}, {false}),
      regex("no_texts", "a", {}, {}),
      broken,
  };
}

INSTANTIATE_TEST_SUITE_P(RegexFullMatch, OpTest, testing::ValuesIn(regex_cases()), case_name);

OpCase picture(const std::string& name, const std::string& bytes, Dims dims,
               const std::vector<uint8_t>& want, const std::string& format = "RGB") {
  return {.name = name,
          .op = "ImageDecoder",
          .attributes = {{"pixel_format", format}},
          .inputs = {u8({static_cast<int64_t>(bytes.size())}, {bytes.begin(), bytes.end()})},
          .want = {u8(std::move(dims), want)},
          .exact_shape = false};
}

// A little-endian number of `bytes` bytes.
std::string little(int64_t value, int bytes) {
  std::string out;
  for (int i = 0; i < bytes; ++i) out += i < 8 ? static_cast<char>(value >> (8 * i)) : '\0';
  return out;
}

struct BitmapOf {
  int64_t width;
  int64_t height;
  int64_t bits;
  std::string behind_header;  // masks or palette
  std::string pixels;
  int64_t compression = 0;
};
std::string bitmap(const BitmapOf& b) {
  const auto start = static_cast<int64_t>(54 + b.behind_header.size());
  return "BM" + little(0, 8) + little(start, 4) + little(40, 4) + little(b.width, 4) +
         little(b.height, 4) + little(1, 2) + little(b.bits, 2) + little(b.compression, 4) +
         little(0, 20) + b.behind_header + b.pixels;
}

std::vector<OpCase> plain_format_cases() {
  using namespace std::string_literals;
  return {
      picture("P1", "P1 # comment\n3 1\n01 0", {1, 3, 3}, {255, 255, 255, 0, 0, 0, 255, 255, 255}),
      picture("P2", "P2 2 1 3\n0 3", {1, 2, 3}, {0, 0, 0, 255, 255, 255}),
      picture("P3", "P3 1 1 255 1 2 3", {1, 1, 3}, {1, 2, 3}),
      picture("P4", "P4 3 1\n\x40", {1, 3, 3}, {255, 255, 255, 0, 0, 0, 255, 255, 255}),
      picture("P5_wide", "P5 1 1 65535\n\xff\xff", {1, 1, 3}, {255, 255, 255}),
      picture("P6", "P6 1 2 255\nabcdef", {2, 1, 3}, {97, 98, 99, 100, 101, 102}),
      picture("P6_bgr", "P6 1 1 255\nabc", {1, 1, 3}, {99, 98, 97}, "BGR"),
      picture("P6_grey", "P6 1 1 255\nabc", {1, 1, 1}, {98}, "Grayscale"),
      picture("bmp_24", bitmap({1, 2, 24, "", "abc\0def\0"s}), {2, 1, 3},
              {102, 101, 100, 99, 98, 97}),
      picture("bmp_top_down", bitmap({1, -2, 24, "", "abc\0def\0"s}), {2, 1, 3},
              {99, 98, 97, 102, 101, 100}),
      picture("bmp_palette", bitmap({2, 1, 1, "abc\0def\0"s, "\x40\0\0\0"s}), {1, 2, 3},
              {99, 98, 97, 102, 101, 100}),
      picture("bmp_16", bitmap({1, 1, 16, "", "\x1f\x7c\0\0"s}), {1, 1, 3}, {255, 0, 255}),
      picture("bmp_fields", bitmap({1, 1, 32, "\xff\0\0\0\0\xff\0\0\0\0\xff\0"s, "abc\0"s, 3}),
              {1, 1, 3}, {97, 98, 99}),
  };
}

INSTANTIATE_TEST_SUITE_P(PlainFormats, OpTest, testing::ValuesIn(plain_format_cases()), case_name);

std::vector<OpCase> broken_picture_cases() {
  using namespace std::string_literals;
  const Dims none{0, 0, 3};
  OpCase huge = picture("too_large", bitmap({1 << 20, 1 << 20, 24, "", ""}), none, {});
  huge.error = "the limit is";
  return {
      picture("nothing", "", none, {}),
      picture("nothing_grey", "", {0, 0, 1}, {}, "Grayscale"),
      picture("unknown", "hello", none, {}),
      picture("jpeg_cut", "\xff\xd8\xff\xe0", none, {}),
      picture("png_cut", "\x89PNG\r\n\x1a\nabc", none, {}),
      picture("tiff_cut", "II*\0abc"s, none, {}),
      picture("webp_cut", "RIFF\0\0\0\0WEBPVP8 "s, none, {}),
      picture("jpeg2000_cut", "\0\0\0\x0cjP  \r\n\x87\nabc"s, none, {}),
      picture("bmp_cut", bitmap({4, 4, 24, "", "abc"}), none, {}),
      picture("bmp_no_size", bitmap({0, 4, 24, "", ""}), none, {}),
      picture("bmp_run_length", bitmap({1, 1, 8, "", "abcd", 1}), none, {}),
      picture("pnm_cut", "P6 2 2 255\nabc", none, {}),
      picture("pnm_sample", "P2 1 1 3 4", none, {}),
      picture("pnm_negative", "P2 -1 1 3 4", none, {}),
      huge,
  };
}

INSTANTIATE_TEST_SUITE_P(BrokenPictures, OpTest, testing::ValuesIn(broken_picture_cases()),
                         case_name);

}  // namespace
}  // namespace treadle::test
