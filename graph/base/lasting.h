// Memory for what stays as long as a model does.
#pragma once

#include "graph/base/tensor.h"

namespace treadle {

// As Buffer::allocate, for bytes that live about as long as what is allocated next to them: a
// model's weights, plain and packed. Small ones share chunks, each freed when its last buffer is.
std::shared_ptr<Buffer> allocate_lasting(size_t bytes);

}  // namespace treadle
