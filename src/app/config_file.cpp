// parse_config of settings.h. Apart, because toml++ is heavy to compile.
#define TOML_EXCEPTIONS 0
#include <toml++/toml.h>

#include "app/settings.h"

namespace lansync {
namespace {

const char* wanted_type(SettingType type) {
  switch (type) {
    case SettingType::kText:
      return "a text in quotes";
    case SettingType::kNumber:
      return "a whole number";
    case SettingType::kTextOrNumber:
      return "a text in quotes or a whole number";
    case SettingType::kFlag:
      return "true or false";
    case SettingType::kList:
      break;
  }
  return "a text in quotes or a list of them";
}

// False if the node's type does not fit.
bool take_texts(const toml::node& node, SettingType type, std::vector<std::string>& out) {
  if (const auto* list = node.as_array()) {
    if (type != SettingType::kList) return false;
    for (const toml::node& item : *list) {
      if (!item.is_string()) return false;
      out.push_back(item.as_string()->get());
    }
    return true;
  }
  bool text = type == SettingType::kText || type == SettingType::kTextOrNumber ||
              type == SettingType::kList;
  bool number = type == SettingType::kNumber || type == SettingType::kTextOrNumber;
  if (node.is_string() && text)
    out.push_back(node.as_string()->get());
  else if (node.is_integer() && number)
    out.push_back(std::to_string(node.as_integer()->get()));
  else if (node.is_boolean() && type == SettingType::kFlag)
    out.push_back(node.as_boolean()->get() ? "true" : "false");
  else
    return false;
  return true;
}

}  // namespace

Result<SettingTexts> parse_config(std::string_view text, const std::string& file_name) {
  toml::parse_result parsed = toml::parse(text);
  if (!parsed)
    return Error{ErrorCode::kRefused,
                 str(file_name, ":", parsed.error().source().begin.line,
                     ": not TOML: ", printable(parsed.error().description(), 200))};
  SettingTexts out;
  for (const auto& [key, node] : parsed.table()) {
    std::string name(key.str());
    const Setting* setting = find_setting(name);
    if (!setting)
      return Error{ErrorCode::kRefused, str(file_name, ":", key.source().begin.line,
                                            ": unknown key '", printable(name, 100), "'")};
    std::vector<std::string> texts;
    if (!take_texts(node, setting->type, texts))
      return Error{ErrorCode::kRefused, str(file_name, ":", key.source().begin.line, ": '", name,
                                            "' takes ", wanted_type(setting->type))};
    out.emplace(std::move(name), std::move(texts));
  }
  return out;
}

}  // namespace lansync
