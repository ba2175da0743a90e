#include "sniff/render.h"

#include <algorithm>

#include "base/log.h"

namespace lansync::sniff {
namespace {

constexpr std::int64_t kSecond = 1'000'000'000;
constexpr std::size_t kLineText = 40;  // of a value in the one line
constexpr std::size_t kLineNames = 3;  // of a list there
constexpr std::size_t kLineItems = 3;  // of one type in one packet
constexpr std::size_t kMaxText = 1 << 20;

template <typename... F>
struct Overload : F... {
  using F::operator()...;
};
template <typename... F>
Overload(F...) -> Overload<F...>;

// printable() left no control bytes and no invalid UTF-8.
void quote(std::string& out, std::string_view text) {
  out += '"';
  for (char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    out += c;
  }
  out += '"';
}

void json_value(std::string& out, const Value& value);

void json_fields(std::string& out, const Fields& fields, bool first) {
  for (const Field& field : fields) {
    if (!first) out += ',';
    first = false;
    quote(out, field.name);
    out += ':';
    json_value(out, field.value);
  }
}

void json_value(std::string& out, const Value& value) {
  std::visit(Overload{[&](bool flag) { out += flag ? "true" : "false"; },
                      [&](std::uint64_t number) { out += std::to_string(number); },
                      [&](const std::string& text) { quote(out, text); },
                      [&](const List& list) {
                        out += '[';
                        for (std::size_t i = 0; i < list.size(); ++i) {
                          if (i != 0) out += ',';
                          json_value(out, list[i]);
                        }
                        out += ']';
                      },
                      [&](const Fields& fields) {
                        out += '{';
                        json_fields(out, fields, true);
                        out += '}';
                      }},
             value.data());
}

std::string scalar(const Value& value) {
  return std::visit(Overload{[](bool flag) { return std::string(flag ? "true" : "false"); },
                             [](std::uint64_t number) { return std::to_string(number); },
                             [](const std::string& text) { return text; },
                             [](const List&) { return std::string(); },
                             [](const Fields&) { return std::string(); }},
                    value.data());
}

// What names a map in a list: its name, or its command.
std::string title(const Value& value) {
  if (const auto* fields = std::get_if<Fields>(&value.data())) {
    for (const Field& field : *fields)
      if (field.name == "name" || field.name == "command" || field.name == "transfer")
        return scalar(field.value);
    return "{}";
  }
  return scalar(value);
}

std::string brief(const Value& value) {
  if (const auto* list = std::get_if<List>(&value.data())) {
    std::string out = "[";
    for (std::size_t i = 0; i < std::min(list->size(), kLineNames); ++i)
      out += str(i == 0 ? "" : ", ", printable(title((*list)[i]), kLineText));
    if (list->size() > kLineNames) out += str(", ", list->size() - kLineNames, " more");
    return out + "]";
  }
  if (std::holds_alternative<Fields>(value.data())) return "{}";
  return printable(scalar(value), kLineText);
}

std::string address(const std::optional<Address>& address) {
  return address ? to_string(*address) : std::string("?");
}

void lines(std::string& out, const Fields& fields, std::size_t depth);

void line(std::string& out, std::string_view name, const Value& value, std::size_t depth) {
  const std::string indent(2 * depth, ' ');
  if (const auto* fields = std::get_if<Fields>(&value.data())) {
    out += str(indent, name, ":\n");
    lines(out, *fields, depth + 1);
  } else if (const auto* list = std::get_if<List>(&value.data())) {
    if (list->empty()) out += str(indent, name, ": none\n");
    for (std::size_t i = 0; i < list->size(); ++i)
      line(out, str(name, '[', i, ']'), (*list)[i], depth);
  } else {
    out += str(indent, name, ": ", scalar(value), '\n');
  }
}

void lines(std::string& out, const Fields& fields, std::size_t depth) {
  for (const Field& field : fields) line(out, field.name, field.value, depth);
}

}  // namespace

Value::Value(std::string_view text)
    : data_(std::in_place_type<std::string>, printable(text, kMaxText)) {}

std::string iso_time(WallTime time) {
  const std::int64_t fraction = (time.ns % kSecond + kSecond) % kSecond;
  std::string text = to_iso8601(time);
  std::string digits = std::to_string(fraction);
  digits.insert(0, 9 - digits.size(), '0');
  if (!text.empty() && text.back() == 'Z') text.pop_back();
  return str(text, '.', digits, 'Z');
}

std::string render_json(const Item& item) {
  const Fields head{{"time", iso_time(item.time)},
                    {"src", address(item.src)},
                    {"dst", address(item.dst)},
                    {"type", item.type}};
  std::string out = "{";
  json_fields(out, head, true);
  json_fields(out, item.fields, false);
  out += "}\n";
  return out;
}

std::string render_line(const std::vector<Item>& items) {
  std::string out;
  const Item* last = nullptr;
  std::size_t same = 0;  // of the last type, not shown
  auto tell_same = [&] {
    if (same > 0) out += str(" | and ", same, " more ", last->type);
    same = 0;
  };
  std::size_t shown = 0;
  for (const Item& item : items) {
    const bool alike = last != nullptr && last->type == item.type && last->src == item.src &&
                       last->dst == item.dst;
    shown = alike ? shown + 1 : 1;
    if (shown > kLineItems) {
      ++same;
      continue;
    }
    tell_same();
    // A packet can make messages of the other direction certain: they get a line of their own.
    if (last == nullptr || last->src != item.src || last->dst != item.dst) {
      out += str(last == nullptr ? "" : "\n", iso_time(item.time).substr(11, 15), ' ',
                 address(item.src), " > ", address(item.dst), ' ');
    } else {
      out += " | ";
    }
    last = &item;
    out += item.type;
    for (const Field& field : item.fields) {
      if (field.name != "connection") out += str(' ', field.name, '=', brief(field.value));
    }
  }
  tell_same();
  return out.empty() ? out : out + "\n";
}

std::string render_verbose(const std::vector<Item>& items) {
  std::string out;
  for (const Item& item : items) {
    out += str(iso_time(item.time), ' ', address(item.src), " > ", address(item.dst), ' ',
               item.type, '\n');
    lines(out, item.fields, 1);
  }
  return out;
}

}  // namespace lansync::sniff
