#include "app/ask_commands.h"

#include <chrono>
#include <cstdio>
#include <ostream>

#include "app/control_client.h"
#include "app/read_progress.h"
#include "app/units.h"
#include "base/log.h"

namespace lansync {
namespace {

std::string padded(std::string text, std::size_t width) {
  if (text.size() < width) text.resize(width, ' ');
  return text;
}

std::string right(const std::string& text, std::size_t width) {
  return text.size() < width ? std::string(width - text.size(), ' ') + text : text;
}

std::string text_of(const Json& row, const char* key) {
  auto at = row.find(key);
  return at != row.end() && at->is_string() ? printable(at->get<std::string>()) : "";
}

std::string number_of(const Json& row, const char* key) {
  auto at = row.find(key);
  return at != row.end() && at->is_number_unsigned() ? std::to_string(at->get<std::uint64_t>())
                                                     : "-";
}

// Rows stream, so columns have fixed widths; the name, which may be long, stands last.
std::string file_line(const Json& row) {
  return str(right(number_of(row, "size"), 12), "  ", text_of(row, "mtime"), "  ",
             padded(text_of(row, "type"), 24), "  ", text_of(row, "name"), '\n');
}

std::string record_line(const Json& row) {
  std::string where = str(text_of(row, "address"), ':', number_of(row, "port"));
  return str(padded(text_of(row, "node"), 16), "  ", padded(where, 21), "  ", file_line(row));
}

std::string hash_line(const Json& row) {
  auto same = row.find("same");
  std::string compared = same == row.end() || !same->is_boolean() ? "not here"
                         : same->get<bool>()                      ? "same"
                                                                  : "differs";
  std::string state = text_of(row, "state");
  std::string note = text_of(row, "note");
  std::string line =
      str(padded(text_of(row, "md5"), 32), "  ", padded(text_of(row, "mtime"), 20), "  ",
          padded(compared, 8), "  ", padded(state, 10), "  ", text_of(row, "name"));
  if (!note.empty()) line += str("  (", note, ')');
  return line + '\n';
}

std::string history_line(const Json& row) {
  std::string asked = text_of(row, "command");
  std::string arguments = text_of(row, "arguments");
  if (!arguments.empty()) asked += ' ' + arguments;
  return str(text_of(row, "time"), "  ", padded(text_of(row, "direction"), 3), "  ",
             padded(text_of(row, "peer"), 16), "  ", asked, "  -> ", text_of(row, "result"), '\n');
}

// Prints rows as they come, or gathers them for one document.
class RowPrinter {
 public:
  RowPrinter(const CommandLine& command, const CommandStreams& streams,
             std::string (*line)(const Json&))
      : json_(command.json), streams_(streams), line_(line) {}

  void take(const Json& part) {
    auto rows = part.find("rows");
    if (rows == part.end() || !rows->is_array()) return;
    for (const Json& row : *rows) {
      ++count_;
      if (json_) {
        document_ += str(document_.empty() ? "[" : ",\n ", json_line(row));
      } else {
        streams_.out << line_(row);
      }
    }
    if (!json_) streams_.out.flush();
  }
  // The document, if one was asked for. False: it cannot be written.
  bool finish() {
    if (json_) streams_.out << (document_.empty() ? "[" : document_) << "]\n";
    streams_.out.flush();
    return static_cast<bool>(streams_.out);
  }
  std::uint64_t count() const { return count_; }

 private:
  bool json_;
  const CommandStreams& streams_;
  std::string (*line_)(const Json&);
  std::string document_;
  std::uint64_t count_ = 0;
};

int fail(const CommandStreams& streams, int code, const std::string& line) {
  streams.out.flush();
  streams.error << "lansync: " << line << '\n';
  return code;
}

int cannot_write(const CommandStreams& streams) {
  return fail(streams, kExitFailed, "cannot write the answer");
}

int run_index(const CommandLine& command, const CommandStreams& streams) {
  const AskOptions& ask = command.ask;
  Json args = {{"peer", ask.peer}, {"directories", ask.directories}};
  if (ask.from) args["from_ns"] = ask.from->ns;
  if (ask.to) args["to_ns"] = ask.to->ns;
  if (ask.action == "regex") args["pattern"] = ask.name;
  RowPrinter printer(command, streams, file_line);
  ControlAnswer answer = ask_node(command.dir, "index", args, std::nullopt, false,
                                  [&](const Json& part) { printer.take(part); });
  if (answer.exit_code != kExitDone) return fail(streams, answer.exit_code, answer.error);
  return printer.finish() ? kExitDone : cannot_write(streams);
}

int run_search(const CommandLine& command, const CommandStreams& streams) {
  RowPrinter printer(command, streams, record_line);
  Json args = {{"name", command.ask.name}, {"regex", command.ask.regex}};
  ControlAnswer answer = ask_node(command.dir, "search", args, std::nullopt, false,
                                  [&](const Json& part) { printer.take(part); });
  if (answer.exit_code != kExitDone) return fail(streams, answer.exit_code, answer.error);
  if (!printer.finish()) return cannot_write(streams);
  if (printer.count() > 0) return kExitDone;
  std::string note = text_of(answer.result, "note");
  return fail(streams, kExitFailed, note.empty() ? "nobody in the group has it" : note);
}

// What a person wants to know of a check: how many were read, and what is wrong.
struct HashCounts {
  std::uint64_t files = 0;
  std::uint64_t differ = 0;
  std::uint64_t rotten = 0;
  std::uint64_t repaired = 0;
  std::uint64_t unread = 0;

  void add(const Json& row) {
    ++files;
    std::string state = text_of(row, "state");
    auto same = row.find("same");
    if (same != row.end() && same->is_boolean() && !same->get<bool>()) ++differ;
    if (state == "rotten") ++rotten;
    if (state == "repaired") ++repaired;
    if (state == "unreadable" || state == "gone") ++unread;
  }
  bool fine() const { return differ == 0 && rotten == 0 && unread == 0; }
  std::string text(const std::string& peer) const {
    return str(counted(files, "files"), " read on ", printable(peer, 64), ": ", rotten, " rotten, ",
               repaired, " repaired, ", differ, " differ from ours, ", unread, " not readable\n");
  }
};

// What this node has itself, for how long another's check takes. 0: not known.
std::uint64_t about_files(const std::string& dir) {
  ControlAnswer answer = ask_node(dir, "status", Json::object(), 1s);
  if (answer.exit_code != kExitDone || !answer.result.is_object()) return 0;
  const Json folder = answer.result.value("folder", Json::object());
  const auto files = folder.find("files");
  return files != folder.end() && files->is_number_unsigned() ? files->get<std::uint64_t>() : 0;
}

Instant steady_now() {
  return Instant(
      std::chrono::duration_cast<Duration>(std::chrono::steady_clock::now().time_since_epoch()));
}

int run_hash(const CommandLine& command, const CommandStreams& streams) {
  const AskOptions& ask = command.ask;
  const bool all = ask.action == "checkall";
  Json args = {{"peer", ask.peer}, {"repair", ask.repair}};
  if (!all) args["name"] = ask.name;
  RowPrinter printer(command, streams, hash_line);
  HashCounts counts;
  // On a terminal the rows go by; into a file or a document nothing would move for hours.
  const bool shows = all && streams.progress && (command.json || !streams.terminal);
  ReadProgress progress(shows ? about_files(command.dir) : 0);
  Json only;
  ControlAnswer answer =
      ask_node(command.dir, "hash", args, std::nullopt, false, [&](const Json& part) {
        if (!part.contains("rows") || !part["rows"].is_array()) return;
        for (const Json& row : part["rows"]) counts.add(row);
        if (shows) streams.progress(progress.line(counts.files, steady_now()));
        if (!all && !part["rows"].empty()) only = part["rows"][0];
        if (all || !command.json) printer.take(part);
      });
  if (shows) streams.progress("");
  if (answer.exit_code != kExitDone) return fail(streams, answer.exit_code, answer.error);
  bool written = true;
  if (!all && command.json) {
    streams.out << json_line(only) << '\n';
    streams.out.flush();
    written = static_cast<bool>(streams.out);
  } else {
    written = printer.finish();
    if (all && !command.json) {
      streams.out << counts.text(text_of(answer.result, "peer"));
      streams.out.flush();
    }
  }
  if (!written) return cannot_write(streams);
  return counts.fine() ? kExitDone : kExitFailed;
}

int run_history(const CommandLine& command, const CommandStreams& streams) {
  Json args = Json::object();
  if (command.since) args["since"] = to_iso8601(*command.since);
  ControlAnswer answer = ask_node(command.dir, "history", args, std::nullopt);
  if (answer.exit_code != kExitDone) return fail(streams, answer.exit_code, answer.error);
  RowPrinter printer(command, streams, history_line);
  printer.take(Json{{"rows", answer.result}});
  return printer.finish() ? kExitDone : cannot_write(streams);
}

int run_upload(const CommandLine& command, const CommandStreams& streams) {
  Json args = {{"file", command.ask.file}, {"to", command.ask.to_peer}};
  // Somebody may have to say yes first: ten minutes, and as long as the content takes.
  ControlAnswer answer = ask_node(command.dir, "upload", args, std::nullopt);
  if (answer.exit_code != kExitDone) return fail(streams, answer.exit_code, answer.error);
  const Json& row = answer.result;
  if (command.json) {
    streams.out << json_line(row) << '\n';
  } else {
    auto seconds = row.find("seconds");
    double took = seconds != row.end() && seconds->is_number() ? seconds->get<double>() : 0;
    char text[32];
    std::snprintf(text, sizeof text, "%.2f", took);
    streams.out << text_of(row, "name") << " is on " << text_of(row, "peer") << ": "
                << number_of(row, "size") << " bytes, " << text_of(row, "mtime") << ", MD5 "
                << text_of(row, "md5") << ", by " << text_of(row, "carrier") << " in " << text
                << " s\n";
  }
  streams.out.flush();
  return streams.out ? kExitDone : cannot_write(streams);
}

std::string offer_line(const Json& row) {
  return str(right(number_of(row, "id"), 4), "  ", right(number_of(row, "size"), 12), "  ",
             padded(text_of(row, "from"), 16), "  ", text_of(row, "expires"), "  ",
             text_of(row, "name"), '\n');
}

int run_uploads(const CommandLine& command, const CommandStreams& streams) {
  const AskOptions& ask = command.ask;
  Json args = Json::object();
  if (!ask.action.empty()) args = {{"answer", ask.action}, {"id", ask.id}};
  ControlAnswer answer = ask_node(command.dir, "uploads", args, std::nullopt);
  if (answer.exit_code != kExitDone) return fail(streams, answer.exit_code, answer.error);
  if (!ask.action.empty()) {
    if (command.json)
      streams.out << json_line(answer.result) << '\n';
    else
      streams.out << (ask.action == "allow" ? "allowed " : "denied ")
                  << text_of(answer.result, "name") << " from " << text_of(answer.result, "from")
                  << '\n';
    streams.out.flush();
    return streams.out ? kExitDone : cannot_write(streams);
  }
  RowPrinter printer(command, streams, offer_line);
  printer.take(Json{{"rows", answer.result}});
  return printer.finish() ? kExitDone : cannot_write(streams);
}

std::string take_offer_words(const std::vector<std::string>& words, AskOptions& out) {
  if (words.empty()) return "";
  out.action = words[0];
  if (out.action != "allow" && out.action != "deny")
    return "uploads takes allow ID or deny ID; alone it lists what waits";
  bool number = words.size() == 2 && !words[1].empty() && words[1].size() < 10 &&
                words[1].find_first_not_of("0123456789") == std::string::npos;
  if (!number) return str(out.action, " takes the number of an offer: lansync uploads lists them");
  out.id = static_cast<std::uint32_t>(std::stoul(words[1]));
  return "";
}

std::string take_times(const std::vector<std::string>& words, AskOptions& out) {
  out.from = parse_time(words[1]);
  out.to = parse_time(words[2]);
  for (std::size_t i = 1; i <= 2; ++i) {
    if (!(i == 1 ? out.from : out.to))
      return str("shortlist: '", printable(words[i], 64), "' is no time: write ", kTimeForms);
  }
  // Times are shown in whole seconds: one that was read off a list includes that second.
  if (words[2].find('.') == std::string::npos) out.to->ns += 999'999'999;
  if (*out.to < *out.from) return "shortlist: FROM is later than TO";
  return "";
}

std::string take_index_words(const std::vector<std::string>& words, AskOptions& out) {
  out.action = words.empty() ? "" : words[0];
  if (out.action == "longlist") {
    return words.size() == 1 ? "" : "longlist takes no more words: lansync index longlist";
  }
  if (out.action == "shortlist") {
    if (words.size() != 3) return "shortlist takes two times: lansync index shortlist FROM TO";
    return take_times(words, out);
  }
  if (out.action == "regex") {
    if (words.size() != 2 || words[1].empty())
      return "regex takes one pattern: lansync index regex '\\.txt$'";
    out.name = words[1];
    return "";
  }
  return "say which: index longlist, index shortlist FROM TO, or index regex PATTERN";
}

}  // namespace

std::optional<int> run_ask_command(const CommandLine& command, const CommandStreams& streams) {
  if (command.command == "index") return run_index(command, streams);
  if (command.command == "hash") return run_hash(command, streams);
  if (command.command == "search") return run_search(command, streams);
  if (command.command == "upload") return run_upload(command, streams);
  if (command.command == "uploads") return run_uploads(command, streams);
  if (command.command == "history") return run_history(command, streams);
  return std::nullopt;
}

std::string take_ask_words(const std::string& command, const std::vector<std::string>& words,
                           AskOptions& out) {
  if (command == "index") return take_index_words(words, out);
  if (command == "hash") {
    out.action = words.empty() ? "" : words[0];
    if (out.action == "checkall")
      return words.size() == 1 ? "" : "checkall takes no name: lansync hash checkall";
    if (out.action != "verify") return "say which: hash verify NAME, or hash checkall";
    if (words.size() != 2 || words[1].empty()) return "verify takes one name: hash verify NAME";
    out.name = words[1];
    return "";
  }
  if (command == "upload") {
    if (words.size() != 1 || words[0].empty() || out.to_peer.empty())
      return "upload takes one file and whom it is for: lansync upload FILE --to NAME";
    out.file = words[0];
  }
  if (command == "uploads") return take_offer_words(words, out);
  if (command == "search") {
    if (words.size() != 1 || words[0].empty()) return "search takes one name or pattern";
    out.name = words[0];
  }
  return "";
}

}  // namespace lansync
