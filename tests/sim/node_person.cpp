// A machine's people: what they do in the folder, and what they ask of the running node.
#include "base/assert.h"
#include "base/rel_path.h"
#include "sim/node.h"

namespace lansync::sim {
namespace {

Bytes bytes_of(std::string_view text) {
  const ByteView view = as_bytes(text);
  return {view.begin(), view.end()};
}

// Also what a save left there that could not be finished. (Seed 2751.)
std::vector<std::string> files_at(const SimDisk& disk, const std::string& path) {
  std::vector<std::string> out;
  for (const auto& [name, seen] : disk.tree())
    if (seen.kind == FileKind::kFile && is_within(name, path)) out.push_back(name);
  return out;
}

NodeControl::Callback<ActionReport> as_callback(SimNode::Answer done) {
  return [done = std::move(done)](const Result<ActionReport>& result) {
    if (done) done(result ? std::string() : result.error().detail);
  };
}

std::string told(const Result<ActionReport>& result) {
  return result ? result->message : result.error().detail;
}

class OutsideFile final : public ReadFile {
 public:
  explicit OutsideFile(Bytes bytes) : bytes_(std::move(bytes)) {}
  Result<std::size_t> read(std::uint64_t offset, std::span<std::uint8_t> out) override {
    if (offset >= bytes_.size()) return std::size_t{0};
    const std::size_t count = std::min<std::size_t>(out.size(), bytes_.size() - offset);
    std::copy_n(bytes_.begin() + static_cast<std::ptrdiff_t>(offset), count, out.begin());
    return count;
  }
  Result<FileStat> stat() override {
    FileStat stat;
    stat.kind = FileKind::kFile;
    stat.mode = 0644;
    stat.size = bytes_.size();
    stat.mtime_ns = SimClock::kCalendarBegin;
    return stat;
  }

 private:
  Bytes bytes_;
};

}  // namespace

// Who writes what stands there already makes nothing anew: to lansync it is a new mtime, and to him
// nothing that another's edit of the same bytes could lose. (Seed 2153.)
void SimNode::note_written(const std::string& path, const std::optional<Bytes>& before,
                           const Bytes& bytes) {
  if (before == bytes) return;
  if (before) oracle_.on_superseded(*before);
  oracle_.on_written(name_, path, bytes);
}

bool SimNode::write(const std::string& path, std::string_view text) {
  return write_on(path, text, true);
}

bool SimNode::write_on(const std::string& path, std::string_view text, bool closes) {
  const auto before = disk_.contents(path);
  const Bytes bytes = bytes_of(text);
  // Before the disk: what stands there between the two is what somebody wrote.
  if (!disk_.write_open(path, bytes)) return false;
  if (closes) disk_.close_file(path);
  note_written(path, before, bytes);
  trace_.line(name_, str("a person writes ", path, " (", bytes.size(), " bytes",
                         closes ? ")" : " so far)"));
  return true;
}

bool SimNode::save(const std::string& path, std::string_view text) {
  const auto before = disk_.contents(path);
  // What an earlier save left there (its target was a directory by then) is written over. (Seed
  // 2048.)
  const auto left = disk_.contents(path + "~save");
  const Bytes bytes = bytes_of(text);
  if (!disk_.save(path, bytes)) return false;
  if (left && *left != bytes) oracle_.on_superseded(*left);
  note_written(path, before, bytes);
  trace_.line(name_, str("a person saves ", path, " (", bytes.size(), " bytes)"));
  return true;
}

bool SimNode::rewrite(const std::string& path, std::string_view text) {
  const auto before = disk_.contents(path);
  if (!before) return false;
  const ByteView view = as_bytes(text);
  const Bytes bytes(view.begin(), view.end());
  disk_.rewrite(path, bytes);
  note_written(path, before, bytes);
  trace_.line(name_, str("a person writes ", path, " under its old time"));
  return true;
}

bool SimNode::append(const std::string& path, std::string_view text) {
  const auto before = disk_.contents(path);
  if (!before) return false;
  Bytes whole = *before;
  const ByteView more = as_bytes(text);
  whole.insert(whole.end(), more.begin(), more.end());
  return write(path, as_text(whole));
}

bool SimNode::rename(const std::string& from, const std::string& to) {
  const auto displaced = disk_.contents(to);
  const std::vector<std::string> moved = files_at(disk_, from);
  if (!disk_.rename(from, to)) return false;
  if (displaced) oracle_.on_superseded(*displaced);
  for (const std::string& path : moved) {
    const std::string now = to + path.substr(from.size());
    oracle_.on_renamed(*disk_.contents(now), now);
  }
  trace_.line(name_, str("a person renames ", from, " to ", to));
  return true;
}

bool SimNode::erase(const std::string& path) {
  std::vector<Bytes> gone;
  for (const std::string& below : files_at(disk_, path)) gone.push_back(*disk_.contents(below));
  if (!disk_.erase(path)) return false;
  for (const Bytes& bytes : gone) oracle_.on_superseded(bytes);
  trace_.line(name_, str("a person deletes ", path));
  return true;
}

bool SimNode::make_folder(const std::string& path) {
  if (!disk_.make_folder(path)) return false;
  trace_.line(name_, str("a person makes folder ", path));
  return true;
}

bool SimNode::chmod(const std::string& path, std::uint16_t mode) {
  if (!disk_.chmod(path, mode)) return false;
  // A version of its own with the same bytes: if both lose (the second before the first's fate was
  // heard of), each is kept under its own time.
  if (const auto bytes = disk_.contents(path))
    oracle_.on_renamed(
        *bytes, str(path, " of mode ", mode, " at ", queue_.now().time_since_epoch().count()));
  trace_.line(name_, str("a person sets the mode of ", path, " to ", mode));
  return true;
}

bool SimNode::link(const std::string& path, const std::string& target) {
  if (!disk_.link(path, target)) return false;
  trace_.line(name_, str("a person links ", path, " to ", target));
  return true;
}

bool SimNode::touch(const std::string& path, std::int64_t mtime_ns) {
  if (!disk_.touch(path, mtime_ns)) return false;
  if (const auto bytes = disk_.contents(path)) {
    oracle_.on_renamed(
        *bytes, str(path, " of mtime ", mtime_ns, " at ", queue_.now().time_since_epoch().count()));
  }
  trace_.line(name_, str("a person sets the mtime of ", path, " to ", mtime_ns));
  return true;
}

bool SimNode::rewrite_quietly(const std::string& path, std::string_view text) {
  const auto before = disk_.contents(path);
  const Bytes bytes = bytes_of(text);
  if (!disk_.rewrite_quietly(path, bytes)) return false;
  note_written(path, before, bytes);
  trace_.line(name_, str("a person rewrites ", path, " (", bytes.size(),
                         " bytes) and sets its mtime back"));
  return true;
}

bool SimNode::make_pipe(const std::string& path) {
  if (!disk_.make_pipe(path)) return false;
  oracle_.history().exempt(path);
  trace_.line(name_, str("a person makes a pipe ", path));
  return true;
}

bool SimNode::set_readable(const std::string& path, bool readable) {
  if (!disk_.set_readable(path, readable)) return false;
  trace_.line(name_, str(path, readable ? " can be read again" : " cannot be read"));
  return true;
}

// ---- commands ----------------------------------------------------------------------------------

void SimNode::command(const std::string& what, const std::function<std::string(Node&)>& run) {
  if (!running()) return;
  trace_.line(name_, str("a person: ", what));
  const std::string answer = run(*running_->node);
  if (!answer.empty()) trace_.line(name_, str("  ", what, ": ", answer));
  wake(queue_.now());
}

void SimNode::confirm() {
  if (!running()) return;
  oracle_.runs().on_confirmed(*this, "");
  command("confirm", [](Node& node) {
    const std::vector<HoldReport> holds = node.holds();
    node.note_shown();
    for (const HoldReport& one : holds) node.confirm(one.kind, one.run, [](const auto&) {});
    return holds.empty() ? std::string("nothing is held") : str(holds.size(), " confirmed");
  });
}

void SimNode::confirm_deletes(const std::string& run, NodeControl::Callback<ActionReport> done) {
  if (!running()) return;
  oracle_.runs().on_confirmed(*this, run);
  command("confirm deletes " + run, [&](Node& node) {
    node.confirm(HoldKind::kDeletes, run, std::move(done));
    return std::string();
  });
}

void SimNode::reject(const std::string& run, NodeControl::Callback<RejectReport> done) {
  if (!running()) return;
  // A node that stands still is not told before it goes on, and by then has heard of what was
  // deleted meanwhile: that is of the run as well. (Seed 4301.)
  if (queue_.now() < frozen_until_) {
    queue_.at(frozen_until_ + 100ms,
              [this, run, done = std::move(done), start = starts_]() mutable {
                if (start == starts_) reject(run, std::move(done));
              });
    return;
  }
  oracle_.runs().on_rejected(*this, run, queue_.now());
  if (!done) done = [](const auto&) {};
  command("reject " + run, [&](Node& node) {
    node.reject(run, std::move(done));
    return std::string();
  });
}

void SimNode::pause() {
  command("pause", [](Node& node) { return told(node.pause()); });
}

void SimNode::resume() {
  command("resume", [](Node& node) { return told(node.resume()); });
}

void SimNode::rescan() {
  command("rescan", [](Node& node) { return told(node.rescan()); });
}

// The person sees what stands at that path, and has it replaced.
void SimNode::restore_from_trash(const std::string& path) {
  if (!running()) return;
  if (const auto before = disk_.contents(path)) oracle_.on_superseded(*before);
  oracle_.history().on_undone(path);
  command("trash --restore " + path, [this, path](Node& node) {
    node.trash_restore({path, std::nullopt}, [this](const Result<std::vector<TrashReport>>& rows) {
      const std::string text = rows ? str(rows->size(), " came back") : rows.error().detail;
      trace_.line(name_, "  trash --restore: " + text);
    });
    return std::string();
  });
}

void SimNode::upload(const std::string& name, const std::string& text, SimNode& to) {
  if (!running()) return;
  const Bytes bytes = bytes_of(text);
  const std::string file = "/outside/" + name;
  outside_[file] = bytes;
  // Denied, or on its way when a node dies, it is where it came from.
  oracle_.on_written(to.name(), name, bytes);
  oracle_.on_superseded(bytes);
  // It comes by that node's hand, and nobody was at it there.
  oracle_.history().exempt(name);
  oracle_.history().exempt(str(name, " (from ", name_, ")"));
  command(str("upload ", name, " (", bytes.size(), " bytes) to ", to.name()),
          [this, file, bytes, &to](Node& node) {
            node.upload({file, to.name()}, [this, bytes, &to](const Result<UploadReport>& result) {
              trace_.line(name_, "  upload: " + (result ? result->name : result.error().detail));
              if (!result || to.disk().contents(result->name) != bytes) return;
              oracle_.on_written(to.name(), result->name, bytes);
            });
            return std::string();
          });
}

void SimNode::answer_uploads(bool allow) {
  command(allow ? "uploads allow" : "uploads deny", [allow](Node& node) {
    for (const OfferReport& offer : node.uploads()) (void)node.answer_upload(offer.id, allow);
    return std::string();
  });
}

void SimNode::check_all(SimNode& at, bool repair) {
  command(str("hash checkall of ", at.name(), repair ? " with repair" : ""), [&](Node& node) {
    auto rows = [](const std::vector<HashReport>&, const AskControl::Taken& taken) { taken(); };
    node.hash({at.name(), "", repair}, rows, [this](const Result<AskEnd>& end) {
      trace_.line(name_,
                  "  hash checkall: " + (end ? str(end->rows, " rows") : end.error().detail));
    });
    return std::string();
  });
}

Result<std::unique_ptr<ReadFile>> SimNode::open_outside(const std::string& path) {
  auto at = outside_.find(path);
  if (at == outside_.end()) return Error{ErrorCode::kNotFound, "no such file: " + path};
  return std::unique_ptr<ReadFile>(std::make_unique<OutsideFile>(at->second));
}

void SimNode::get(const std::string& path, Answer done) {
  if (!running()) return;
  trace_.line(name_, str("a person asks for ", path));
  running_->node->get({path}, as_callback(std::move(done)));
  wake(queue_.now());
}

void SimNode::drop(const std::string& path, Answer done) {
  if (!running()) return;
  trace_.line(name_, str("a person drops ", path));
  running_->node->drop({path}, as_callback(std::move(done)));
  wake(queue_.now());
}

void SimNode::download(const DownloadAsk& what,
                       std::function<void(const Result<DownloadReport>&)> done) {
  if (!running()) return;
  trace_.line(name_, str("a person downloads ", what.name, " from ", what.peer));
  running_->node->download(what, std::move(done));
  wake(queue_.now());
}

std::string SimNode::text(const std::string& path) const {
  const auto bytes = disk_.contents(path);
  return bytes ? std::string(as_text(*bytes)) : std::string();
}

bool SimNode::has(const std::string& path) const { return disk_.tree().contains(path); }

bool SimNode::settled() const {
  if (!running()) return false;
  Node& node = *running_->node;
  if (node.in_sync()) return true;
  return node.status().state == NodeState::kSyncing && node.replica().caught_up() &&
         node.client().only_refused(queue_.now()) && node.client().refusals_stand();
}

std::size_t SimNode::refused() const {
  return running() ? running_->node->client().refused().size() : 0;
}

std::uint64_t SimNode::payload_sent() const {
  return running() ? running_->node->status().counters.payload_sent : 0;
}

}  // namespace lansync::sim
