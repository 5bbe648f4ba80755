// Runs tests/optimizer/*.graph. A file is named after a pass and holds cases:
//
//   === what the case shows
//   a graph in the text form
//   --- the graph after the pass, or nothing but "same" where it must not fire
//   --- refused: a part of the reported reason        (optional)
//
// Each is also evaluated before and after on random input. TREADLE_UPDATE=1 rewrites the
// expectations.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <ostream>

#include "graph/ops/op.h"
#include "graph/text.h"
#include "optimizer/optimizer.h"
#include "tests/paths.h"
#include "tests/support/tensors.h"

namespace treadle {
namespace {

struct Case {
  std::string title, input, expected, refused;
};

struct File {
  std::filesystem::path path;
  std::string head;  // comments before the first case
  std::vector<Case> cases;
  std::string pass() const { return path.stem().string(); }
};
void PrintTo(const File& file, std::ostream* out) { *out << file.path.filename(); }

File read_file(const std::filesystem::path& path) {
  File file{path, "", {}};
  std::ifstream in(path);
  std::string* section = &file.head;
  for (std::string line; std::getline(in, line);) {
    if (line.starts_with("=== ")) {
      file.cases.push_back({line.substr(4), "", "", ""});
      section = &file.cases.back().input;
    } else if (line.starts_with("--- refused: ")) {
      file.cases.back().refused = line.substr(13);
    } else if (line.starts_with("---")) {
      section = &file.cases.back().expected;
      if (line.size() > 4) *section += line.substr(4) + "\n";
    } else {
      *section += line + "\n";
    }
  }
  return file;
}

void write_file(const File& file) {
  std::ofstream out(file.path);
  out << file.head;
  for (const Case& c : file.cases) {
    out << "=== " << c.title << "\n" << c.input << "---";
    out << (c.expected == "same\n" ? " " : "\n") << c.expected;
    if (!c.refused.empty()) out << "--- refused: " << c.refused << "\n";
  }
}

std::vector<File> all_files() {
  std::vector<File> files;
  for (const auto& entry :
       std::filesystem::directory_iterator(test::source_dir() + "/tests/optimizer")) {
    if (entry.path().extension() == ".graph") files.push_back(read_file(entry.path()));
  }
  std::sort(files.begin(), files.end(),
            [](const File& a, const File& b) { return a.path < b.path; });
  return files;
}

// Sizes for symbols: not all the same, the same in each run.
int64_t size_of(const Dim& dim) {
  if (dim.known()) return dim.value();
  int64_t sum = 0;
  for (char c : dim.text()) sum += c;
  return 2 + sum % 3;
}

Value random_value(const Type& type, uint64_t seed) {
  Dims dims;
  for (const Dim& d : type.shape.value_or(Shape{2})) dims.push_back(size_of(d));
  const bool real = is_float(type.dtype);
  return test::random_tensor(type.dtype, dims, seed, real ? -2 : 0, real ? 2 : 4);
}

// Of graphs that round to 16 bits within it.
bool has_halves(const Graph& graph) {
  for (uint32_t i = 0; i < graph.value_count(); ++i) {
    const Type& type = graph.value(ValueId{i}).type;
    if (type.dtype == DType::kFloat16 || type.dtype == DType::kBfloat16) return true;
  }
  return false;
}

void expect_same_results(const Graph& before, const Graph& after) {
  const auto tolerance =
      has_halves(before) ? test::Tolerance{2e-2, 2e-2} : test::Tolerance{1e-4, 1e-5};
  std::vector<Value> inputs;
  for (ValueId v : before.inputs()) {
    inputs.push_back(random_value(before.value(v).type, inputs.size() + 7));
  }
  const std::vector<Value> wanted = evaluate(before, inputs);
  const std::vector<Value> got = evaluate(after, inputs);
  ASSERT_EQ(wanted.size(), got.size());
  for (size_t i = 0; i < wanted.size(); ++i) {
    EXPECT_EQ(test::difference(got[i], wanted[i], tolerance), "") << before.outputs()[i].name;
  }
}

std::string without_blank_ends(const std::string& text) {
  const size_t first = text.find_first_not_of('\n');
  const size_t last = text.find_last_not_of('\n');
  return first == std::string::npos ? "" : text.substr(first, last - first + 1) + "\n";
}

std::string joined(const std::vector<std::string>& lines) {
  std::string out;
  for (const std::string& line : lines) out += line + "\n";
  return out;
}

void run_case(const std::string& pass, Case& c, bool update) {
  const Graph before = parse(c.input);
  Graph after = before.clone();
  OptimizeOptions options;
  options.verify = true;
  for (const std::string& name : pass_names()) {
    if (name != pass) options.skip.insert(name);
  }
  const OptimizeReport report = optimize(after, options);
  PrintOptions shown;
  shown.origins = true;
  const std::string text = print(after, shown);
  const bool same = text == print(before, shown);
  std::string refused;
  for (const PassReport& r : report.passes) refused += joined(r.refused);
  expect_same_results(before, after);
  if (update) {
    c.expected = same ? "same\n" : text;
    return;
  }
  const std::string expected = without_blank_ends(c.expected);
  EXPECT_EQ(same ? "same\n" : text, expected);
  if (!c.refused.empty()) {
    EXPECT_NE(refused.find(c.refused), std::string::npos) << "refused:\n" << refused;
  }
}

class Cases : public testing::TestWithParam<File> {};

TEST_P(Cases, GiveTheExpectedGraph) {
  File file = GetParam();
  const bool update = std::getenv("TREADLE_UPDATE") != nullptr;
  ASSERT_FALSE(file.cases.empty());
  for (Case& c : file.cases) {
    SCOPED_TRACE(file.path.filename().string() + ": " + c.title);
    try {
      run_case(file.pass(), c, update);
    } catch (const Error& e) {
      ADD_FAILURE() << e.what();
    }
  }
  if (update) write_file(file);
}

INSTANTIATE_TEST_SUITE_P(Optimizer, Cases, testing::ValuesIn(all_files()),
                         [](const auto& param) { return param.param.pass(); });

// Every pass has its file.
TEST(Optimizer, EachPassHasCases) {
  for (const std::string& name : pass_names()) {
    EXPECT_TRUE(std::filesystem::exists(test::source_dir() + "/tests/optimizer/" + name + ".graph"))
        << name;
  }
}

}  // namespace
}  // namespace treadle
