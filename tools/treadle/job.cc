// The only file that sees the TOML parser.
#include "tools/treadle/job.h"

#include <algorithm>
#include <sstream>
#define TOML_EXCEPTIONS 1
#include <toml++/toml.h>

#include "files/file.h"
#include "graph/base/suggestion.h"
#include "tools/treadle/command.h"
#include "training/data/exact.h"
#include "training/settings.h"

namespace treadle::tool {
namespace {

constexpr std::string_view kTrain = "train.";

// Where a value was given: "job.toml line 3", or the word.
struct Place {
  std::string source;
  bool file;
  std::string of(const toml::node& node) const {
    return file ? cat(source, " line ", int64_t{node.source().begin.line}) : source;
  }
};

std::vector<std::string> all_keys() {
  Job job;
  std::vector<std::string> keys;
  for (const JobField& field : job_fields(job)) keys.emplace_back(field.key);
  for (const TrainSetting& field : train_settings()) keys.push_back(cat(kTrain, field.key));
  return keys;
}

[[noreturn]] void refuse(const std::string& where, const std::string& key, std::string_view want) {
  throw UsageError(cat(where, ": '", key, "' wants ", want));
}

template <class T>
void take(const toml::node& node, T& out, const std::string& where, const std::string& key) {
  if constexpr (std::is_same_v<T, bool>) {
    if (!node.is_boolean()) refuse(where, key, "true or false");
    out = node.as_boolean()->get();
  } else if constexpr (std::is_integral_v<T>) {
    if (!node.is_integer()) refuse(where, key, "an integer");
    const int64_t value = node.as_integer()->get();
    if (!std::in_range<T>(value)) refuse(where, key, "an integer in range");
    out = static_cast<T>(value);
  } else if constexpr (std::is_same_v<T, double>) {
    if (!node.is_number()) refuse(where, key, "a number");
    out = node.is_integer() ? static_cast<double>(node.as_integer()->get())
                            : node.as_floating_point()->get();
  } else if constexpr (std::is_same_v<T, std::string> || std::is_same_v<T, std::filesystem::path>) {
    if (!node.is_string()) refuse(where, key, "a text in quotes");
    out = node.as_string()->get();
  } else {  // a list, or one element for a list of one
    out.clear();
    if (const toml::array* list = node.as_array()) {
      for (const toml::node& item : *list) take(item, out.emplace_back(), where, key);
    } else {
      take(node, out.emplace_back(), where, key);
    }
  }
}

// As training/settings.h takes it: lists by commas, truth as 0 and 1.
std::string setting_text(const toml::node& node, const std::string& where, const std::string& key) {
  if (const toml::array* list = node.as_array()) {
    std::string text;
    for (const toml::node& item : *list)
      text += (text.empty() ? "" : ",") + setting_text(item, where, key);
    return text;
  }
  if (node.is_string()) return node.as_string()->get();
  if (node.is_boolean()) return node.as_boolean()->get() ? "1" : "0";
  if (node.is_integer()) return std::to_string(node.as_integer()->get());
  if (node.is_floating_point()) return exact_text(node.as_floating_point()->get());
  refuse(where, key, "a number, a text or a list of them");
}

void set_train(Job& job, const std::string& key, const std::string& value,
               const std::string& where) {
  try {
    set_train_setting(job.trainer, key, value);
  } catch (const Error& e) {
    throw UsageError(cat(where, ": ", e.text()));
  }
  std::erase_if(job.settings, [&](const auto& s) { return s.first == key; });
  job.settings.emplace_back(key, value);
}

void set_field(Job& job, const std::string& key, const toml::node& node, const Place& place) {
  const std::string where = place.of(node);
  for (const JobField& field : job_fields(job)) {
    if (key != field.key) continue;
    std::visit([&](auto* at) { take(node, *at, where, key); }, field.at);
    return;
  }
  const std::vector<std::string> known = all_keys();
  if (std::ranges::find(known, key) == known.end()) {
    throw UsageError(cat(where, ": there is no field '", key, "'",
                         suggestion(key, known, "; treadle train --fields lists them")));
  }
  const std::string setting = key.substr(kTrain.size());
  set_train(job, setting, setting_text(node, where, key), where);
}

bool is_text_field(Job& job, std::string_view key) {
  for (const JobField& field : job_fields(job)) {
    if (key == field.key)
      return std::holds_alternative<std::string*>(field.at) ||
             std::holds_alternative<std::filesystem::path*>(field.at);
  }
  return false;
}

void set_table(Job& job, const toml::table& table, const std::string& prefix, const Place& place) {
  for (const auto& [name, node] : table) {
    const std::string key = prefix + std::string(name.str());
    if (const toml::table* inner = node.as_table()) {
      set_table(job, *inner, key + ".", place);
    } else {
      set_field(job, key, node, place);
    }
  }
}

// TOML is UTF-8, the name of a file any bytes: what comes back must be what was given.
std::string text_of(std::string_view key, const std::string& s) {
  std::ostringstream out;
  out << toml::value<std::string>(s);
  bool kept = false;
  try {
    kept = toml::parse("v = " + out.str())["v"].value<std::string>() == s;
  } catch (const toml::parse_error&) {
    kept = false;
  }
  if (!kept) {
    throw UsageError(cat("the field '", key, "' cannot be kept in job.toml, as its text is no ",
                         "UTF-8: rename the file, or train without --out"));
  }
  return out.str();
}

struct Writer {
  std::string_view key;
  std::string operator()(const bool* v) const { return *v ? "true" : "false"; }
  std::string operator()(const std::string* v) const { return text_of(key, *v); }
  std::string operator()(const std::filesystem::path* v) const { return text_of(key, v->string()); }
  std::string operator()(const double* v) const {
    const std::string text = exact_text(*v);
    return text.find_first_of(".eni") == std::string::npos ? text + ".0" : text;
  }
  template <std::integral T>
  std::string operator()(const T* v) const {
    return std::to_string(*v);
  }
  template <class T>
  std::string operator()(const std::vector<T>* v) const {
    std::string text;
    for (const T& item : *v) text += (text.empty() ? "" : ", ") + (*this)(&item);
    return "[" + text + "]";
  }
};

}  // namespace

void read_job(const std::string& path, Job& job) {
  const std::string text = read_file(path);
  try {
    const toml::table table = toml::parse(text, path);
    set_table(job, table, "", {path, true});
  } catch (const toml::parse_error& e) {
    throw UsageError(cat(path, " line ", int64_t{e.source().begin.line}, ": ", e.description()));
  }
}

void set_job_field(Job& job, const std::string& word) {
  const size_t equals = word.find('=');
  if (equals == std::string::npos || equals == 0)
    throw UsageError(cat("'", word, "': expected KEY=VALUE"));
  const std::string key = word.substr(0, equals), value = word.substr(equals + 1);
  toml::table parsed;
  try {
    parsed = toml::parse("v = " + value);
  } catch (const toml::parse_error&) {
    parsed.insert("v", value);  // a bare text
  }
  if (is_text_field(job, key) && !value.starts_with('"')) parsed.insert_or_assign("v", value);
  set_field(job, key, *parsed.get("v"), {word, false});
}

std::string job_text(Job& job) {
  std::string text, section;
  for (const JobField& field : job_fields(job)) {
    const std::string_view key = field.key;
    const size_t dot = key.find('.');
    const std::string head(dot == std::string_view::npos ? "" : key.substr(0, dot));
    if (head != section) text += cat("\n[", head, "]\n");
    section = head;
    text += cat(dot == std::string_view::npos ? key : key.substr(dot + 1), " = ",
                std::visit(Writer{key}, field.at), "\n");
  }
  text += "\n[train]\n";
  for (const auto& [key, value] : job.settings)
    text += cat(key, " = ", text_of(cat(kTrain, key), value), "\n");
  return text;
}

std::string job_reference() {
  Job job;
  std::string text = "| field | default | meaning |\n|---|---|---|\n";
  for (const JobField& field : job_fields(job)) {
    text += cat("| `", field.key, "` | `", std::visit(Writer{field.key}, field.at), "` | ",
                field.help, " |\n");
  }
  for (const TrainSetting& field : train_settings()) {
    const std::string standard = field.standard.empty() ? "" : cat("`", field.standard, "` ");
    text += cat("| `train.", field.key, "` | ", standard, "| ", field.help, " |\n");
  }
  return text;
}

}  // namespace treadle::tool
