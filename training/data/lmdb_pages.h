// LMDB's files, page by page: its library follows whatever page numbers and offsets it reads.
#pragma once

#include <filesystem>

namespace treadle {

// That each page and node which the main database leads to lies within the file. kInvalidData
// naming the page that does not; kUnsupported for a tree of another kind than Caffe's.
void check_lmdb_pages(const std::filesystem::path& file);

}  // namespace treadle
