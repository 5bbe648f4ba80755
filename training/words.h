// Settings as words: "filters=32 kernel=3 bias=0".
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace treadle {

class Words {
 public:
  // kInvalidArgument: what is no KEY=VALUE, a key that is not among the space-separated `keys`.
  Words(const std::string& text, std::string_view keys);

  bool has(const std::string& key) const { return words_.contains(key); }
  const std::map<std::string, std::string>& all() const { return words_; }
  // `fallback` where the key is not given; kInvalidArgument where its value is of another kind, or
  // out of the range.
  int64_t integer(const std::string& key, int64_t fallback, int64_t least, int64_t most) const;
  bool flag(const std::string& key, bool fallback) const;
  double number(const std::string& key, double fallback) const;
  std::vector<int64_t> integers(const std::string& key, std::vector<int64_t> fallback) const;
  std::vector<double> numbers(const std::string& key) const;
  std::string text(const std::string& key) const;  // "" where it is not given

 private:
  std::map<std::string, std::string> words_;
};

}  // namespace treadle
