// Files that come from one member by `upload` and not by the hub's word: fetched like any content,
// put under a free name, and from then on an edit of this node.
#include "base/rel_path.h"
#include "sync/replica.h"

namespace lansync {
namespace {

constexpr int kMaxNames = 100;
constexpr int kMaxTries = 3;
constexpr std::string_view kCopyPrefix = "c-";

// "name.ext", "name (from HOST).ext", "name (from HOST 2).ext", ...
std::string free_name(const std::string& name, const std::string& from, int number) {
  if (number == 0) return name;
  std::string host;
  for (char c : from.substr(0, 64))
    host += c == '/' || static_cast<unsigned char>(c) < ' ' ? '_' : c;
  std::string mark =
      number == 1 ? str(" (from ", host, ')') : str(" (from ", host, ' ', number, ')');
  std::size_t dot = name.rfind('.');
  if (dot == std::string::npos || dot == 0) dot = name.size();
  std::string stem = name.substr(0, dot);
  std::string end = name.substr(dot);
  while (!stem.empty() && stem.size() + mark.size() + end.size() > kMaxPartBytes) {
    // A whole UTF-8 sequence at a time.
    do {
      stem.pop_back();
    } while (!stem.empty() && !is_valid_utf8(stem));
  }
  return stem + mark + end;
}

// Never a path: it names the file that is on its way among those that wait for content.
std::string place_holder(const ContentId& content) { return str('\x01', to_hex(content)); }

}  // namespace

Status Replica::may_receive(std::uint64_t size) const {
  if (!root_error_.empty()) return Error{ErrorCode::kIo, root_error_};
  if (paused_) return Error{ErrorCode::kBusy, "it is paused"};
  if (options_.max_file_size != 0 && size > options_.max_file_size)
    return Error{ErrorCode::kRefused, "it is larger than --max-file-size there"};
  return {};
}

void Replica::receive(const Received& what, std::function<void(Result<std::string>)> done) {
  auto give = [&](Result<std::string> result) {
    ended_receives_.emplace_back(std::move(done), std::move(result));
  };
  if (Status fine = validate_relpath(what.name); !fine) return give(fine.error());
  if (receiving_.contains(what.content))
    return give(Error{ErrorCode::kBusy, "the same content is on its way already"});
  // Here already, perhaps under a name that an earlier one got.
  for (int number = 0; number < kMaxNames; ++number) {
    const std::string path = free_name(what.name, what.from, number);
    const PathRecord* record = index_.find(path);
    if (record == nullptr || !record->live()) break;
    if (record->local->content == what.content) return give(std::string(path));
  }
  receiving_[what.content] = {what, std::move(done), 0, 0, false};
  want_received(receiving_[what.content]);
}

void Replica::want_received(Receiving& receiving) {
  const Received& what = receiving.what;
  const std::string key = place_holder(what.content);
  ++receiving.tries;
  source_of_[key] = what.source;
  WaitingPaths& waiting = waiting_[what.content];
  if (waiting.paths.empty()) waiting.wanted = {what.content, what.size, what.md5, what.name};
  waiting.paths.insert(key);
  waits_for_[key] = what.content;
  if (begin_copy(what.content, what.name) || installing_.contains(what.content)) return;
  if (!fetcher_.wants(what.content)) fetch_waiting(what.content);
}

void Replica::stop_receiving(const ContentId& content) {
  auto at = receiving_.find(content);
  if (at == receiving_.end() || at->second.installing) return;
  drop_interest(place_holder(content));
  source_of_.erase(place_holder(content));
  receiving_.erase(at);
}

void Replica::end_receive(const ContentId& content, Result<std::string> result) {
  auto at = receiving_.find(content);
  if (at == receiving_.end()) return;
  source_of_.erase(place_holder(content));
  ended_receives_.emplace_back(std::move(at->second.done), std::move(result));
  receiving_.erase(at);
}

// True: `waiter` is the file that is received, and its content could not be had.
bool Replica::receive_failed(const std::string& waiter, const Error& error) {
  if (waiter.empty() || waiter.front() != '\x01') return false;
  ContentId content = waits_for_.contains(waiter) ? waits_for_.at(waiter) : ContentId{};
  drop_interest(waiter);
  end_receive(content, error);
  return true;
}

bool Replica::is_unplanned(const std::string& waiter) const {
  return waiter.front() == '\x01' || repairs_.contains(waiter);
}

// True: the content goes to the file that is received.
bool Replica::install_received(const ContentId& content, const std::string& temp) {
  auto at = receiving_.find(content);
  if (at == receiving_.end() || at->second.installing) return false;
  at->second.installing = true;
  ++installing_[content];
  drop_interest(place_holder(content));
  place_received(content, temp);
  return true;
}

void Replica::place_received(const ContentId& content, const std::string& temp) {
  Receiving& receiving = receiving_.at(content);
  const Received& what = receiving.what;
  std::string path;
  for (; receiving.number < kMaxNames; ++receiving.number) {
    path = free_name(what.name, what.from, receiving.number);
    const PathRecord* record = index_.find(path);
    bool taken = busy_.contains(path) || (record != nullptr && (record->live() || record->remote));
    if (!taken || (record->remote && record->remote->is_tombstone() && !record->live())) break;
    path.clear();
  }
  if (path.empty() || broken_path_rule(path) != nullptr) {
    release_temp(content, temp);
    on_installed(content);
    end_receive(content, Error{ErrorCode::kExists, "every name for it is taken"});
    return;
  }
  busy_.insert(path);
  auto status = std::make_shared<Status>();
  executor_.submit(
      JobClass::kDisk,
      [this, what, path, temp, status] {
        auto file = files_.open_temp(temp);
        if (!file) {
          *status = file.error();
          return;
        }
        *status = (*file)->set_metadata(what.mode, what.mtime_ns);
        if (*status) *status = (*file)->sync();
        if (!*status) return;
        auto installed = files_.install_temp(temp, path, std::nullopt, "");
        *status = installed ? files_.sync_all() : Status(installed.error());
      },
      [this, content, path, temp, status] {
        busy_.erase(path);
        if (!*status && status->error().code == ErrorCode::kExists) {
          // Somebody's file that the index does not know yet.
          ++receiving_.at(content).number;
          place_received(content, temp);
          return;
        }
        on_installed(content);
        if (*status) {
          if (!temp.starts_with(kCopyPrefix)) fetcher_.release(content);
          due_.insert(path);
          end_receive(content, std::string(path));
        } else {
          release_temp(content, temp);
          end_receive(content, status->error());
        }
      });
}

void Replica::run_receives() {
  for (auto& [content, receiving] : receiving_) {
    // A copy from this disk that did not verify, or was taken for another path.
    if (receiving.installing || waits_for_.contains(place_holder(content))) continue;
    if (receiving.tries < kMaxTries) {
      want_received(receiving);
    } else {
      end_receive(content, Error{ErrorCode::kCorrupt, "its content did not arrive whole"});
      break;
    }
  }
  for (auto& [done, result] : std::exchange(ended_receives_, {})) done(std::move(result));
}

}  // namespace lansync
