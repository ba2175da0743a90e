#include "sim/node.h"

#include <algorithm>

#include "base/assert.h"
#include "roles/identity.h"

namespace lansync::sim {
namespace {

constexpr std::uint16_t kPort = 27801;
constexpr std::uint32_t kFirstIp = 0x0a000001;  // 10.0.0.1
constexpr Duration kStopPatience = 1500ms;
// What a turn costs: also keeps a deadline that is always due from stopping the world's time.
constexpr Duration kTurnCost = 50us;
constexpr Duration kStallLimit = 500ms;
constexpr std::uint32_t kMillion = 1'000'000;

Bytes bytes_of(std::string_view text) {
  const ByteView view = as_bytes(text);
  return {view.begin(), view.end()};
}

}  // namespace

SimNode::SimNode(EventQueue& queue, Network& network, Trace& trace, Oracle& oracle,
                 std::string name, std::uint32_t number, std::uint64_t seed)
    : queue_(queue),
      network_(network),
      trace_(trace),
      oracle_(oracle),
      name_(std::move(name)),
      ip_(kFirstIp + number),
      random_(seed),
      clock_(queue),
      disk_(clock_, random_.next()) {
  SimDisk::Events events;
  events.on_hint = [this](const ChangeHint& hint) { on_hint(hint); };
  events.on_directory_moved = [this](const std::string& path) {
    watch([this, path](Instant now) { running_->node->on_directory_moved(path, now); });
  };
  events.on_installed = [this](const std::string& path, const Bytes& bytes) {
    oracle_.on_installed(name_, path, bytes);
    trace_.line(name_, str("installed ", path));
  };
  // What people do and what nodes take away is judged apart from what they say of it.
  events.on_changed = [this](const std::string& path, bool by_person) {
    oracle_.history().observe(name_, path, disk_.seen(path), by_person, queue_.now());
  };
  events.on_displaced = [this](const std::string& path, const SeenFile& what,
                               const std::string& trash) {
    oracle_.trash().on_displaced(*this, path, what, trash, queue_.now());
  };
  events.on_purged = [this](const std::string& trash, const SeenFile& what) {
    oracle_.trash().on_purged(*this, trash, what, oracle_.superseded(what), queue_.now());
  };
  events.on_left_trash = [this](const std::string& trash) {
    oracle_.trash().on_restored(*this, trash);
  };
  events.on_operation = [this](const std::string& operation, const std::string& subject) {
    on_operation(operation, subject);
  };
  disk_.set_events(std::move(events));
  store_.set_fault([this]() -> std::optional<Error> {
    if (disk_.died()) return Error{ErrorCode::kIo, "the process is dead"};
    return std::nullopt;
  });
}

SimNode::~SimNode() {
  if (running()) end("the world ends");
}

// ---- the program -------------------------------------------------------------------------------

void SimNode::start() {
  LS_ASSERT(!running());
  disk_.revive();
  ++starts_;
  trace_.line(name_, "starts");
  running_ = std::make_unique<Running>();
  running_->random = std::make_unique<Prng>(random_.next());
  running_->executor =
      std::make_unique<SimExecutor>(queue_, random_.next(), [this] { wake(queue_.now()); });
  auto loaded = store_.load();
  LS_ASSERT(loaded.has_value());
  const std::string& place = options_.place.empty() ? name_ : options_.place;
  const Identity identity = establish_identity(*loaded, str(place, ":", place_), *running_->random);
  const auto boot = running_->random->id<BootId>();
  NodeConfig config;
  config.group = "sim";
  config.name = name_;
  config.program_version = "sim";
  config.manual = options_.role;
  config.settle = options_.settle;
  config.settle_max = options_.settle_max;
  config.rescan = options_.rescan;
  config.max_deletes = options_.max_deletes;
  config.on_demand = options_.on_demand;
  config.disk_log2 = options_.disk_log2;
  config.port = kPort;
  config.protocol = options_.protocol;
  config.session_life = options_.session_life;
  NodeParts parts{disk_, store_, *running_->executor, *this, *running_->random, clock_,
                  *this, *this};
  running_->node = std::make_unique<Node>(config, identity, boot, parts);
  EndpointOptions endpoint;
  endpoint.bind_ip = ip_;
  endpoint.port = kPort;
  endpoint.node = identity.node;
  endpoint.boot = boot;
  endpoint.group = "sim";
  // Any scalar will do; scrypt would take longer than the rest of the run.
  std::array<std::uint8_t, 32> scalar{};
  scalar.fill(static_cast<std::uint8_t>(0x11 + options_.password));
  endpoint.key = PasswordKey(scalar);
  endpoint.max_peers = 64;
  endpoint.version = options_.protocol;
  endpoint.on_keylog = [this](const std::string&) { ++handshakes_; };
  auto opened = EnetEndpoint::open(endpoint, *running_->node, *running_->random, *this);
  LS_ASSERT(opened.has_value());
  running_->endpoint = std::move(*opened);
  network_.attach(ip_,
                  {[this] { wake(queue_.now()); },
                   [this](const Address& from, const Bytes& bytes) { on_beacon(from, bytes); }});
  running_->node->start(*running_->endpoint, *loaded, queue_.now());
  wake_at_ = kNever;
  expected_ = queue_.now();
  wake(queue_.now());
}

void SimNode::stop() {
  if (!running()) return;
  trace_.line(name_, "is asked to stop");
  running_->stop_asked = true;
  wake(queue_.now());
}

void SimNode::end(const char* how) {
  trace_.line(name_, how);
  network_.detach(ip_);
  ++wake_number_;
  wake_at_ = kNever;
  running_->executor->shutdown();
  running_->endpoint.reset();
  running_.reset();
}

void SimNode::kill() {
  if (!running()) return;
  end("is killed");
  disk_.revive();
  oracle_.history().on_died(name_, queue_.now());
}

void SimNode::power_cut() {
  if (running()) end("loses power");
  disk_.revive();
  disk_.power_cut();
  oracle_.history().on_died(name_, queue_.now());
  oracle_.history().on_set_back(name_, disk_.tree());
  oracle_.trash().on_set_back(*this);
  oracle_.check_whole(name_ + " after a power cut", disk_.tree());
}

void SimNode::kill_after_operations(std::uint64_t n, bool with_power) {
  dies_with_power_ = with_power;
  disk_.die_after(n);
}

void SimNode::freeze(Duration how_long) {
  frozen_until_ = queue_.now() + how_long;
  trace_.line(name_, str("stands still for ", to_string(how_long)));
}

void SimNode::tell_network(bool plugged) {
  watch([this, plugged](Instant now) {
    NetworkFacts facts;
    facts.lan = plugged;
    if (plugged) facts.interfaces.push_back(0);
    if (!plugged) facts.problem = "no network: the cable is out; put it in";
    running_->node->on_network(facts, now);
  });
}

void SimNode::restore(const Backup& backup) {
  LS_ASSERT(!running());
  trace_.line(name_, "is restored from a backup");
  disk_.restore(backup.disk);
  store_.replace(backup.index);
  oracle_.history().on_set_back(name_, disk_.tree());
  oracle_.trash().on_set_back(*this);
}

void SimNode::lose_index() {
  LS_ASSERT(!running());
  trace_.line(name_, "loses its index");
  store_.lose();
  oracle_.history().on_index_lost(name_, disk_.tree());
}

// ---- a person ----------------------------------------------------------------------------------

bool SimNode::write(const std::string& path, std::string_view text) {
  const auto before = disk_.contents(path);
  const Bytes bytes = bytes_of(text);
  // Before the disk: what stands there between the two is what somebody wrote.
  if (!disk_.write(path, bytes)) return false;
  if (before && *before != bytes) oracle_.on_superseded(*before);
  oracle_.on_written(name_, path, bytes);
  trace_.line(name_, str("a person writes ", path, " (", bytes.size(), " bytes)"));
  return true;
}

bool SimNode::save(const std::string& path, std::string_view text) {
  const auto before = disk_.contents(path);
  const Bytes bytes = bytes_of(text);
  if (!disk_.save(path, bytes)) return false;
  if (before && *before != bytes) oracle_.on_superseded(*before);
  oracle_.on_written(name_, path, bytes);
  trace_.line(name_, str("a person saves ", path, " (", bytes.size(), " bytes)"));
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
  const std::vector<std::string> moved = disk_.files_below(from);
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
  for (const std::string& below : disk_.files_below(path)) gone.push_back(*disk_.contents(below));
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
    oracle_.on_renamed(*bytes, str(path, " of mode ", mode));
  trace_.line(name_, str("a person sets the mode of ", path, " to ", mode));
  return true;
}

bool SimNode::link(const std::string& path, const std::string& target) {
  if (!disk_.link(path, target)) return false;
  trace_.line(name_, str("a person links ", path, " to ", target));
  return true;
}

namespace {

NodeControl::Callback<ActionReport> as_callback(SimNode::Answer done) {
  return [done = std::move(done)](const Result<ActionReport>& result) {
    if (done) done(result ? std::string() : result.error().detail);
  };
}

}  // namespace

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

std::uint64_t SimNode::payload_sent() const {
  return running() ? running_->node->status().counters.payload_sent : 0;
}

// ---- what the node is told ---------------------------------------------------------------------

void SimNode::watch(std::function<void(Instant)> event) {
  if (!running()) return;
  // The kernel's queue: in order, a moment later.
  const Instant when = std::max(last_watched_, queue_.now() + Duration(50 + random_.below(1000)));
  last_watched_ = when;
  queue_.at(when, [this, start = starts_, event = std::move(event)]() mutable {
    if (!running() || start != starts_) return;
    running_->watched.push_back(std::move(event));
    wake(queue_.now());
  });
}

void SimNode::on_hint(const ChangeHint& hint) {
  if (options_.lost_hints > 0 && random_.below(kMillion) < options_.lost_hints) return;
  watch([this, hint](Instant now) { running_->node->on_hint(hint, now); });
}

void SimNode::on_operation(const std::string& operation, const std::string& subject) {
  if (operation == "died") {
    const bool power = dies_with_power_;
    queue_.at(queue_.now(), [this, power, start = starts_] {
      if (!running() || start != starts_) return;
      if (power) {
        power_cut();
      } else {
        kill();
      }
    });
    return;
  }
  if (on_operation_) on_operation_(operation, subject);
}

void SimNode::on_beacon(const Address& from, const Bytes& bytes) {
  running_->beacons.emplace_back(from, bytes);
  wake(queue_.now());
}

void SimNode::broadcast(ByteView datagram) { network_.broadcast(ip_, datagram); }

void SimNode::write(LogLevel level, std::string_view line) {
  if (level >= LogLevel::kInfo) {
    trace_.line(name_, str("  ", line));
  } else if (trace_.told()) {
    trace_.remark(name_, str("  ", line));
  }
}

bool SimNode::place_marker(const std::string& name) {
  watch([this, name](Instant) { running_->node->on_marker(name); });
  return true;
}

// ---- turns -------------------------------------------------------------------------------------

void SimNode::wake(Instant when) {
  if (!running() || when == kNever) return;
  when = std::max({when, last_turn_ + kTurnCost, frozen_until_});
  if (when >= wake_at_) return;
  wake_at_ = when;
  queue_.at(when, [this, number = ++wake_number_] {
    if (number == wake_number_) turn();
  });
}

void SimNode::turn() {
  const Instant now = queue_.now();
  wake_at_ = kNever;
  if (now < frozen_until_) {
    wake(frozen_until_);
    return;
  }
  last_turn_ = now;
  ++turns_;
  Running& running = *running_;
  if (now - expected_ > kStallLimit) running.node->on_stall(now, now - expected_);
  for (const auto& [from, bytes] : std::exchange(running.beacons, {})) {
    running.node->on_beacon(from, bytes, now);
  }
  for (auto& event : std::exchange(running.watched, {})) event(now);
  running.endpoint->service(now);
  running.executor->run_completions();
  if (running.stop_asked && running.stop_deadline == kNever) {
    running.node->begin_stop(now);
    running.stop_deadline = now + kStopPatience;
  }
  running.node->turn(now);
  running.endpoint->flush();
  if (running.stop_deadline != kNever) {
    const bool done = running.node->stopped() && running.endpoint->idle();
    if (done || now >= running.stop_deadline) {
      end("has stopped");
      return;
    }
    wake(std::min(now + 10ms, running.stop_deadline));
    return;
  }
  expected_ =
      std::max(now, std::min({running.node->deadline(), running.endpoint->deadline(), now + 1s}));
  wake(expected_);
}

}  // namespace lansync::sim
