// Attributes of treadle.ExpandedDepthwise: those of its depthwise FusedConv, and with "expand_"
// before their names the activation of the FusedConv that this reads.
#pragma once

#include "graph/attributes.h"

namespace treadle {

// Of both together.
Attributes expanded_attributes(const Attributes& expansion, Attributes depthwise);
// Of each, from those of both.
Attributes expansion_attributes(const Attributes& both);
Attributes depthwise_attributes(Attributes both);

}  // namespace treadle
