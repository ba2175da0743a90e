#include "roles/downloads.h"

#include <algorithm>
#include <utility>

#include "base/rel_path.h"

namespace lansync {
namespace {

constexpr Duration kReachPatience = 8s;
constexpr Duration kAlonePatience = 5s;
// Another holder may be found meanwhile, or an update be on its way.
constexpr Duration kRefusedPatience = 3s;
constexpr Duration kCheck = 200ms;
constexpr int kMostVersions = 5;

std::string_view source_name(Via via) {
  static constexpr std::string_view kNames[] = {"enet", "lane", "tcp"};
  return via < std::size(kNames) ? kNames[via] : "enet";
}

}  // namespace

EntryPtr Downloads::entry_of(const std::string& path) const {
  const PathRecord* record = replica_.index().find(path);
  if (!record) return nullptr;
  return record->remote ? record->remote : record->known();
}

void Downloads::start(NodeControl::Token token, const DownloadAsk& what, Instant now, Done done) {
  now_ = now;
  One one;
  one.token = token;
  one.what = what;
  one.started = now;
  one.until = now + kReachPatience;
  one.done = std::move(done);
  EntryPtr entry = entry_of(what.name);
  if (!entry || !entry->is_file()) {
    fail(one, str("no file called ", printable(what.name), " in the group"));
    return;
  }
  if (ones_.size() + lent_.size() >= kMaxDownloads) {
    fail(one, "this node is busy with many downloads: try again");
    return;
  }
  if (!what.peer.empty()) {
    Result<NodeId> peer = host_.find_peer(what.peer);
    if (!peer) {
      fail(one, peer.error().detail);
      return;
    }
    one.peer = *peer;
    if (host_.usable_session(*peer) == 0) {
      if (Status dialled = host_.reach(*peer); !dialled) {
        fail(one, dialled.error().detail);
        return;
      }
    }
  }
  ones_.emplace(token, std::move(one));
}

// Fetches the version that the group has now.
void Downloads::begin(One& one) {
  one.entry = entry_of(one.what.name);
  if (!one.entry || !one.entry->is_file()) {
    fail(one, str(printable(one.what.name), " was deleted meanwhile"));
    return;
  }
  if (++one.versions > kMostVersions) {
    fail(one, str(printable(one.what.name), " changes faster than it can be fetched: try again"));
    return;
  }
  one.refused_at = one.alone_since = kNever;
  const PathRecord* record = replica_.index().find(one.what.name);
  const bool here = record && record->live();
  if (one.what.carrier != CarrierChoice::kAuto) {
    host_.choose_carrier(one.entry->content, one.what.carrier);
  }
  if (!here && !one.what.aside) {
    if (replica_.paused()) {
      fail(one, "this node is paused: `lansync resume` first, or give --output FILE");
      return;
    }
    if (replica_.too_large(one.what.name)) {
      fail(one, "it is larger than this node's --max-file-size: give --output FILE");
      return;
    }
    one.stage = Stage::kInstall;
    if (one.session != 0) replica_.set_path_source(one.what.name, one.session);
    replica_.ask_for(one.what.name);
    replica_.plan_again(one.what.name);
    return;
  }
  if (one.session == 0 && !host_.has_sources() && here) {
    verify(one, one.what.name);
    return;
  }
  one.stage = Stage::kAside;
  std::vector<SourceId> sources;
  if (one.session != 0) sources.push_back(one.session);
  Status begun = replica_.fetch_aside(
      one.what.name, one.entry, sources,
      [this, token = one.token, content = one.entry->content](const Result<std::string>& temp) {
        on_aside(token, content, temp);
      });
  if (!begun) fail(one, begun.error().detail);
}

void Downloads::on_aside(NodeControl::Token token, const ContentId& content,
                         const Result<std::string>& temp) {
  auto at = ones_.find(token);
  if (at == ones_.end() || at->second.stage != Stage::kAside) {
    if (temp && !temp->empty()) replica_.release_aside(content, *temp);
    return;
  }
  One& one = at->second;
  if (!temp) {
    if (one.refused_at == kNever) one.refused_at = now_;
    one.why = temp.error().detail;
    return;
  }
  one.fetched = true;
  if (temp->empty()) {
    // The folder wanted the same content: it is on its way to its place there.
    one.stage = Stage::kInstall;
    return;
  }
  if (!one.what.aside) {
    // What stands in the folder has these bytes; that they can be had elsewhere is what was asked.
    replica_.release_aside(content, *temp);
    succeed(one, {});
    return;
  }
  lent_[token] = {content, *temp, now_ + kLent};
  succeed(one, str(kPrivateDirectory, "/tmp/", *temp));
}

// Nobody else is there who could have it: the bytes here are read anew.
void Downloads::verify(One& one, const std::string& path) {
  one.stage = Stage::kVerify;
  replica_.read_anew(path, [this, token = one.token, path](const Status& status) {
    auto at = ones_.find(token);
    if (at == ones_.end()) return;
    if (!status) {
      fail(at->second, str(printable(path), ": ", status.error().detail));
      return;
    }
    succeed(at->second, at->second.what.aside ? path : std::string());
  });
}

void Downloads::succeed(One& one, const std::string& file) {
  DownloadReport report;
  report.name = one.what.name;
  report.size = one.entry->size;
  report.mtime = WallTime{one.entry->mtime_ns};
  report.md5 = to_hex(one.entry->md5);
  report.mode = one.entry->mode;
  report.peer = one.from.empty() ? host_.name_of(replica_.node()) : one.from;
  report.carrier = one.from.empty() ? "local" : std::string(source_name(one.via));
  report.seconds = std::chrono::duration<double>(now_ - one.started).count();
  report.file = file;
  report.token = one.token;
  let_go(one);
  tell(one, str(report.size, " bytes, ", report.carrier, ", MD5 ", report.md5));
  one.done(report);
}

void Downloads::fail(One& one, std::string why) {
  if (one.stage == Stage::kInstall) replica_.unask(one.what.name);
  let_go(one);
  tell(one, "failed: " + why);
  one.done(Error{ErrorCode::kNotFound, std::move(why)});
}

void Downloads::tell(const One& one, const std::string& result) {
  std::string arguments = printable(one.what.name, 500);
  if (one.what.carrier == CarrierChoice::kEnet) arguments += " --enet";
  if (one.what.carrier == CarrierChoice::kLane) arguments += " --udp";
  if (one.what.carrier == CarrierChoice::kTcp) arguments += " --tcp";
  host_.downloaded(one.session != 0 ? one.session : one.source,
                   one.from.empty() ? one.what.peer : one.from, one.what.name, arguments, result);
}

void Downloads::let_go(One& one) {
  if (one.stage == Stage::kAside && !one.fetched) replica_.drop_aside(one.entry->content);
  if (one.stage == Stage::kInstall && one.session != 0) {
    replica_.clear_path_source(one.what.name);
  }
  if (one.entry && one.what.carrier != CarrierChoice::kAuto) {
    host_.forget_carrier(one.entry->content);
  }
  one.stage = Stage::kOver;
}

void Downloads::cancel(NodeControl::Token token) {
  auto at = ones_.find(token);
  if (at == ones_.end()) return;
  // What goes into the folder goes on, as with `get`.
  if (at->second.stage != Stage::kOver) let_go(at->second);
  ones_.erase(at);
}

void Downloads::give_back(NodeControl::Token token) {
  auto at = lent_.find(token);
  if (at == lent_.end()) return;
  replica_.release_aside(at->second.content, at->second.temp);
  lent_.erase(at);
}

void Downloads::on_unreachable(const NodeId& node, const std::string& why) {
  for (auto& [token, one] : ones_) {
    if (one.stage != Stage::kReach || one.peer != node) continue;
    fail(one, str(printable(host_.name_of(node), 64), " cannot be reached from here: ", why));
  }
}

void Downloads::on_fetched(const ContentId& content, SourceId source, Via via) {
  for (auto& [token, one] : ones_) {
    if (!one.entry || one.entry->content != content) continue;
    one.from = host_.name_of_source(source);
    one.source = source;
    one.via = via;
  }
}

void Downloads::on_fetch_failed(const std::string& path, const std::string& reason, Instant now) {
  for (auto& [token, one] : ones_) {
    if (one.stage != Stage::kInstall || one.what.name != path) continue;
    if (one.refused_at == kNever) one.refused_at = now;
    one.why = reason;
  }
}

// A fetch under way: a newer version, a peer that is gone, nobody who has it.
void Downloads::watch(One& one, Instant now) {
  EntryPtr entry = entry_of(one.what.name);
  const std::string name = printable(one.what.name);
  // In the folder it follows its path; aside, an older version that comes whole is good as well,
  // but not one that nobody has any more.
  const bool moved = !entry || !entry->is_file() || entry->content != one.entry->content;
  if (one.stage == Stage::kInstall && replica_.is_here(one.what.name)) {
    one.entry = replica_.index().find(one.what.name)->local;
    const bool lend = one.what.aside;
    succeed(one, lend ? one.what.name : std::string());
    return;
  }
  if (one.stage == Stage::kInstall && moved) {
    if (one.what.carrier != CarrierChoice::kAuto) {
      host_.forget_carrier(one.entry->content);
      if (entry) host_.choose_carrier(entry->content, one.what.carrier);
    }
    one.entry = entry;
    if (!entry || !entry->is_file()) fail(one, str(name, " was deleted meanwhile"));
    return;
  }
  if (one.session != 0 && host_.usable_session(*one.peer) != one.session) {
    fail(one, str(printable(host_.name_of(*one.peer), 64), " went away before ", name,
                  " was whole: try again, or without --peer"));
    return;
  }
  const bool sources = one.session != 0 || host_.has_sources();
  if (sources) one.alone_since = kNever;
  if (!sources && one.alone_since == kNever) one.alone_since = now;
  if (one.alone_since != kNever && now - one.alone_since >= kAlonePatience) {
    fail(one, str("no node that holds ", name, " is here"));
    return;
  }
  if (one.refused_at == kNever) return;
  if (moved) {
    replica_.drop_aside(one.entry->content);
    if (one.what.carrier != CarrierChoice::kAuto) host_.forget_carrier(one.entry->content);
    begin(one);
    return;
  }
  if (now - one.refused_at < kRefusedPatience) return;
  const PathRecord* record = replica_.index().find(one.what.name);
  if (!one.peer && one.stage == Stage::kAside && record && record->live()) {
    replica_.drop_aside(one.entry->content);
    verify(one, one.what.name);
    return;
  }
  fail(one, str(one.peer ? printable(host_.name_of(*one.peer), 64) : std::string("nobody"),
                one.peer ? " does not hold " : " that is here holds ", name, ": ", one.why));
}

void Downloads::step(One& one, Instant now) {
  switch (one.stage) {
    case Stage::kReach:
      if (one.peer) one.session = host_.usable_session(*one.peer);
      if (!one.peer || one.session != 0) {
        begin(one);
      } else if (now >= one.until) {
        fail(one, str(printable(host_.name_of(*one.peer), 64),
                      " cannot be reached straight from here: see `lansync doctor`"));
      }
      return;
    case Stage::kInstall:
    case Stage::kAside:
      watch(one, now);
      return;
    case Stage::kVerify:
    case Stage::kOver:
      return;
  }
}

void Downloads::pump(Instant now) {
  now_ = now;
  std::vector<NodeControl::Token> tokens;
  for (const auto& [token, one] : ones_) tokens.push_back(token);
  for (NodeControl::Token token : tokens) {
    if (auto at = ones_.find(token); at != ones_.end()) step(at->second, now);
  }
  std::erase_if(ones_, [](const auto& item) { return item.second.stage == Stage::kOver; });
  tokens.clear();
  for (const auto& [token, lent] : lent_) {
    if (now >= lent.until) tokens.push_back(token);
  }
  for (NodeControl::Token token : tokens) give_back(token);
}

Instant Downloads::deadline() const {
  Instant next = kNever;
  for (const auto& [token, one] : ones_) {
    next = std::min(next, one.stage == Stage::kReach && one.session != 0 ? now_ : now_ + kCheck);
  }
  for (const auto& [token, lent] : lent_) next = std::min(next, lent.until);
  return next;
}

bool Downloads::uses(SessionId session) const {
  return std::any_of(ones_.begin(), ones_.end(),
                     [&](const auto& item) { return item.second.session == session; });
}

}  // namespace lansync
