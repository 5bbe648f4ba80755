// Tensors that must be refused, in the model's file and beside it.
#include <sys/stat.h>

#include "tests/importer/bad.h"

namespace treadle::test {

std::vector<Bad> bad_tensors() {
  constexpr int64_t kHuge = int64_t{1} << 62;
  auto sparse = [](pb::ModelProto& m, int64_t size, int64_t index) {
    auto& s = *m.mutable_graph()->add_sparse_initializer();
    s.add_dims(size);
    set_tensor(*s.mutable_values(), "w", Proto::FLOAT, {1}).add_float_data(1);
    set_tensor(*s.mutable_indices(), "", Proto::INT64, {1}).add_int64_data(index);
  };
  return {
      weight("element_type", Code::kInvalidModel, {"'w'", "99"},
             [](Proto& t) { t.set_data_type(99); }),
      weight("element_type_missing", Code::kInvalidModel, {"'w'", "element type 0"},
             [](Proto& t) { t.clear_data_type(); }),
      weight("float6_of_seven_bits", Code::kInvalidModel, {"'w'", "the entry 64", "6 bits"},
             [](Proto& t) { t.set_data_type(Proto::FLOAT6E2M3), t.add_int32_data(64); }),
      weight("negative_dimension", Code::kInvalidModel, {"'w'", "[2, -3]"},
             [](Proto& t) {
               set_dims(t, {2, -3});
             }),
      weight("dimensions_overflow", Code::kLimit, {"'w'", "overflow"},
             [](Proto& t) {
               set_dims(t, {kHuge, 8});
             }),
      weight("dimensions_wrap_to_zero", Code::kLimit, {"'w'", "overflow"},
             [](Proto& t) {
               set_dims(t, {kHuge, 4, kHuge, 4});
             }),
      weight("bytes_overflow", Code::kLimit, {"'w'", "overflow"},
             [](Proto& t) { set_dims(t, {kHuge}); }),
      weight("too_large", Code::kLimit, {"'w'", "max_bytes"},
             [](Proto& t) { set_dims(t, {int64_t{1} << 50}); }),
      weight("rank", Code::kLimit, {"'w'", "rank 40"},
             [](Proto& t) {
               for (int i = 0; i < 40; ++i) t.add_dims(1);
             }),
      weight("no_data", Code::kInvalidModel, {"'w'", "[2, 3]"},
             [](Proto& t) {
               set_dims(t, {2, 3});
             }),
      weight("raw_too_short", Code::kInvalidModel, {"'w'", "20 bytes", "expected 24"},
             [](Proto& t) {
               set_dims(t, {2, 3}), t.set_raw_data(std::string(20, 'x'));
             }),
      weight("raw_too_long", Code::kInvalidModel, {"'w'", "28 bytes", "expected 24"},
             [](Proto& t) {
               set_dims(t, {2, 3}), t.set_raw_data(std::string(28, 'x'));
             }),
      weight("large_raw_too_short", Code::kInvalidModel, {"'w'", "8000 bytes", "expected 40000"},
             [](Proto& t) { set_dims(t, {10000}), t.set_raw_data(std::string(8000, 'x')); }),
      weight("typed_too_short", Code::kInvalidModel, {"'w'", "[2, 3]"},
             [](Proto& t) {
               set_dims(t, {2, 3}), t.add_float_data(1);
             }),
      weight("typed_too_long", Code::kInvalidModel, {"'w'", "2 entries"},
             [](Proto& t) { t.add_float_data(1), t.add_float_data(1); }),
      weight("typed_of_wrong_kind", Code::kInvalidModel, {"'w'"},
             [](Proto& t) { set_dims(t, {1}), t.add_int64_data(1); }),
      weight("two_storages", Code::kInvalidModel, {"'w'", "both"},
             [](Proto& t) { t.add_float_data(1), t.set_raw_data("abcd"); }),
      weight("raw_strings", Code::kInvalidModel, {"'w'", "strings"},
             [](Proto& t) { t.set_data_type(Proto::STRING), t.set_raw_data("abcd"); }),
      weight("segments", Code::kUnsupported, {"'w'", "segments"},
             [](Proto& t) { t.mutable_segment()->set_begin(0), t.add_float_data(1); }),
      model(
          "sparse_index", Code::kInvalidModel, {"'w'", "index 9"},
          [&](pb::ModelProto& m) { sparse(m, 3, 9); }, add_model()),
      model(
          "sparse_too_large", Code::kLimit, {"'w'", "dense"},
          [&](pb::ModelProto& m) { sparse(m, int64_t{1} << 34, 9); }, add_model()),
  };
}

std::vector<Bad> bad_externals() {
  return {
      entries("missing", Code::kInvalidModel, {"'w'", "gone.data"}, {{"location", "gone.data"}}),
      entries("no_location", Code::kInvalidModel, {"'w'", "location"}, {{"offset", "0"}}),
      entries("too_short", Code::kInvalidModel, {"'w'", "too short", "24 bytes at offset 8"},
              {{"location", "w.data"}, {"offset", "8"}}),
      entries("offset_behind_end", Code::kInvalidModel, {"'w'", "too short"},
              {{"location", "w.data"}, {"offset", "9223372036854775807"}}),
      entries("offset_no_number", Code::kInvalidModel, {"'w'", "offset '-4'"},
              {{"location", "w.data"}, {"offset", "-4"}}),
      entries("wrong_length", Code::kInvalidModel, {"'w'", "length 12", "expected 24"},
              {{"location", "w.data"}, {"length", "12"}}),
      entries("unknown_key", Code::kInvalidModel, {"'w'", "'url'"},
              {{"url", "http://example.org/w"}}),
      entries("absolute", Code::kInvalidModel, {"'w'", "outside"}, {{"location", "/etc/passwd"}}),
      entries("parent", Code::kInvalidModel, {"'w'", "outside"}, {{"location", "../w.data"}}),
      external("parent_inside_path", Code::kInvalidModel, {"'w'", "outside"},
               [](Proto& t, const Folder& f) {
                 fs::create_directory(f / "sub");
                 add_external(t, "location", "sub/../../etc/passwd");
               }),
      external("link_outside", Code::kInvalidModel, {"'w'", "outside"},
               [](Proto& t, const Folder& f) {
                 fs::create_symlink("/etc/passwd", f / "link.data");
                 add_external(t, "location", "link.data");
               }),
      external("folder_link_outside", Code::kInvalidModel, {"'w'", "outside"},
               [](Proto& t, const Folder& f) {
                 fs::create_directory_symlink("/etc", f / "etc");
                 add_external(t, "location", "etc/passwd");
               }),
      external("fifo", Code::kInvalidModel, {"'w'", "regular file"},
               [](Proto& t, const Folder& f) {
                 mkfifo((f / "pipe").c_str(), 0600);
                 add_external(t, "location", "pipe");
               }),
      external("with_data_of_its_own", Code::kInvalidModel, {"'w'", "data of its own"},
               [](Proto& t, const Folder&) {
                 add_external(t, "location", "w.data");
                 t.set_raw_data(std::string(24, '\0'));
               }),
  };
}

}  // namespace treadle::test
