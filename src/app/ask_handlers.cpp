#include "app/ask_handlers.h"

#include <utility>

#include "app/options.h"
#include "app/units.h"
#include "base/log.h"
#include "sync/name_pattern.h"

namespace lansync {
namespace {

std::string text_argument(const Json& args, const char* key) {
  auto at = args.find(key);
  return at != args.end() && at->is_string() ? at->get<std::string>() : "";
}

bool flag_argument(const Json& args, const char* key) {
  auto at = args.find(key);
  return at != args.end() && at->is_boolean() && at->get<bool>();
}

std::optional<WallTime> nanoseconds_argument(const Json& args, const char* key) {
  auto at = args.find(key);
  if (at == args.end() || !at->is_number_integer()) return std::nullopt;
  return WallTime{at->get<std::int64_t>()};
}

// A pattern is checked before anybody is asked: it is the person's slip, not the peer's.
bool refuse_pattern(const std::string& pattern, const ControlReply& reply) {
  auto compiled = NamePattern::compile(pattern);
  if (compiled) return false;
  reply(error_answer(kExitUsage, compiled.error().detail));
  return true;
}

template <typename T>
AskControl::Rows<T> rows_to(const ControlReply& reply) {
  return [reply](const std::vector<T>& rows, AskControl::Taken taken) {
    Json part = {{"rows", to_json_document(rows)}};
    reply.part(part, std::move(taken));
  };
}

AskControl::Callback<AskEnd> end_to(const ControlReply& reply) {
  return [reply](const Result<AskEnd>& end) {
    if (end)
      reply(ok_answer({{"peer", end->peer}, {"rows", end->rows}}));
    else
      reply(error_answer(kExitFailed, end.error().detail));
  };
}

StartedCommand ask_index(NodeControl& node, const Json& args, const ControlReply& reply) {
  IndexAsk what;
  what.peer = text_argument(args, "peer");
  what.directories = flag_argument(args, "directories");
  what.from = nanoseconds_argument(args, "from_ns");
  what.to = nanoseconds_argument(args, "to_ns");
  what.pattern = text_argument(args, "pattern");
  if (args.contains("pattern") && refuse_pattern(what.pattern, reply)) return {};
  return {node.index(what, rows_to<FileReport>(reply), end_to(reply)), false};
}

StartedCommand ask_hash(NodeControl& node, const Json& args, const ControlReply& reply) {
  HashAsk what;
  what.peer = text_argument(args, "peer");
  what.name = text_argument(args, "name");
  what.repair = flag_argument(args, "repair");
  return {node.hash(what, rows_to<HashReport>(reply), end_to(reply)), false};
}

StartedCommand ask_search(NodeControl& node, const Json& args, const ControlReply& reply) {
  SearchAsk what;
  what.name = text_argument(args, "name");
  what.regex = flag_argument(args, "regex");
  what.quiet = flag_argument(args, "quiet");
  if (what.regex && refuse_pattern(what.name, reply)) return {};
  auto done = [reply](const Result<AskEnd>& end) {
    // Nobody has it: an answer, though not the one that was hoped for.
    if (!end && end.error().code == ErrorCode::kNotFound)
      reply(ok_answer({{"peer", ""}, {"rows", 0}, {"note", end.error().detail}}));
    else
      end_to(reply)(end);
  };
  return {node.search(what, rows_to<RecordReport>(reply), done), false};
}

StartedCommand ask_history(NodeControl& node, const Json& args, const ControlReply& reply) {
  std::optional<WallTime> since;
  if (args.contains("since")) {
    since = parse_time(text_argument(args, "since"));
    if (!since) {
      reply(error_answer(kExitUsage, str("since: not a time: write ", kTimeForms)));
      return {};
    }
  }
  return {node.history(since,
                       [reply](const Result<std::vector<HistoryReport>>& rows) {
                         reply(rows ? ok_answer(to_json_document(*rows))
                                    : error_answer(kExitFailed, rows.error().detail));
                       }),
          false};
}

StartedCommand ask_upload(NodeControl& node, const Json& args, const ControlReply& reply) {
  UploadAsk what{text_argument(args, "file"), text_argument(args, "to")};
  return {node.upload(what,
                      [reply](const Result<UploadReport>& done) {
                        reply(done ? ok_answer(to_json_document(*done))
                                   : error_answer(kExitFailed, done.error().detail));
                      }),
          false};
}

StartedCommand ask_uploads(NodeControl& node, const Json& args, const ControlReply& reply) {
  std::string answer = text_argument(args, "answer");
  if (answer.empty()) {
    reply(ok_answer(to_json_document(node.uploads())));
    return {};
  }
  auto id = args.find("id");
  std::uint64_t number =
      id != args.end() && id->is_number_unsigned() ? id->get<std::uint64_t>() : 0;
  Result<OfferReport> done = node.answer_upload(number, answer == "allow");
  reply(done ? ok_answer(to_json_document(*done)) : error_answer(kExitFailed, done.error().detail));
  return {};
}

constexpr std::pair<std::string_view, AskHandler> kHandlers[] = {
    {"upload", ask_upload}, {"uploads", ask_uploads}, {"index", ask_index},
    {"hash", ask_hash},     {"search", ask_search},   {"history", ask_history},
};

}  // namespace

AskHandler find_ask_handler(std::string_view name) {
  for (const auto& [known, handler] : kHandlers)
    if (known == name) return handler;
  return nullptr;
}

}  // namespace lansync
