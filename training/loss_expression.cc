#include "training/loss_expression.h"

#include <algorithm>
#include <cmath>
#include <variant>

#include "graph/base/suggestion.h"
#include "graph/ops/op.h"
#include "graph/text_scan.h"

namespace treadle {
namespace {

constexpr int kDeepest = 200;  // parentheses within each other

// An array of the batch whose type what it meets tells.
struct Open {
  std::string name;
};
// Numbers have no dtype until they meet a value.
using Operand = std::variant<double, Open, Expr>;

struct Call {
  std::string function;
  size_t place;
  std::vector<Operand> operands;
  std::vector<std::pair<std::string, std::variant<double, std::string>>> attributes;
};

bool same_word(std::string_view a, std::string_view b) {
  const auto plain = [](std::string_view s) {
    std::string out;
    for (char c : s) {
      if (c != '_') out += c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
    }
    return out;
  };
  return plain(a) == plain(b);
}

struct Reducer {
  const char* name;
  const char* op;
};
constexpr Reducer kReducers[] = {{"mean", "ReduceMean"},
                                 {"sum", "ReduceSum"},
                                 {"max", "ReduceMax"},
                                 {"min", "ReduceMin"},
                                 {"prod", "ReduceProd"}};

const Op* operator_of(const std::string& function) {
  for (const Op& op : all_ops()) {
    if (op.domain.empty() && same_word(op.kind, function)) return &op;
  }
  return nullptr;
}

bool is_loss(const std::string& function) {
  const std::vector<std::string> kinds = loss_kinds();
  return function != "output" && std::ranges::find(kinds, function) != kinds.end();
}

std::vector<std::string> function_names() {
  std::vector<std::string> names = loss_kinds();
  std::erase(names, "output");
  for (const Reducer& r : kReducers) names.emplace_back(r.name);
  for (const Op& op : all_ops()) {
    if (op.domain.empty()) names.push_back(op.kind);
  }
  return names;
}

class Formula {
 public:
  Formula(const Expr& read, const JointOptions& options)
      : read_(read), options_(options), in_(options.loss.kind) {}

  WrittenLoss build() {
    TREADLE_CHECK(read_.type().is_tensor() && is_float(read_.dtype()), kInvalidArgument,
                  "the output is ", read_.type().text(), ": a loss needs floats");
    const Operand result = sum();
    if (!in_.at_end()) in_.wrong("an operator or the end");
    TREADLE_CHECK(reads_model_, kInvalidArgument,
                  "it reads nothing of the model, whose outputs are ", quoted(output_names()));
    const bool usual = std::ranges::find(added_, options_.target) != added_.end();
    return {value(result), usual ? options_.target : added_.empty() ? "" : added_[0]};
  }

 private:
  Graph& graph() const { return read_.builder().graph(); }
  std::vector<std::string> output_names() const {
    std::vector<std::string> names;
    for (const GraphOutput& o : graph().outputs()) names.push_back(o.name);
    return names;
  }
  static std::string quoted(const std::vector<std::string>& names) {
    std::string text;
    for (const std::string& name : names) text += cat(text.empty() ? "'" : ", '", name, "'");
    return text;
  }

  template <class... Parts>
  [[noreturn]] void refuse(size_t place, const Parts&... parts) const {
    fail(Code::kInvalidArgument, in_.place(place), ": ", parts...);
  }

  Operand sum();
  Operand product();
  Operand signed_one();
  Operand atom();
  Operand named();
  Operand model_value(const std::string& name, size_t place);
  Operand call(const std::string& function, size_t place);
  void argument(Call& call);
  Operand combined(char symbol, const Operand& a, const Operand& b, size_t place);
  Operand power(const Operand& a, const Operand& b, size_t place);
  Expr reduced(const Call& call, const char* op);
  Expr as_loss(const Call& call);
  Expr applied(const Call& call, const Op& op);

  Expr value(const Operand& operand);
  Expr value(const Operand& operand, const Type& wanted);

  Expr read_;
  const JointOptions& options_;
  TextScanner in_;
  int depth_ = 0;
  bool reads_model_ = false;
  std::vector<std::string> added_;  // inputs, of a batch
};

Expr Formula::value(const Operand& operand) {
  const auto* open = std::get_if<Open>(&operand);
  const bool target = open != nullptr && open->name == options_.target;
  return value(operand, target ? read_.type() : Type::tensor(read_.dtype()));
}

Expr Formula::value(const Operand& operand, const Type& wanted) {
  if (const double* number = std::get_if<double>(&operand)) return read_.number(*number);
  if (const Expr* expr = std::get_if<Expr>(&operand)) return *expr;
  const std::string& name = std::get<Open>(operand).name;
  const bool there = std::ranges::find(added_, name) != added_.end();
  if (there) return {read_.builder(), graph().find_value(name)};
  added_.push_back(name);
  return {read_.builder(), graph().add_input(name, wanted)};
}

Operand Formula::combined(char symbol, const Operand& a, const Operand& b, size_t place) {
  const double* x = std::get_if<double>(&a);
  const double* y = std::get_if<double>(&b);
  const auto apply = [&](const auto& left, const auto& right) -> Operand {
    switch (symbol) {
      case '+': return left + right;
      case '-': return left - right;
      case '*': return left * right;
      default: return left / right;
    }
  };
  try {
    if (x != nullptr && y != nullptr) return apply(*x, *y);
    if (x != nullptr) return apply(*x, value(b));
    if (y != nullptr) return apply(value(a), *y);
    return apply(value(a), value(b));
  } catch (const Error& e) {
    refuse(place, "'", std::string(1, symbol), "': ", e.text());
  }
}

Operand Formula::power(const Operand& a, const Operand& b, size_t place) {
  const double* x = std::get_if<double>(&a);
  const double* y = std::get_if<double>(&b);
  if (x != nullptr && y != nullptr) return std::pow(*x, *y);
  try {
    const Expr base = x != nullptr ? value(b).number(*x) : value(a);
    if (y != nullptr && *y == 2) return square(base);
    return base.op("Pow", {y != nullptr ? base.number(*y) : value(b)});
  } catch (const Error& e) {
    refuse(place, "'^': ", e.text());
  }
}

Operand Formula::sum() {
  if (++depth_ > kDeepest)
    in_.error(Code::kInvalidArgument, "more than ", kDeepest, " parentheses");
  Operand left = product();
  for (char c = in_.next(); c == '+' || c == '-'; c = in_.next()) {
    const size_t place = in_.position();
    in_.expect(c);
    left = combined(c, left, product(), place);
  }
  --depth_;
  return left;
}

Operand Formula::product() {
  Operand left = signed_one();
  for (char c = in_.next(); c == '*' || c == '/'; c = in_.next()) {
    const size_t place = in_.position();
    in_.expect(c);
    left = combined(c, left, signed_one(), place);
  }
  return left;
}

Operand Formula::signed_one() {
  bool negative = false;
  while (in_.matches('-')) negative = !negative;
  Operand base = atom();
  in_.next();
  const size_t place = in_.position();
  if (in_.matches('^')) {
    if (++depth_ > kDeepest) in_.error(Code::kInvalidArgument, "more than ", kDeepest, " powers");
    base = power(base, signed_one(), place);
    --depth_;
  }
  if (!negative) return base;
  if (const double* number = std::get_if<double>(&base)) return -*number;
  return -value(base);
}

Operand Formula::atom() {
  const char c = in_.next();
  if (c >= '0' && c <= '9') return in_.real();
  if (!in_.matches('(')) return named();
  const Operand inner = sum();
  in_.expect(')');
  return inner;
}

Operand Formula::named() {
  const char c = in_.next();
  const size_t place = in_.position();
  if (c != '"' && in_.peek_identifier().empty()) in_.wrong("a number, a name or '('");
  const std::string name = in_.name();
  if (c != '"' && in_.next() == '(') return call(name, place);
  if (c == '"' || name != "batch" || !in_.matches('.')) return model_value(name, place);
  const std::string of_batch = in_.name();
  if (graph().find_value(of_batch).valid() && std::ranges::find(added_, of_batch) == added_.end()) {
    refuse(place, "the model has a value '", of_batch, "' itself: name the batch's otherwise");
  }
  return Open{of_batch};
}

Operand Formula::model_value(const std::string& name, size_t place) {
  const auto of_batch = std::ranges::find(added_, name);
  const auto output = std::ranges::find(graph().outputs(), name, &GraphOutput::name);
  const ValueId v = output != graph().outputs().end() ? output->value : graph().find_value(name);
  if (v.valid() && of_batch == added_.end()) {
    const Expr found(read_.builder(), v);
    if (!found.type().is_tensor()) refuse(place, "'", name, "' is ", found.type().text());
    reads_model_ = true;
    return found;
  }
  if (name == options_.target) return Open{name};
  std::vector<std::string> known = output_names();
  known.push_back(options_.target);
  for (ValueId input : graph().inputs()) known.push_back(graph().value(input).name);
  refuse(place, "the model has no value '", name, "'",
         suggestion(name, known,
                    cat("; its outputs are ", quoted(output_names()), ", the target is '",
                        options_.target, "', and batch.", name, " is an array of the batch")));
}

void Formula::argument(Call& call) {
  TextScanner ahead = in_;
  const std::string key = ahead.identifier();
  if (key.empty() || !ahead.matches('=')) {
    call.operands.push_back(sum());
    return;
  }
  in_ = ahead;
  if (in_.next() == '"') {
    call.attributes.emplace_back(key, in_.string());
  } else {
    call.attributes.emplace_back(key, in_.real());
  }
}

Operand Formula::call(const std::string& function, size_t place) {
  Call call{function, place, {}, {}};
  in_.expect('(');
  do {
    argument(call);
  } while (in_.matches(','));
  in_.expect(')');
  const auto* const reducer = std::ranges::find_if(
      kReducers, [&](const Reducer& r) { return same_word(r.name, function); });
  try {
    if (call.operands.size() == 1 && reducer != std::end(kReducers)) {
      return reduced(call, reducer->op);
    }
    if (is_loss(function)) return as_loss(call);
    if (const Op* op = operator_of(function)) return applied(call, *op);
  } catch (const Error& e) {
    refuse(place, function, ": ", e.text());
  }
  refuse(place, "there is no function '", function, "'",
         suggestion(function, function_names(),
                    "; there are mean, sum, max, min, prod, the losses by name, and the operators "
                    "of ONNX"));
}

int64_t whole(const std::string& key, double number) {
  TREADLE_CHECK(std::abs(number) < 0x1p53 && std::floor(number) == number, kInvalidArgument, "'",
                key, "' is ", number, ", expected an integer");
  return static_cast<int64_t>(number);
}

Expr Formula::reduced(const Call& call, const char* op) {
  std::vector<Expr> axes;
  for (const auto& [key, given] : call.attributes) {
    TREADLE_CHECK(key == "axis" && std::holds_alternative<double>(given) && axes.empty(),
                  kInvalidArgument, "it takes one 'axis=' beside its value, not '", key, "'");
    axes.push_back(read_.ints({whole(key, std::get<double>(given))}));
  }
  return value(call.operands[0]).op(op, axes, {{"keepdims", int64_t{0}}});
}

Expr Formula::as_loss(const Call& call) {
  TREADLE_CHECK(call.operands.size() == 2 && call.attributes.empty(), kInvalidArgument,
                "it takes an output and what that should be");
  LossOptions options = options_.loss;
  options.kind = call.function;
  const bool scores = options.kind == "cross_entropy";
  if (!scores) options.label_smoothing = 0;
  if (!scores && options.kind != "nll") {
    options.class_weights.clear();
    options.ignore_index.reset();
  }
  const Expr output = value(call.operands[0]);
  const Type wanted = loss_target(options, output.type()).value();
  const Expr target = value(call.operands[1], wanted);
  TREADLE_CHECK(target.dtype() == wanted.dtype, kInvalidArgument, "it wants ", wanted.text(),
                " for the output, and is given ", target.type().text());
  return add_loss(options, output, target);
}

Attribute attribute_of(const AttributeDef& def, const std::variant<double, std::string>& given) {
  const double* number = std::get_if<double>(&given);
  if (def.kind == "s" && number == nullptr) return std::get<std::string>(given);
  TREADLE_CHECK(number != nullptr && (def.kind == "i" || def.kind == "f"), kInvalidArgument,
                "attribute '", def.name, "' ",
                def.kind == "s" ? "is a text in quotes" : "cannot be written as this");
  if (def.kind == "i") return whole(def.name, *number);
  return static_cast<float>(*number);
}

Expr Formula::applied(const Call& call, const Op& op) {
  Node node;
  node.op = &op;
  node.name = op.kind;
  // Numbers take the dtype of the first value.
  const auto first = std::ranges::find_if(
      call.operands, [](const Operand& o) { return !std::holds_alternative<double>(o); });
  const Expr like = first == call.operands.end() ? read_ : value(*first);
  for (const Operand& operand : call.operands) {
    const double* number = std::get_if<double>(&operand);
    node.inputs.push_back((number != nullptr ? like.number(*number) : value(operand)).id());
  }
  std::vector<std::string> keys;
  for (const AttributeDef& def : op.attributes) keys.push_back(def.name);
  for (const auto& [key, given] : call.attributes) {
    const AttributeDef* def = op.attribute(key);
    if (def == nullptr) {
      fail(Code::kInvalidArgument, "it has no attribute '", key, "'", suggestion(key, keys));
    }
    node.attributes.set(key, attribute_of(*def, given));
  }
  node.outputs.resize(1);
  check_against_row(node);
  return {read_.builder(), read_.builder().add(std::move(node))[0]};
}

}  // namespace

bool is_loss_expression(const std::string& kind) { return kind.find('(') != std::string::npos; }

WrittenLoss add_written_loss(const Expr& read, const JointOptions& options) {
  try {
    return Formula(read, options).build();
  } catch (const Error& e) {
    Error refused = e.as(Code::kInvalidArgument);
    constexpr size_t kShown = 300;
    const std::string& text = options.loss.kind;
    refused.add_context(
        cat("loss '", text.substr(0, kShown), text.size() > kShown ? " …" : "", "'"));
    throw refused;
  }
}

}  // namespace treadle
