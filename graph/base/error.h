// The one exception of the library: a code, a text and the context that outer loops add.
//
// Inside the library every failure is an `Error`; it is caught at the C boundary only. Context is
// added in three loops: import, optimize and execute. Kernels and shape rules just call `fail`.
#pragma once

#include <exception>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

namespace treadle {

// Stable values: they are the C API's treadle_status.
enum class Code {
  kOk = 0,
  kInvalidArgument = 1,  // a caller's argument: name, shape, dtype, option
  kInvalidModel = 2,     // the model's bytes or graph are wrong
  kUnsupported = 3,      // a valid model that needs what this build lacks
  kInvalidData = 4,      // run-time data out of its domain (an index, a shape value)
  kIo = 5,               // a file cannot be read or written
  kLimit = 6,            // a configured limit was reached
  kOutOfMemory = 7,
  kBusy = 8,
  kCancelled = 9,
  kTimeout = 10,
  kDevice = 11,    // device or backend unavailable
  kInternal = 12,  // a bug of ours
};
std::string_view code_name(Code code);

class Error : public std::exception {
 public:
  Error(Code code, std::string text) : code_(code), text_(std::move(text)) { render(); }
  const char* what() const noexcept override { return rendered_.c_str(); }
  Code code() const { return code_; }
  const std::string& text() const { return text_; }
  // Innermost first: "node 'conv1' (Conv)", "file 'm.onnx'".
  const std::vector<std::string>& context() const { return context_; }
  void add_context(std::string where) {
    context_.push_back(std::move(where));
    render();
  }
  // The innermost node that was named, and its operator; "" before.
  const std::string& node() const { return node_; }
  const std::string& op() const { return op_; }
  void name_node(std::string_view node, std::string_view op) {
    if (!op_.empty()) return;
    node_ = node;
    op_ = op;
  }
  // The same with another code, for who knows better whose fault it is.
  Error as(Code code) const {
    Error other = *this;
    other.code_ = code;
    return other;
  }

 private:
  void render();
  Code code_;
  std::string text_;
  std::vector<std::string> context_;
  std::string node_, op_;
  std::string rendered_;
};

namespace detail {
inline void append(std::string& out, std::string_view part) { out += part; }
void append_double(std::string& out, double part);
template <class T>
requires std::is_arithmetic_v<T>
void append(std::string& out, T part) {
  if constexpr (std::is_same_v<T, bool>) {
    out += part ? "true" : "false";
  } else if constexpr (std::is_same_v<T, char>) {
    out += part;
  } else if constexpr (std::is_integral_v<T>) {
    out += std::to_string(part);
  } else {
    append_double(out, static_cast<double>(part));
  }
}
}  // namespace detail

// Concatenates texts, integers and doubles.
template <class... Parts>
std::string cat(const Parts&... parts) {
  std::string out;
  (detail::append(out, parts), ...);
  return out;
}

// Throws an Error with the concatenated parts as its text.
template <class... Parts>
[[noreturn]] void fail(Code code, const Parts&... parts) {
  throw Error(code, cat(parts...));
}

// The close match for a misspelt name among `candidates`, or "" when none is near (edit distance >
// 1/3 of the length).
std::string close_match(std::string_view name, const std::vector<std::string>& candidates);

}  // namespace treadle

// Checks input, in all builds: throws Error(code, parts...) unless `condition`.
#define TREADLE_CHECK(condition, code, ...)                \
  do {                                                     \
    if (!(condition)) [[unlikely]]                         \
      ::treadle::fail(::treadle::Code::code, __VA_ARGS__); \
  } while (false)
