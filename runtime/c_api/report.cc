// Reports as JSON text. The core library has no JSON dependency: objects of strings and numbers are
// written here.
#include <cmath>

#include "runtime/c_api/handles.h"

namespace treadle::c_api {
namespace {

std::string quoted(const std::string& text) {
  static constexpr char kHex[] = "0123456789abcdef";
  std::string out = "\"";
  for (char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      out += cat('\\', c);
    } else if (byte < 0x20) {
      out += cat("\\u00", kHex[byte >> 4], kHex[byte & 15]);
    } else {
      out += c;
    }
  }
  return out + "\"";
}

template <class Items, class Format>
std::string array(const Items& items, Format format) {
  std::string out = "[";
  for (const auto& item : items) out += (out.size() > 1 ? "," : "") + format(item);
  return out + "]";
}

std::string step_json(const StepInfo& s) {
  std::string out = cat("{\"node\":", quoted(s.node), ",\"op\":", quoted(s.op),
                        ",\"origins\":", array(s.origins, quoted),
                        ",\"backend\":", quoted(s.backend), ",\"kernel\":", quoted(s.kernel));
  out += cat(",\"reason\":", quoted(s.reason), ",\"shapes\":", quoted(s.shapes),
             ",\"multiply_adds\":", s.multiply_adds, ",\"bytes\":", s.bytes);
  return out + cat(",\"calls\":", s.calls, ",\"seconds\":", s.seconds, "}");
}

std::string pass_json(const PassReport& p) {
  return cat("{\"pass\":", quoted(p.pass), ",\"milliseconds\":", p.milliseconds,
             ",\"fired\":", p.fired, ",\"refused\":", array(p.refused, quoted), "}");
}

std::vector<StepInfo> placement(treadle_session& session) {
  std::vector<Type> types;
  for (size_t i = 0; i < session.model->input_count(); ++i) {
    types.push_back(session.model->input(i).type);
    if (!types.back().shape) continue;
    for (Dim& d : *types.back().shape) d = d.known() ? d : Dim(1);
  }
  return session.session->describe_plan(types).steps;
}

std::string memory_json(const MemoryInfo& m) {
  return cat("{\"arena_bytes\":", m.arena_bytes, ",\"constant_bytes\":", m.constant_bytes,
             ",\"packed_bytes\":", m.packed_bytes, "}");
}

}  // namespace

std::string report_json(treadle_session& session, const std::string& what) {
  if (what == "placement") return cat("{\"steps\":", array(placement(session), step_json), "}");
  if (what == "memory") return memory_json(session.session->memory());
  if (what == "passes") {
    const OptimizeReport& report = session.model->report();
    return cat("{\"nodes_before\":", report.nodes_before, ",\"nodes_after\":", report.nodes_after,
               ",\"passes\":", array(report.passes, pass_json), "}");
  }
  if (what == "profile") {
    return cat("{\"steps\":", array(session.session->profile(), step_json), "}");
  }
  fail(Code::kInvalidArgument, "no report '", what,
       "': placement, passes, memory or profile expected");
}

}  // namespace treadle::c_api
