#include "roles/run_decisions.h"

#include <algorithm>
#include <cstring>
#include <limits>

#include "roles/stored_number.h"
#include "transport/ed25519.h"

namespace lansync {
namespace {

constexpr std::string_view kMetaPrefix = "run-word:";
// Until when a word is kept here, in observed time.
constexpr std::string_view kUntilPrefix = "run-until:";
// A word that is old by its giver's calendar is kept for so long all the same. (For less than
// others: what all have had is not kept alive by those who heard of it late.)
constexpr std::int64_t kRejectedAnywayNs = 7LL * 24 * 3600 * 1'000'000'000;
constexpr std::uint64_t kLargestUntil = std::numeric_limits<std::int64_t>::max();
constexpr std::uint8_t kFormat = 1;

std::string encode_word(const RunRecord& record, const std::vector<DeleteLeaf>& leaves) {
  ByteWriter out;
  out.u8(kFormat);
  out.raw(signed_part(record));
  out.raw(record.key);
  out.raw(record.signature);
  for (const DeleteLeaf& leaf : leaves) out.raw(ByteView(leaf));
  return std::string(as_text(out.bytes()));
}

void read_leaves(ByteReader& in, std::size_t count, std::vector<DeleteLeaf>& leaves) {
  for (std::size_t i = 0; i < count; ++i) {
    ByteView bytes = in.raw(kRunLeafBytes);
    if (bytes.empty()) return;
    DeleteLeaf& leaf = leaves.emplace_back();
    std::memcpy(leaf.data(), bytes.data(), leaf.size());
  }
}

std::string until_key(std::uint64_t id) {
  ByteWriter out;
  out.u64(id);
  return std::string(kUntilPrefix) + to_hex(out.bytes());
}

// No time of another's calendar, or of our own, makes a word old in a moment.
std::int64_t until_of(const RunRecord& record, WallTime wall, std::int64_t observed_ns) {
  constexpr std::int64_t kMost = RunDecisions::kRejectedNs - kRejectedAnywayNs;
  const std::int64_t half = record.time < wall ? wall.ns / 2 - record.time.ns / 2 : 0;
  return observed_ns + RunDecisions::kRejectedNs - 2 * std::min(half, kMost / 2);
}

}  // namespace

Bytes signed_part(const RunRecord& record) {
  ByteWriter out;
  out.raw(as_bytes("lansync/2 run"));
  out.u8(static_cast<std::uint8_t>(record.word));
  out.u64(record.run);
  out.u64(record.number);
  out.raw(record.digest);
  out.i64(record.time.ns);
  return out.take();
}

RunDecisions::RunDecisions(Replica& replica, Outbox& outbox, const RunKeys& keys,
                           const Clock& clock, Log& log)
    : replica_(replica), outbox_(outbox), keys_(keys), clock_(clock), log_(log) {}

RunDecisions::WordId RunDecisions::id_of(const RunRecord& record) {
  WordId id = 0;
  for (int i = 0; i < 8; ++i) id = id << 8 | record.signature.bytes[i];
  return id;
}

std::string RunDecisions::meta_key(WordId id) {
  ByteWriter out;
  out.u64(id);
  return std::string(kMetaPrefix) + to_hex(out.bytes());
}

// What cannot be read is no word: what it let go is held.
void RunDecisions::load(const std::map<std::string, std::string>& meta) {
  const std::size_t signed_bytes = signed_part({}).size();
  for (auto at = meta.lower_bound(std::string(kMetaPrefix));
       at != meta.end() && at->first.starts_with(kMetaPrefix); ++at) {
    ByteReader in(as_bytes(at->second));
    Word word;
    if (in.u8() != kFormat) continue;
    ByteReader part(in.raw(signed_bytes));
    (void)part.raw(std::string_view("lansync/2 run").size());
    word.record.word = static_cast<RunDecision>(part.u8());
    word.record.run = part.u64();
    word.record.number = part.u64();
    word.record.digest = part.id<ContentId>();
    word.record.time.ns = part.i64();
    word.record.key = in.id<PublicKey>();
    word.record.signature = in.id<Signature>();
    read_leaves(in, in.left() / kRunLeafBytes, word.leaves);
    if (!in.finished() || !part.finished() || !is_sorted_set(word.leaves)) continue;
    leaves_ += word.leaves.size();
    apply(word);
    words_.emplace(id_of(word.record), std::move(word));
  }
}

void RunDecisions::apply(const Word& word) {
  if (word.record.word == RunDecision::kConfirmed) {
    replica_.let_go(word.record.run, word.leaves);
    return;
  }
  rejected_.insert(word.record.run);
  news_ = true;
  replica_.take_run_back(word.record.run);
}

std::vector<RunRecord> RunDecisions::let_go() const {
  std::vector<RunRecord> out;
  for (const auto& [id, word] : words_) {
    if (word.record.word == RunDecision::kConfirmed && !rejected_.contains(word.record.run))
      out.push_back(word.record);
  }
  std::sort(out.begin(), out.end(),
            [](const RunRecord& a, const RunRecord& b) { return a.time.ns > b.time.ns; });
  return out;
}

// ---- given here
// --------------------------------------------------------------------------------------

void RunDecisions::confirm(const Replica::Confirmed& confirmed) {
  Word word;
  word.record.word = RunDecision::kConfirmed;
  word.record.run = confirmed.run;
  word.record.number = confirmed.leaves.size();
  word.record.digest = digest_of_leaves(confirmed.leaves);
  word.leaves = confirmed.leaves;
  give(std::move(word));
}

void RunDecisions::reject(RunId run, std::uint64_t number) {
  Word word;
  word.record.word = RunDecision::kRejected;
  word.record.run = run;
  word.record.number = std::min(number, kMaxRunDeletes);
  give(std::move(word));
}

void RunDecisions::give(Word word) {
  word.record.time = clock_.wall();
  word.record.key = keys_.own_public_key();
  word.record.signature = keys_.sign(signed_part(word.record));
  accept(std::move(word), 0);
}

// The others hear of it before what it is about comes their way: both go in order.
void RunDecisions::accept(Word word, SessionId from) {
  const WordId id = id_of(word.record);
  auto [at, fresh] = words_.emplace(id, std::move(word));
  if (!fresh) return;
  const Word& kept = at->second;
  leaves_ += kept.leaves.size();
  Index& index = replica_.index();
  index.set_meta(meta_key(id), encode_word(kept.record, kept.leaves));
  index.set_meta(until_key(id),
                 std::to_string(until_of(kept.record, clock_.wall(), replica_.observed_ns())));
  if (from != 0) known_[from].insert(id);
  for (auto& [session, known] : known_) {
    if (known.insert(id).second) send(session, kept);
  }
  apply(kept);
  make_room();
}

void RunDecisions::send(SessionId session, const Word& word) {
  std::size_t offset = 0;
  do {
    RunWord message;
    message.record = word.record;
    message.offset = offset;
    const std::size_t count =
        std::min(word.leaves.size() - offset, kMaxRunLeafBytes / kRunLeafBytes);
    for (std::size_t i = 0; i < count; ++i) {
      const DeleteLeaf& leaf = word.leaves[offset + i];
      message.leaves.insert(message.leaves.end(), leaf.begin(), leaf.end());
    }
    outbox_.send(session, message);
    offset += count;
  } while (offset < word.leaves.size());
}

// ---- from others
// -------------------------------------------------------------------------------------

void RunDecisions::on_session_up(SessionId session) {
  known_.try_emplace(session);
  RunsKnown message;
  for (const auto& [id, word] : words_) message.words.push_back(id);
  outbox_.send(session, message);
}

void RunDecisions::on_session_down(SessionId session) {
  known_.erase(session);
  coming_.erase(session);
}

void RunDecisions::on_known(SessionId session, const RunsKnown& message) {
  std::set<WordId>& known = known_[session];
  known.insert(message.words.begin(), message.words.end());
  for (const auto& [id, word] : words_) {
    if (known.insert(id).second) send(session, word);
  }
  while (known.size() > 4 * kMaxRunsKnown) known.erase(known.begin());
}

bool RunDecisions::taken(SessionId session, const RunRecord& record) const {
  return keys_.has_met(record.key) || keys_.is_hub_session(session);
}

bool RunDecisions::on_word(SessionId session, const RunWord& message) {
  const RunRecord& record = message.record;
  const WordId id = id_of(record);
  if (auto known = words_.find(id); known != words_.end()) {
    if (known->second.record == record) known_[session].insert(id);
    return true;
  }
  if (message.offset == 0) {
    if (!verify_signature(record.key, signed_part(record), record.signature)) return false;
    coming_.erase(session);
    if (!taken(session, record)) {
      log_.warn(
          str("a word on a run of deletes is signed by a node that was never met here: it "
              "counts for nothing"));
      return true;
    }
    if (record.word == RunDecision::kRejected) {
      if (!message.leaves.empty()) return false;
      accept({record, {}}, session);
      return true;
    }
    if (record.number == 0 || record.run == 0) return false;
    coming_[session].record = record;
  }
  auto at = coming_.find(session);
  // The rest of one that is not taken.
  if (at == coming_.end() || at->second.record != record) return true;
  Word& word = at->second;
  if (message.offset != word.leaves.size() || message.leaves.empty()) return false;
  ByteReader in(message.leaves);
  read_leaves(in, message.leaves.size() / kRunLeafBytes, word.leaves);
  if (word.leaves.size() < record.number) return true;
  Word whole = std::move(word);
  coming_.erase(at);
  if (!is_sorted_set(whole.leaves) || digest_of_leaves(whole.leaves) != record.digest) return false;
  accept(std::move(whole), session);
  return true;
}

// ---- bounds
// ------------------------------------------------------------------------------------------

void RunDecisions::forget(WordId id) {
  auto at = words_.find(id);
  if (at == words_.end()) return;
  const RunRecord record = at->second.record;
  leaves_ -= at->second.leaves.size();
  words_.erase(at);
  replica_.index().set_meta(meta_key(id), {});
  replica_.index().set_meta(until_key(id), {});
  if (record.word == RunDecision::kConfirmed) {
    replica_.forget_confirmed(record.run);
    return;
  }
  const bool again = std::any_of(words_.begin(), words_.end(), [&](const auto& item) {
    return item.second.record.word == RunDecision::kRejected &&
           item.second.record.run == record.run;
  });
  if (!again) {
    rejected_.erase(record.run);
    replica_.forget_rejected(record.run);
  }
}

void RunDecisions::make_room() {
  const Index& index = replica_.index();
  auto until = [&](WordId id) { return stored_number(index.meta(until_key(id)), kLargestUntil); };
  while (words_.size() > kMaxWords || (leaves_ > kMaxLeaves && words_.size() > 1)) {
    auto oldest = std::min_element(words_.begin(), words_.end(), [&](const auto& a, const auto& b) {
      return until(a.first) < until(b.first);
    });
    forget(oldest->first);
  }
}

void RunDecisions::prune() {
  Index& index = replica_.index();
  const auto now = static_cast<std::uint64_t>(replica_.observed_ns());
  std::vector<WordId> old;
  for (const auto& [id, word] : words_) {
    if (word.record.word != RunDecision::kRejected) continue;
    const std::uint64_t until = stored_number(index.meta(until_key(id)), now + kRejectedNs);
    // None: from before it was kept, or the observed time was lost.
    if (until == 0) {
      index.set_meta(until_key(id), std::to_string(now + kRejectedNs));
    } else if (until < now) {
      old.push_back(id);
    }
  }
  for (WordId id : old) forget(id);
}

}  // namespace lansync
