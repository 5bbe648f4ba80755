#include "training/data/lmdb_pages.h"

#include <algorithm>
#include <cstring>
#include <fstream>
#include <string>
#include <vector>

#include "graph/base/error.h"

namespace treadle {
namespace {

// The format's structures, in the order of bytes of the machine that wrote them.
struct TreeRecord {
  uint32_t page_size;  // of the first one
  uint16_t flags, depth;
  uint64_t branches, leaves, overflows, entries, root;
};
struct Meta {
  uint32_t magic, version;
  uint64_t address, map_size;
  TreeRecord free, main;
  uint64_t last_page, transaction;
};
struct PageHeader {
  uint64_t number;
  uint16_t pad, flags, lower, upper;
};
struct NodeHeader {
  uint16_t low, high, flags, key_size;
};
constexpr uint32_t kMagic = 0xbeefc0de;
constexpr uint16_t kBranch = 1, kLeaf = 2, kOverflow = 4, kDirty = 0x10;  // of pages
constexpr uint16_t kElsewhere = 1, kSeveral = 4;                          // of nodes
constexpr uint64_t kNone = ~uint64_t{0};
constexpr int kMaxDepth = 30;  // of the library's cursors, 32

template <class T>
T at(const std::string& bytes, size_t offset) {
  T value;
  std::memcpy(&value, bytes.data() + offset, sizeof value);
  return value;
}

class Checker {
 public:
  explicit Checker(const std::filesystem::path& path)
      : name_(path.string()),
        size_(std::filesystem::file_size(path)),
        file_(path, std::ios::binary) {}

  void run() {
    const Meta meta = newest_meta();
    page_size_ = meta.free.page_size;
    check(page_size_ >= 256 && page_size_ <= 65536, 0, "tells pages of a size that none has");
    pages_ = std::min(size_ / page_size_, meta.last_page + 1);
    TREADLE_CHECK(meta.main.flags == 0, kUnsupported, "the LMDB database '", name_,
                  "' has integers as keys or several values of a key");
    seen_.resize(pages_);
    if (meta.main.root != kNone) visit(meta.main.root, 0);
  }

 private:
  void check(bool holds, uint64_t page, const char* what) const {
    TREADLE_CHECK(holds, kInvalidData, "the LMDB database '", name_, "' is damaged: page ", page,
                  " ", what);
  }

  std::string read(uint64_t offset, size_t size) {
    std::string bytes(size, '\0');
    file_.seekg(static_cast<std::streamoff>(offset));
    file_.read(bytes.data(), static_cast<std::streamsize>(size));
    TREADLE_CHECK(file_.good(), kIo, "cannot read '", name_, "'");
    return bytes;
  }

  // The first two pages hold one each; the library takes that of the later transaction.
  Meta newest_meta() {
    check(size_ >= sizeof(PageHeader) + sizeof(Meta), 0, "is cut off");
    const Meta first = at<Meta>(read(sizeof(PageHeader), sizeof(Meta)), 0);
    check(first.magic == kMagic, 0, "is none of its own");
    const uint64_t second_at = uint64_t{first.free.page_size} + sizeof(PageHeader);
    check(size_ >= second_at + sizeof(Meta), 1, "is cut off");
    const Meta second = at<Meta>(read(second_at, sizeof(Meta)), 0);
    check(second.magic == kMagic && second.free.page_size == first.free.page_size, 1,
          "does not fit the first");
    return second.transaction > first.transaction ? second : first;
  }

  void visit(uint64_t number, int depth) {
    check(number > 1 && number < pages_ && !seen_[number], number, "is led to, where it cannot be");
    check(depth < kMaxDepth, number, "lies too deep");
    seen_[number] = true;
    const std::string page = read(number * page_size_, page_size_);
    const auto header = at<PageHeader>(page, 0);
    const uint16_t kind = header.flags & static_cast<uint16_t>(~kDirty);
    check(header.number == number && (kind == kBranch || kind == kLeaf), number,
          "is neither branch nor leaf");
    check(header.lower >= sizeof header && header.lower <= page_size_ && header.lower % 2 == 0,
          number, "has no nodes");
    const size_t count = (header.lower - sizeof header) / sizeof(uint16_t);
    check(count > (kind == kBranch ? 1 : 0), number, "has too few nodes");
    for (size_t i = 0; i < count; ++i) {
      const size_t node = at<uint16_t>(page, sizeof header + i * sizeof(uint16_t));
      check(node >= header.lower && node + sizeof(NodeHeader) <= page_size_, number,
            "has a node outside it");
      kind == kBranch ? visit_branch(page, node, number, depth) : visit_leaf(page, node, number);
    }
  }

  void visit_branch(const std::string& page, size_t node, uint64_t number, int depth) {
    const auto h = at<NodeHeader>(page, node);
    check(node + sizeof h + h.key_size <= page_size_, number, "has a key outside it");
    visit(uint64_t{h.low} | uint64_t{h.high} << 16 | uint64_t{h.flags} << 32, depth + 1);
  }

  void visit_leaf(const std::string& page, size_t node, uint64_t number) {
    const auto h = at<NodeHeader>(page, node);
    const uint64_t size = uint64_t{h.low} | uint64_t{h.high} << 16;
    const size_t data = node + sizeof h + h.key_size;
    check(h.key_size > 0 && (h.flags & kSeveral) == 0, number, "has a node of another kind");
    const bool elsewhere = (h.flags & kElsewhere) != 0;
    check(data + (elsewhere ? sizeof(uint64_t) : size) <= page_size_, number,
          "has a node that ends outside it");
    if (elsewhere) check_overflow(at<uint64_t>(page, data), size);
  }

  void check_overflow(uint64_t first, uint64_t size) {
    check(first > 1 && first < pages_, first, "is led to, where it cannot be");
    check(size <= (pages_ - first) * page_size_ - sizeof(PageHeader), first,
          "holds what ends outside the file");
    const auto header = at<PageHeader>(read(first * page_size_, sizeof(PageHeader)), 0);
    check((header.flags & kOverflow) != 0, first, "holds no value");
  }

  std::string name_;
  uint64_t size_;
  std::ifstream file_;
  uint64_t page_size_ = 0, pages_ = 0;
  std::vector<bool> seen_;
};

}  // namespace

void check_lmdb_pages(const std::filesystem::path& file) { Checker(file).run(); }

}  // namespace treadle
