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
constexpr std::size_t kLogLinesKept = 4096;

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
    oracle_.on_changed(*this, path, by_person, queue_.now());
  };
  events.on_displaced = [this](const std::string& path, const SeenFile& what,
                               const std::string& trash) {
    if (trace_.told()) trace_.remark(name_, str("takes away ", path));
    oracle_.on_displaced(*this, path, what, trash, queue_.now());
  };
  events.on_purged = [this](const std::string& trash, const SeenFile& what) {
    oracle_.trash().on_purged(*this, trash, what, oracle_.superseded(what), queue_.now());
  };
  events.on_left_trash = [this](const std::string& trash) {
    oracle_.trash().on_restored(*this, trash);
  };
  events.on_restored = [this](const std::string& path, const Bytes& bytes) {
    // A version of its own, so that it may lose a conflict of its own.
    oracle_.on_renamed(bytes, str(path, " restored ", queue_.now().time_since_epoch().count()));
    trace_.line(name_, str("restored ", path));
  };
  events.on_operation = [this](const std::string& operation, const std::string& subject) {
    on_operation(operation, subject);
  };
  disk_.set_events(std::move(events));
  store_.set_fault([this]() -> std::optional<Error> {
    if (disk_.died()) return Error{ErrorCode::kIo, "the process is dead"};
    if (commit_errors_ == 0 || random_.below(kMillion) >= commit_errors_) return std::nullopt;
    return Error{ErrorCode::kNoSpace, "the index cannot be written (injected)"};
  });
  store_.set_late_fault([this]() -> std::optional<Error> {
    if (commit_errors_ == 0 || random_.below(kMillion) >= commit_errors_ / 4) return std::nullopt;
    return Error{ErrorCode::kIo, "the index was written, perhaps (injected)"};
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
  oracle_.deletes().on_started(*this);
  running_ = std::make_unique<Running>();
  running_->random = std::make_unique<Prng>(random_.next());
  running_->executor =
      std::make_unique<SimExecutor>(queue_, random_.next(), [this] { wake(queue_.now()); });
  auto loaded = store_.load();
  LS_ASSERT(loaded.has_value());
  const std::string& machine = options_.place.empty() ? name_ : options_.place;
  const FolderPlace place{machine, FolderPlace::Lasting{place_, 1}, {}};
  const Identity identity = establish_identity(*loaded, place, *running_->random);
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
  config.max_file_size = options_.max_file_size;
  config.uploads = options_.uploads;
  config.carrier = options_.carrier;
  NodeParts parts{disk_, store_, *running_->executor, *this, *running_->random, clock_,
                  *this, *this};
  running_->node = std::make_unique<Node>(config, identity, boot, parts);
  EndpointOptions endpoint;
  endpoint.bind_ip = ip_;
  endpoint.port = kPort;
  endpoint.signer = identity.signer;
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
  if (options_.carriers) add_carriers();
  network_.attach(ip_, {[this] { wake(queue_.now()); },
                        [this](const Address& from, const Bytes& bytes, std::uint32_t interface) {
                          on_beacon(from, bytes, interface);
                        }});
  if (options_.second_lan) {
    network_.add_second(ip_, second_ip());
    running_->node->on_network(network_facts(true), queue_.now());
  }
  running_->node->start(*running_->endpoint, *loaded, queue_.now());
  wake_at_ = kNever;
  expected_ = queue_.now();
  wake(queue_.now());
}

void SimNode::add_carriers() {
  SimCarrier::Place place{queue_,
                          network_,
                          ip_,
                          static_cast<std::uint16_t>(kPort + 1),
                          [this] { wake(queue_.now()); },
                          [this] { return frozen_until_; }};
  running_->carriers.push_back(std::make_unique<SimLane>(place));
  place.port = kPort;
  running_->carriers.push_back(std::make_unique<SimTcp>(place));
  for (const auto& carrier : running_->carriers) running_->node->add_carrier(*carrier);
}

void SimNode::stop() {
  if (!running()) return;
  trace_.line(name_, "is asked to stop");
  running_->stop_asked = true;
  wake(queue_.now());
}

void SimNode::end(const char* how) {
  trace_.line(name_, how);
  oracle_.runs().on_ending(*this);
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
  const SimDisk::PowerLoss loss = disk_.power_cut();
  hidden_damage_ = hidden_damage_ || loss.hidden;
  for (const Bytes& bytes : loss.lost) oracle_.forgive(bytes);
  for (const Bytes& bytes : loss.torn) {
    oracle_.on_written(name_, "torn by a power cut", bytes);
    oracle_.on_superseded(bytes);
  }
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
  watch([this, plugged](Instant now) { running_->node->on_network(network_facts(plugged), now); });
}

NetworkFacts SimNode::network_facts(bool plugged) const {
  NetworkFacts facts;
  facts.lan = plugged;
  if (plugged) {
    facts.interfaces.push_back(0);
    if (options_.second_lan) facts.interfaces.push_back(1);
    facts.addresses = ips();
  } else {
    facts.problem = "no network: the cable is out; put it in";
  }
  return facts;
}

std::vector<std::uint32_t> SimNode::ips() const {
  if (options_.second_lan) return {ip_, second_ip()};
  return {ip_};
}

// One router for all on each LAN, which answers at once. (Of a machine on both LANs only the first
// was told: whoever was heard on the second was on none of its networks, and a stranger for as long
// as his key was not known from a session. Seed 1084.)
std::vector<lansync::Network> SimNode::networks() {
  std::vector<lansync::Network> out;
  for (const std::uint32_t ip : ips()) {
    lansync::Network network;
    network.interface = str("sim", out.size());
    network.address = ip;
    network.netmask = 0xffff0000;
    network.gateway = (ip & network.netmask) | 0xfffe;
    network.gateway_mac.fill(static_cast<std::uint8_t>(2 + out.size()));
    out.push_back(network);
  }
  return out;
}

void SimNode::restore(const Backup& backup) {
  LS_ASSERT(!running());
  trace_.line(name_, "is restored from a backup");
  disk_.restore(backup.disk);
  store_.replace(backup.index);
  oracle_.history().on_backup_restored(name_, disk_.tree());
  oracle_.trash().on_set_back(*this);
}

void SimNode::make_whole() {
  disk_.set_error_rates(0, 0);
  disk_.set_capacity(1ull << 40);
  commit_errors_ = 0;
  if (running()) running_->executor->set_slowness(1);
}

bool SimNode::rot(const std::string& path) {
  const auto before = disk_.contents(path);
  const std::optional<SeenFile> seen = disk_.seen(path);
  if (!before || !disk_.rot(path)) return false;
  oracle_.deletes().on_damaged(name_, path, *seen);
  const Bytes now = *disk_.contents(path);
  // A touch of the file makes an edit of it; and until then nobody wants it.
  oracle_.forgive(*before);
  oracle_.on_written(name_, path, now);
  oracle_.on_superseded(now);
  oracle_.history().on_set_back(name_, disk_.tree());
  hidden_damage_ = true;
  trace_.line(name_, str("the disk damages ", path));
  return true;
}

void SimNode::lose_index() {
  LS_ASSERT(!running());
  trace_.line(name_, "loses its index");
  store_.lose();
  oracle_.history().on_index_lost(name_, disk_.tree());
}

void SimNode::lose_private() {
  LS_ASSERT(!running());
  trace_.line(name_, "loses its trash");
  disk_.lose_private();
  oracle_.trash().on_set_back(*this);
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

void SimNode::on_beacon(const Address& from, const Bytes& bytes, std::uint32_t interface) {
  running_->beacons.push_back({from, bytes, interface});
  wake(queue_.now());
}

void SimNode::broadcast(ByteView datagram) { network_.broadcast(ip_, datagram); }

void SimNode::write(LogLevel level, std::string_view line) {
  // The transport's word for what ends a session at once (SessionEvents::violation).
  if (line.find(" broke the rules: ") != std::string_view::npos && accused_.empty())
    accused_ = line;
  if (level >= LogLevel::kInfo) {
    trace_.line(name_, str("  ", line));
    log_lines_.emplace_back(line);
    if (log_lines_.size() > kLogLinesKept) log_lines_.pop_front();
  } else if (trace_.told()) {
    trace_.remark(name_, str("  ", line));
  }
}

std::size_t SimNode::said(std::string_view part) const {
  return static_cast<std::size_t>(
      std::count_if(log_lines_.begin(), log_lines_.end(),
                    [&](const std::string& line) { return line.find(part) != std::string::npos; }));
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
  for (const Running::HeardBeacon& heard : std::exchange(running.beacons, {})) {
    running.node->on_beacon(heard.from, heard.bytes, now, heard.interface);
  }
  for (auto& event : std::exchange(running.watched, {})) event(now);
  running.endpoint->service(now);
  running.executor->run_completions();
  if (running.stop_asked && running.stop_deadline == kNever) {
    running.node->begin_stop(now);
    running.stop_deadline = now + kStopPatience;
  }
  running.node->turn(now);
  oracle_.deletes().on_turn(*this, now);
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
