// The node's part that finds other sources of large content: asks who has it, dials them while it
// is wanted, and tells others what is here.
#include <algorithm>

#include "roles/node.h"

namespace lansync {
namespace {

// A session that was dialled for content and brings none is closed after this.
constexpr Duration kContentIdle = 10s;
// Whoever asked for content within this time is thought to be fetching it.
constexpr Duration kFetchingNow = 10s;
// While the hub is fetching what we fetch along: how far we are behind it at most.
constexpr Duration kAskComing = 200ms;
constexpr Duration kLeftToOthers = 1500ms;
constexpr std::size_t kMaxSharePieces = 4096;
constexpr std::size_t kMaxAskedContents = 256;
constexpr std::size_t kMaxAskers = 256;

}  // namespace

// Each half second, with the ping; at once when something is asked for, or answered.
void Node::find_sources() {
  find_due_ = false;
  const SessionId hub = client_->hub();
  std::vector<WantedContent> wanted;
  if (hub != 0) {
    wanted = fetcher_->fetching_large(SourceFinder::kLeastMissing);
    // And what the hub cannot give: it may be unable to hold it, others are not.
    for (WantedContent& one : fetcher_->lately_failed()) wanted.push_back(std::move(one));
  }
  finder_.set_wanted(wanted);
  close_idle_content();
  if (finder_.idle()) return;
  if (std::vector<ContentId> ask = finder_.to_ask(now_); !ask.empty())
    outbox_->send(hub, Where{std::move(ask)});
  std::set<NodeId> connected;
  for (const auto& [id, peer] : sessions_) connected.insert(peer.info.node);
  const std::size_t used = std::min(content_sessions_.size(), SourceFinder::kMaxSessions);
  for (const HolderRow& row : finder_.to_dial(now_, connected, SourceFinder::kMaxSessions - used)) {
    parts_.log.debug(str(printable(name_of(row.node)), " has content that is wanted: dialled"));
    content_dials_[row.address] = row.node;
    transport_->dial(row.address);
  }
  use_holders();
}

// Sessions with holders become sources. Who has only part of it is asked first what that is.
void Node::use_holders() {
  for (const auto& [hash, nodes] : finder_.holders()) {
    std::vector<SourceId> sources;
    for (const auto& [node, part] : nodes) {
      const SessionId id = session_of(node);
      if (id == 0 || !sessions_.at(id).hello) continue;
      sources.push_back(id);
      if (!part) {
        fetcher_->guess_available(hash, id);
        continue;
      }
      if (parts_known_.insert({id, hash}).second) fetcher_->set_available(hash, id, RangeSet{});
      outbox_->send(id, Where{{hash}});
    }
    replica_->set_extra_sources(hash, std::move(sources));
  }
}

void Node::close_idle_content() {
  std::erase_if(parts_known_, [&](const auto& item) {
    return !sessions_.contains(item.first) || !fetcher_->wants(item.second);
  });
  std::erase_if(along_, [&](const auto& item) { return !fetcher_->wants(item.first); });
  for (auto at = content_sessions_.begin(); at != content_sessions_.end();) {
    const SessionId id = *at;
    auto session = sessions_.find(id);
    const bool gone = session == sessions_.end() || client_->hub() == id || hub_->is_member(id);
    const bool idle =
        !gone && fetcher_->charged_bytes(id) == 0 && !provider_->serves(id) &&
        now_ - std::max(session->second.content_at, session->second.since) >= kContentIdle;
    if (!gone && !idle) {
      ++at;
      continue;
    }
    if (idle) {
      outbox_->send_urgent(id, Bye{std::string(kIdleClose), NodeId{}});
      transport_->close(id);
    }
    at = content_sessions_.erase(at);
  }
}

void Node::on_where(SessionId id, const Where& where) {
  Holders answer;
  for (const ContentId& hash : where.hashes) {
    HolderItem& item = answer.items.emplace_back();
    item.hash = hash;
    auto located = replica_->locate(hash, {});
    item.whole = located.has_value();
    if (!item.whole) {
      if (const RangeSet* here = fetcher_->on_disk(hash)) {
        for (const ByteRange& range : here->ranges()) {
          if (item.ranges.size() == kMaxPartRanges) break;
          item.ranges.push_back({range.begin, range.end});
        }
      }
    }
    if (hub_->acting()) name_holders(id, located ? located->path : hub_->not_here(hash), item);
  }
  outbox_->send(id, answer);
}

// Members that have said to be in sync since the content was published have it; those that asked
// for it lately have part of it. What this node does not hold itself any of the others may.
void Node::name_holders(SessionId asker, const std::string& path, HolderItem& item) const {
  auto fetching = fetching_.find(item.hash);
  const std::uint64_t published = !path.empty() ? hub_->published_at(path) : ~std::uint64_t{0};
  const SessionId author = !path.empty() ? hub_->published_by(path) : 0;
  const bool lacking = !item.whole && !fetcher_->is_coming(item.hash);
  // Each asker begins at another place of the list, so that they do not all go to the same few.
  std::vector<SessionId> order;
  for (auto at = sessions_.upper_bound(asker); at != sessions_.end(); ++at)
    order.push_back(at->first);
  for (auto at = sessions_.begin(); at != sessions_.end() && at->first < asker; ++at)
    order.push_back(at->first);
  for (const bool part : {false, true}) {
    for (SessionId id : order) {
      if (item.nodes.size() == kMaxHolders) return;
      const Peer& peer = sessions_.at(id);
      if (!peer.hello || !hub_->is_member(id)) continue;
      const bool whole = id == author || (peer.hello->full_replica && peer.synced_at &&
                                          *peer.synced_at >= published);
      const bool asked = lacking || (fetching != fetching_.end() && fetching->second.contains(id));
      if (part ? (asked && !whole) : whole)
        item.nodes.push_back({peer.info.node, peer.info.address, part});
    }
  }
}

void Node::on_holders(SessionId id, const Holders& holders) {
  if (client_->hub() == id) {
    finder_.on_holders(holders, node_);
    find_due_ = true;
  }
  for (const HolderItem& item : holders.items) {
    if (!parts_known_.contains({id, item.hash})) continue;
    RangeSet ranges;
    for (const WireRange& range : item.ranges) ranges.add(range.begin, range.end);
    if (auto at = along_.find(item.hash); at != along_.end() && client_->hub() == id)
      ranges = own_share(at->second, ranges);
    fetcher_->set_available(item.hash, id, item.whole ? std::nullopt : std::optional(ranges));
  }
}

// ---- what is not published yet
// -----------------------------------------------------------------

void Node::on_coming(SessionId id, const Coming& coming) {
  for (const ComingItem& item : coming.items) {
    if (item.over) {
      replica_->unexpect(item.hash);
      continue;
    }
    if (!replica_->expect({item.hash, item.size, {}, item.name}, now_)) continue;
    // Nothing of it, till the hub says what.
    parts_known_.insert({id, item.hash});
    fetcher_->set_available(item.hash, id, RangeSet{});
    // When the hub has all, each begins elsewhere.
    fetcher_->set_start(item.hash, static_cast<std::uint64_t>(static_cast<double>(item.size) *
                                                              item.part / item.parts));
    along_[item.hash] = {item.part, item.parts, {}, {}, now_};
    next_coming_ask_ = now_;
  }
}

// Of what the hub has by now, what we ask it for: our pieces, and what was there a while ago and
// did not come from another member. Were all to ask for all, the hub's line would be full, and what
// it still fetches itself would be late.
RangeSet Node::own_share(Along& along, const RangeSet& there) {
  if (along.parts == 1) return there;
  if (now_ - along.since >= kLeftToOthers) {
    along.settled = std::exchange(along.seen, there);
    along.since = now_;
  }
  constexpr std::uint64_t kPiece = Fetcher::kRequestBytes;
  RangeSet out = there.intersection(along.settled);
  RangeSet recent = there;
  recent.remove(along.settled);
  // From our first piece on, by steps: how far a range reaches is the hub's word, and as many
  // pieces as are asked for till the next time are enough.
  std::size_t left = kMaxSharePieces;
  for (const ByteRange& range : recent.ranges()) {
    std::uint64_t piece = range.begin / kPiece;
    piece += (along.part + along.parts - piece % along.parts) % along.parts;
    for (; left > 0 && piece * kPiece < range.end; piece += along.parts, --left)
      out.add(std::max(range.begin, piece * kPiece), std::min(range.end, (piece + 1) * kPiece));
  }
  return out;
}

void Node::ask_for_coming() {
  next_coming_ask_ = kNever;
  const SessionId hub = client_->hub();
  // Also when it has been published: what was asked for at that very moment may still be refused as
  // not being there yet.
  std::vector<ContentId> ask;
  for (const auto& [session, hash] : parts_known_) {
    if (session == hub && fetcher_->wants(hash) && ask.size() < kMaxWhere) ask.push_back(hash);
  }
  if (hub == 0 || ask.empty()) return;
  next_coming_ask_ = now_ + kAskComing;
  outbox_->send(hub, Where{std::move(ask)});
}

// What the hub publishes is whole there.
void Node::note_published(SessionId id, const Update& update) {
  if (parts_known_.empty()) return;
  for (const NamedEntry& named : update.entries) {
    if (parts_known_.contains({id, named.entry->content}))
      fetcher_->set_available(named.entry->content, id, std::nullopt);
  }
}

void Node::note_asker(SessionId id, const ContentId& content) {
  if (!hub_->acting()) return;
  auto at = fetching_.find(content);
  if (at == fetching_.end()) {
    forget_askers();
    if (fetching_.size() >= kMaxAskedContents) return;
    at = fetching_.try_emplace(content).first;
  }
  if (at->second.size() < kMaxAskers || at->second.contains(id)) at->second[id] = now_;
}

void Node::forget_askers() {
  for (auto at = fetching_.begin(); at != fetching_.end();) {
    std::erase_if(at->second, [&](const auto& asked) {
      return now_ - asked.second > kFetchingNow || !sessions_.contains(asked.first);
    });
    at = at->second.empty() ? fetching_.erase(at) : std::next(at);
  }
}

}  // namespace lansync
