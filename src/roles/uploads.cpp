#include "roles/uploads.h"

#include <algorithm>
#include <utility>

#include "sync/hashing.h"

namespace lansync {
namespace {

constexpr std::uint64_t kSliceBytes = 16 * 1024 * 1024;
constexpr std::size_t kReadBytes = 256 * 1024;

}  // namespace

struct Uploads::Hashing {
  std::unique_ptr<ReadFile> file;
  FileStat before;
  std::uint64_t offset = 0;
  ContentHasher hasher;
  std::optional<ContentDigests> digests;
  Status status;
};

Uploads::Uploads(UploadHost& host, Replica& replica, Executor& executor, const Clock& clock,
                 Log& log, UploadAnswer policy)
    : host_(host),
      replica_(replica),
      executor_(executor),
      clock_(clock),
      log_(log),
      policy_(policy),
      alive_(std::make_shared<bool>(true)) {}

Uploads::~Uploads() = default;

// ---- what we offer
// -------------------------------------------------------------------------------------

void Uploads::offer(Token token, const NodeId& node, const std::string& name, OpenFile open,
                    AskControl::Callback<UploadReport> done, Instant now) {
  now_ = now;
  if (outgoing_.size() >= kMaxOffered)
    return done(Error{ErrorCode::kBusy, "this node offers too much already: try again"});
  auto out = std::make_shared<Outgoing>();
  out->token = token;
  out->node = node;
  out->open = std::move(open);
  out->done = std::move(done);
  out->message.id = next_wire_id_++;
  out->message.name = name;
  outgoing_[token] = out;
  hash(out);
}

void Uploads::hash(const OutgoingPtr& out) { hash_slice(out, std::make_shared<Hashing>()); }

// Slices, as everything that reads for long: others want the worker too.
void Uploads::hash_slice(const OutgoingPtr& out, const std::shared_ptr<Hashing>& job) {
  executor_.submit(
      JobClass::kBulk,
      [open = out->open, job] {
        if (!job->file) {
          auto file = open();
          if (!file) {
            job->status = file.error();
            return;
          }
          job->file = std::move(*file);
          auto stat = job->file->stat();
          if (!stat || stat->kind != FileKind::kFile) {
            job->status = stat ? Error{ErrorCode::kRefused, "it is no regular file"} : stat.error();
            return;
          }
          job->before = *stat;
        }
        std::vector<std::uint8_t> buffer(kReadBytes);
        for (std::uint64_t slice = 0; slice < kSliceBytes;) {
          auto size = job->file->read(job->offset, buffer);
          if (!size) {
            job->status = size.error();
            return;
          }
          if (*size == 0) {
            auto after = job->file->stat();
            if (!after || !(*after == job->before) || job->offset != job->before.size)
              job->status = Error{ErrorCode::kChanged, "it changes while it is read: try again"};
            job->digests = job->hasher.finish();
            return;
          }
          job->hasher.update(ByteView(buffer).first(*size));
          job->offset += *size;
          slice += *size;
          // One that grows would be read for ever; the end finds that it changed.
          if (job->offset > job->before.size + kSliceBytes) {
            job->status = Error{ErrorCode::kChanged, "it changes while it is read: try again"};
            return;
          }
        }
      },
      [this, out, job, alive = std::weak_ptr<bool>(alive_)] {
        if (alive.expired() || !outgoing_.contains(out->token)) return;
        if (!job->status) return fail(out, job->status.error().detail);
        if (!job->digests) return hash_slice(out, job);
        out->hashed = true;
        out->stat = job->before;
        out->message.size = job->before.size;
        out->message.mtime_ns = job->before.mtime_ns;
        out->message.mode = job->before.mode;
        out->message.hash = job->digests->content;
        out->message.md5 = job->digests->md5;
        out->session = host_.usable_session(out->node);
        if (out->session != 0) return send(*out, clock_.now());
        if (Status tried = host_.reach(out->node); !tried) return fail(out, tried.error().detail);
        out->until = clock_.now() + kReachPatience;
      });
}

void Uploads::send(Outgoing& out, Instant now) {
  out.sent = true;
  // The other side denies at its own ten minutes; this is for one that says nothing at all.
  out.until = now + kPatience + 30s;
  host_.ask(out.session, out.message);
}

void Uploads::cancel(Token token) {
  auto at = outgoing_.find(token);
  if (at == outgoing_.end()) return;
  OutgoingPtr out = at->second;
  if (out->sent) host_.ask(out->session, Cancel{out->message.id});
  out->done = [](const Result<UploadReport>&) {};
  end(out, Error{ErrorCode::kBusy, ""}, "cancelled");
}

std::optional<LocatedContent> Uploads::locate(const ContentId& content) const {
  for (const auto& [token, out] : outgoing_) {
    if (!out->allowed || out->message.hash != content) continue;
    LocatedContent located;
    located.path = out->message.name;
    located.stat = out->stat;
    located.md5 = out->message.md5;
    located.size = out->message.size;
    located.open = out->open;
    return located;
  }
  return std::nullopt;
}

Uploads::OutgoingPtr Uploads::find(SessionId session, std::uint32_t id) const {
  for (const auto& [token, out] : outgoing_) {
    if (out->sent && out->session == session && out->message.id == id) return out;
  }
  return nullptr;
}

bool Uploads::on_allow(SessionId session, const FileUploadAllow& message, Instant now) {
  OutgoingPtr out = find(session, message.id);
  if (!out) return message.id < next_wire_id_;
  if (!message.done) {
    out->allowed = true;
    out->allowed_at = now;
    out->until = kNever;  // as long as the content takes; the session's end ends it too
    return true;
  }
  if (!out->allowed || message.name.empty()) return false;
  UploadReport report;
  report.name = message.name;
  report.size = out->message.size;
  report.mtime = WallTime{out->message.mtime_ns};
  report.md5 = to_hex(out->message.md5);
  report.peer = host_.name_of(out->node);
  report.carrier = out->carrier.empty() ? "enet" : out->carrier;
  report.took = now - out->allowed_at;
  end(out, report, str("arrived as ", printable(message.name, 300)));
  return true;
}

bool Uploads::on_deny(SessionId session, const FileUploadDeny& message) {
  OutgoingPtr out = find(session, message.id);
  if (!out) return message.id < next_wire_id_;
  fail(out, str(printable(host_.name_of(out->node), 64),
                " does not take it: ", printable(message.reason, 300)));
  return true;
}

void Uploads::fail(const OutgoingPtr& out, const std::string& why) {
  end(out, Error{ErrorCode::kIo, why}, "failed: " + why);
}

void Uploads::end(const OutgoingPtr& out, Result<UploadReport> result, const std::string& told) {
  outgoing_.erase(out->token);
  host_.journal(false, out->node, "upload", printable(out->message.name, 300), told);
  out->done(std::move(result));
}

// ---- what waits here
// -----------------------------------------------------------------------------------

bool Uploads::on_message(SessionId session, const Message& message, Instant now) {
  now_ = now;
  if (const auto* offer = std::get_if<FileUpload>(&message)) return on_offer(session, *offer, now);
  if (const auto* allowed = std::get_if<FileUploadAllow>(&message))
    return on_allow(session, *allowed, now);
  if (const auto* denied = std::get_if<FileUploadDeny>(&message)) return on_deny(session, *denied);
  if (const auto* cancel = std::get_if<Cancel>(&message)) {
    for (const auto& [id, in] : incoming_) {
      if (in.session != session || in.message.id != cancel->id) continue;
      drop(id, "taken back");
      return true;
    }
  }
  return false;
}

bool Uploads::on_offer(SessionId session, const FileUpload& message, Instant now) {
  std::size_t of_session = 0;
  for (const auto& [id, in] : incoming_) {
    if (in.session != session) continue;
    if (in.message.id == message.id) return false;
    ++of_session;
  }
  std::optional<NodeId> node = host_.node_of(session);
  if (!node) return true;
  auto refuse = [&](const std::string& reason) {
    host_.ask(session, FileUploadDeny{message.id, reason});
    host_.journal(true, *node, "upload", printable(message.name, 300), "denied: " + reason);
    return true;
  };
  if (policy_ == UploadAnswer::kDeny) return refuse("it takes no uploads (--uploads deny)");
  if (of_session >= kMaxPerSession || incoming_.size() >= kMaxWaiting)
    return refuse("too many offers wait there already");
  if (Status room = replica_.may_receive(message.size); !room) return refuse(room.error().detail);
  Incoming in;
  in.id = next_id_++;
  in.session = session;
  in.node = *node;
  in.message = message;
  in.until = now + kPatience;
  in.expires = WallTime{clock_.wall().ns + std::chrono::nanoseconds(kPatience).count()};
  Incoming& kept = incoming_[in.id] = std::move(in);
  if (policy_ == UploadAnswer::kAllow) {
    allow(kept);
    return true;
  }
  log_.warn(str(printable(host_.name_of(*node), 64), " offers ", printable(message.name, 300), " (",
                message.size, " bytes): `lansync uploads allow ", kept.id,
                "` takes it, `lansync uploads deny ", kept.id, "` does not; it expires in ",
                to_string(kPatience)));
  return true;
}

std::vector<OfferReport> Uploads::offers() const {
  std::vector<OfferReport> out;
  for (const auto& [id, in] : incoming_) {
    if (in.allowed) continue;
    out.push_back({id, in.message.name, in.message.size, host_.name_of(in.node), in.expires});
  }
  return out;
}

Result<OfferReport> Uploads::answer(std::uint64_t id, bool allowed, Instant now) {
  now_ = now;
  auto at = incoming_.find(id);
  if (at == incoming_.end() || at->second.allowed) {
    return Error{ErrorCode::kNotFound,
                 str("no offer ", id, " waits here: `lansync uploads` lists them")};
  }
  const Incoming& in = at->second;
  OfferReport report{id, in.message.name, in.message.size, host_.name_of(in.node), in.expires};
  if (allowed) {
    allow(at->second);
  } else {
    deny(id, "somebody there said no");
  }
  return report;
}

void Uploads::allow(Incoming& in) {
  in.allowed = true;
  in.until = kNever;
  host_.ask(in.session, FileUploadAllow{in.message.id, false, ""});
  Replica::Received wanted;
  wanted.name = in.message.name;
  wanted.from = host_.name_of(in.node);
  wanted.content = in.message.hash;
  wanted.md5 = in.message.md5;
  wanted.size = in.message.size;
  wanted.mtime_ns = in.message.mtime_ns;
  wanted.mode = in.message.mode;
  wanted.source = in.session;
  replica_.receive(wanted, [this, id = in.id,
                            alive = std::weak_ptr<bool>(alive_)](const Result<std::string>& path) {
    if (alive.expired()) return;
    auto at = incoming_.find(id);
    if (at == incoming_.end()) return;
    if (!path) {
      deny(id, path.error().detail);
      return;
    }
    host_.ask(at->second.session, FileUploadAllow{at->second.message.id, true, *path});
    drop(id, "arrived as " + printable(*path, 300));
  });
}

void Uploads::deny(std::uint64_t id, const std::string& reason) {
  host_.ask(incoming_.at(id).session, FileUploadDeny{incoming_.at(id).message.id, reason});
  drop(id, "denied: " + reason);
}

void Uploads::drop(std::uint64_t id, const std::string& result) {
  auto at = incoming_.find(id);
  Incoming in = std::move(at->second);
  incoming_.erase(at);
  if (in.allowed) replica_.stop_receiving(in.message.hash);
  host_.journal(true, in.node, "upload", printable(in.message.name, 300), result);
}

// ---- sessions and time
// ---------------------------------------------------------------------------------

void Uploads::on_session_up(SessionId session, const NodeId& node, Instant now) {
  now_ = now;
  for (const auto& [token, out] : outgoing_) {
    if (out->node != node || !out->hashed || out->sent) continue;
    out->session = session;
    send(*out, now);
  }
}

void Uploads::on_session_down(SessionId session) {
  std::vector<OutgoingPtr> cut;
  for (const auto& [token, out] : outgoing_) {
    if (out->sent && out->session == session) cut.push_back(out);
  }
  for (const OutgoingPtr& out : cut)
    fail(out, str(printable(host_.name_of(out->node), 64),
                  " went away before all of it was there: offer it again"));
  std::vector<std::uint64_t> gone;
  for (const auto& [id, in] : incoming_) {
    if (in.session == session) gone.push_back(id);
  }
  for (std::uint64_t id : gone) drop(id, "failed: the other side went away");
}

void Uploads::on_unreachable(const NodeId& node, const std::string& why) {
  std::vector<OutgoingPtr> cut;
  for (const auto& [token, out] : outgoing_) {
    if (out->node == node && out->hashed && !out->sent) cut.push_back(out);
  }
  for (const OutgoingPtr& out : cut)
    fail(out, str(printable(host_.name_of(node), 64), " cannot be reached from here: ", why));
}

bool Uploads::uses(SessionId session) const {
  for (const auto& [token, out] : outgoing_) {
    if (out->sent && out->session == session) return true;
  }
  return std::any_of(incoming_.begin(), incoming_.end(),
                     [&](const auto& item) { return item.second.session == session; });
}

void Uploads::pump(Instant now) {
  now_ = now;
  std::vector<std::pair<OutgoingPtr, const char*>> late;
  for (const auto& [token, out] : outgoing_) {
    if (out->allowed) {
      // What it goes by may change on the way: the last that carried something counts.
      if (std::string carrier = host_.carrier_to(out->session); !carrier.empty())
        out->carrier = carrier;
    }
    if (out->sent && silent(out->session, now)) {
      late.emplace_back(out, " is not heard any more: it went away, or the network did");
    } else if (now >= out->until) {
      late.emplace_back(out, out->sent ? " did not answer" : " cannot be reached from here");
    }
  }
  for (const auto& [out, why] : late) {
    if (out->sent) host_.ask(out->session, Cancel{out->message.id});
    fail(out, str(printable(host_.name_of(out->node), 64), why));
  }
  std::vector<std::uint64_t> expired;
  std::vector<std::uint64_t> gone;
  for (const auto& [id, in] : incoming_) {
    if (silent(in.session, now)) {
      gone.push_back(id);
    } else if (now >= in.until) {
      expired.push_back(id);
    }
  }
  for (std::uint64_t id : gone) drop(id, "failed: the other side is not heard any more");
  for (std::uint64_t id : expired) deny(id, "nobody there answered within 10 minutes");
}

Instant Uploads::deadline() const {
  Instant next = kNever;
  for (const auto& [token, out] : outgoing_) {
    next = std::min(next, out->until);
    if (out->allowed) next = std::min(next, now_ + 100ms);
    if (out->sent) next = std::min(next, host_.last_heard(out->session) + kSilence);
  }
  for (const auto& [id, in] : incoming_)
    next = std::min({next, in.until, host_.last_heard(in.session) + kSilence});
  return next;
}

}  // namespace lansync
