#include "altprop/base/json.h"

#include <algorithm>
#include <set>
#include <vector>

#include "altprop/base/error.h"
#include "altprop/base/files.h"
#include "altprop/base/text.h"

namespace altprop {

namespace {

/// What the parser's callback ends the reading with.
struct JsonRefused {
  std::string why;
};

/// "line 3, column 7: " of a place in a text.
std::string json_place(const std::string& text, size_t byte) {
  byte = std::min(byte, text.size());
  const auto end = text.begin() + static_cast<std::ptrdiff_t>(byte);
  const size_t newline = byte ? text.rfind('\n', byte - 1) : std::string::npos;
  const size_t column = newline == std::string::npos ? byte : byte - newline - 1;
  return text::cat("line ", std::count(text.begin(), end, '\n') + 1, ", column ",
                   std::max<size_t>(column, 1), ": ");
}

}  // namespace

nlohmann::json read_json(const std::string& text, const std::string& where,
                         const JsonLimits& limits) {
  using nlohmann::json;
  const auto refuse = [&](const std::string& why) -> Error {
    return Error(text::cat(where, " is no JSON that can be read: ", why));
  };
  if (text.size() > limits.bytes)
    throw refuse(
        text::cat("it has ", text.size(), " bytes, and at most ", limits.bytes, " are looked at"));
  // The names of each object that is open; a list has none.
  std::vector<std::set<std::string>> open;
  const auto watch = [&](int, json::parse_event_t event, json& value) {
    switch (event) {
      case json::parse_event_t::object_start:
      case json::parse_event_t::array_start:
        open.emplace_back();
        if (open.size() > static_cast<size_t>(limits.depth))
          throw JsonRefused{text::cat("more than ", limits.depth, " objects and lists are open")};
        break;
      case json::parse_event_t::object_end:
      case json::parse_event_t::array_end:
        open.pop_back();
        break;
      case json::parse_event_t::key:
        if (const auto& name = value.get_ref<const std::string&>();
            !open.back().insert(name).second)
          throw JsonRefused{
              text::cat("the name '", name.substr(0, 60), "' stands twice in an object")};
        break;
      case json::parse_event_t::value:
        break;
    }
    return true;
  };
  try {
    return json::parse(text, watch);
  } catch (const JsonRefused& refused) {
    throw refuse(refused.why);
  } catch (const json::parse_error& error) {
    throw refuse(json_place(text, error.byte) + (error.byte > text.size() || text.empty()
                                                     ? "the text ends too early"
                                                     : "this does not belong here"));
  } catch (const json::exception&) {  // a number beyond all bounds
    throw refuse("a number in it is too large");
  }
}

nlohmann::json read_json_file(const std::string& path, const JsonLimits& limits) {
  return read_json(read_file(path, limits.bytes), "'" + path + "'", limits);
}

}  // namespace altprop
