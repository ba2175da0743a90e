#include "app/running_node.h"

#include <fcntl.h>
#include <malloc.h>
#include <net/if.h>
#include <netdb.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <cstring>
#include <system_error>

#include "app/commands.h"
#include "platform/lane_carrier.h"
#include "platform/machine_facts.h"
#include "platform/network_facts.h"
#include "platform/private_file.h"
#include "platform/tcp_carrier.h"
#include "transport/password.h"

namespace lansync {
namespace {

constexpr int kPortTries = 50;
constexpr std::string_view kKeylogMark = "LANSYNC";  // what each line of a key log begins with
// Of one large file that comes in two jobs run at once (writing, hashing); a third for the rest.
constexpr std::size_t kWorkers = 3;
constexpr Duration kWatchRetry = 1min;
// CONTRACT: exit within 2 s of a signal; the rest is for closing files.
constexpr Duration kStopPatience = 1500ms;
constexpr Duration kDeafCheck = 1s;
// Of a signal until the process is ended by force: a node whose disk answers is gone before.
constexpr Duration kForcedEnd = 4s;

std::uint8_t log2_of_free(FileSystem& files) {
  auto free = files.free_bytes();
  std::uint64_t gib = free ? *free >> 30 : 0;
  return static_cast<std::uint8_t>(std::bit_width(gib));
}

}  // namespace

Result<std::unique_ptr<RunningNode>> RunningNode::open(const RunOptions& options,
                                                       const Environment& environment, Log& log) {
  std::unique_ptr<RunningNode> running(new RunningNode(options, log));
  auto loop = EventLoop::create();
  if (!loop) return loop.error();
  running->loop_ = std::move(*loop);
  LS_TRY(running->open_folder());
  auto workers = WorkerPool::create(kWorkers);
  if (!workers) return workers.error();
  running->workers_ = std::move(*workers);
  auto disk = DiskWatch::create(*running->workers_, running->files_->guard().private_fd());
  if (!disk) return disk.error();
  running->disk_ = std::move(*disk);
  LS_TRY(running->open_network());
  LS_TRY(running->open_node());
  LS_TRY(running->open_control(environment));
  // Before a view takes the terminal: until here a signal ends the process at once (main).
  LS_TRY(running->open_last_resort());
  return running;
}

Status RunningNode::open_last_resort() {
  LastResort::Calls calls;
  calls.heard = [this](int) { loop_->post([this] { stop_asked_ = true; }); };
  calls.end = [dir = options_.dir] {
    TerminalView::leave_at_once();
    const std::string text =
        str("lansync: the disk of ", printable(dir, 500),
            " does not answer: ended without waiting for it (nothing is lost by that)\n");
    (void)!::write(STDERR_FILENO, text.data(), text.size());
    ::_exit(0);
  };
  auto started = LastResort::start(std::move(calls), kForcedEnd);
  if (!started) return started.error();
  last_resort_ = std::move(*started);
  return {};
}

RunningNode::~RunningNode() {
  if (last_resort_) last_resort_->expect_end();
  control_.reset();
  refuge_.reset();
  if (disk_) disk_->shutdown();
  if (workers_) workers_->shutdown();
  endpoint_.reset();
}

Status RunningNode::open_folder() {
  raise_open_file_limit();
  auto files = ConfinedFileSystem::open(options_.dir, options_.force_dir);
  if (!files) return files.error();
  files_ = std::move(*files);
  auto store = SqliteIndexStore::open(files_->guard().private_path() + "/index.db");
  if (!store) return store.error();
  store_ = std::move(*store);
  auto loaded = store_->load();
  if (!loaded) return loaded.error();
  loaded_ = std::move(*loaded);
  if (store_->rebuilt()) log_.warn(store_->why_rebuilt());
  if (store_->migrated_from() != 0) {
    log_.info(str("index.db was brought from schema ", store_->migrated_from(), " to ",
                  index_schema().size(), "; an older lansync does not read it any more"));
  }
  for (const SavedLeftover& left : files_->saved_leftovers()) {
    log_.warn(str("a crash left a file of ", left.size,
                  " bytes on its way; it is in the trash: ", printable(left.trash_name)));
  }
  return {};
}

Status RunningNode::open_network() {
  auto interfaces = InterfaceMonitor::open(options_.interfaces);
  if (!interfaces) return interfaces.error();
  interfaces_ = std::make_unique<InterfaceMonitor>(std::move(*interfaces));
  auto beacons = UdpBeaconSocket::open(interfaces_->interfaces());
  if (!beacons) return beacons.error();
  beacons_ = std::move(*beacons);
  return {};
}

std::vector<Address> RunningNode::resolve_peers() {
  std::vector<Address> out;
  for (const std::string& text : options_.peers) {
    if (auto address = parse_address(text, kDefaultPort)) {
      out.push_back(*address);
      continue;
    }
    std::size_t colon = text.rfind(':');
    std::string host = text.substr(0, colon);
    std::string port =
        colon == std::string::npos ? std::to_string(kDefaultPort) : text.substr(colon + 1);
    addrinfo hints{};
    hints.ai_family = AF_INET;
    hints.ai_socktype = SOCK_DGRAM;
    addrinfo* found = nullptr;
    if (int error = getaddrinfo(host.c_str(), port.c_str(), &hints, &found); error != 0) {
      log_.warn(str("--peer ", printable(text), ": ", gai_strerror(error)));
      continue;
    }
    const auto* address = reinterpret_cast<const sockaddr_in*>(found->ai_addr);
    out.push_back({ntohl(address->sin_addr.s_addr), ntohs(address->sin_port)});
    freeaddrinfo(found);
  }
  return out;
}

Result<std::unique_ptr<EnetEndpoint>> RunningNode::open_endpoint(const Identity& identity,
                                                                 const BootId& boot) {
  auto key = derive_password_key(options_.password, options_.group);
  if (!key) return key.error();
  EndpointOptions endpoint;
  endpoint.signer = identity.signer;
  endpoint.boot = boot;
  endpoint.group = options_.group;
  endpoint.key = *key;
  endpoint.aes = cpu_has_aes();
  if (options_.interfaces == std::vector<std::string>{"lo"}) {
    endpoint.bind_ip = 0x7f000001;  // nothing leaves the host
  } else if (options_.interfaces.size() == 1) {
    bind_device_ = true;
    endpoint.on_socket = [this](int fd) { bind_sessions(fd); };
  }
  if (!options_.keylog.empty()) {
    auto opened = open_secret_log(options_.keylog, kKeylogMark);
    if (!opened) return Error{opened.error().code, str("keylog: ", opened.error().detail)};
    auto file = std::make_shared<UniqueFd>(std::move(*opened));
    endpoint.on_keylog = [file](const std::string& line) {
      std::string text = line + '\n';
      if (::write(file->get(), text.data(), text.size()) < 0) return;
    };
  }
  // Default busy: the next pair whose three sockets are free. Given and busy: an error.
  Error last{ErrorCode::kBusy, ""};
  for (int attempt = 0; attempt < (options_.port_given ? 1 : kPortTries); ++attempt) {
    endpoint.port = static_cast<std::uint16_t>(options_.port + 2 * attempt);
    auto opened = open_sockets(endpoint);
    if (opened) return opened;
    last = opened.error();
    if (last.code != ErrorCode::kBusy) return last;
  }
  return last;
}

// N/udp for sessions, N/tcp and (N+1)/udp for content. All three or none.
Result<std::unique_ptr<EnetEndpoint>> RunningNode::open_sockets(const EndpointOptions& options) {
  auto busy = [](Error error, int port, const char* transport) {
    const std::string& detail = error.detail;
    if (error.code != ErrorCode::kBusy) return error;
    if (detail.ends_with(std::generic_category().message(EADDRINUSE)) ||
        detail.ends_with("it is in use")) {
      error.detail =
          str("port ", port, transport, " is in use: stop what uses it, or give another --port");
      return error;
    }
    // Too few descriptors, or no thread: another port would not help.
    error.code = ErrorCode::kIo;
    if (detail.ends_with(std::generic_category().message(EMFILE)))
      error.detail += ": `ulimit -n 1024` before the start lets it open more";
    return error;
  };
  auto endpoint = EnetEndpoint::open(options, *node_, random_, log_);
  if (!endpoint) return busy(endpoint.error(), options.port, "/udp");
  const int port = (*endpoint)->port();
  CarrierOptions carrier;
  carrier.bind_ip = options.bind_ip;
  carrier.on_socket = options.on_socket;
  // The carrier's thread says that there is something; the turn that follows takes it.
  carrier.wakeup = [loop = loop_.get()] { loop->post([] {}); };
  carrier.port = static_cast<std::uint16_t>(port + 1);
  auto lane = open_lane_carrier(carrier);
  if (!lane) return busy(lane.error(), port + 1, "/udp");
  carrier.port = static_cast<std::uint16_t>(port);
  auto tcp = open_tcp_carrier(carrier);
  if (!tcp) return busy(tcp.error(), port, "/tcp");
  carriers_.push_back(std::move(*lane));
  carriers_.push_back(std::move(*tcp));
  return endpoint;
}

Status RunningNode::open_node() {
  FolderPlace place;
  place.machine = read_machine_facts().machine_id;
  if (auto lasting = files_->guard().lasting_identity())
    place.lasting = FolderPlace::Lasting{lasting->inode, lasting->birth_ns};
  if (auto root = files_->guard().lasting_root())
    place.root = FolderPlace::Lasting{root->inode, root->birth_ns};
  Identity identity = establish_identity(loaded_, place, random_);
  BootId boot = random_.id<BootId>();
  NodeConfig config;
  config.group = options_.group;
  config.open = options_.password.empty();
  config.name = options_.name;
  config.program_version = program_version();
  config.manual = options_.role;
  config.settle = options_.settle;
  config.settle_max = options_.settle_max;
  config.rescan = options_.rescan;
  config.on_demand = options_.on_demand;
  config.max_deletes = options_.max_deletes;
  config.max_file_size = options_.max_file_size.value_or(0);
  config.uploads = options_.uploads == UploadPolicy::kAllow  ? UploadAnswer::kAllow
                   : options_.uploads == UploadPolicy::kDeny ? UploadAnswer::kDeny
                                                             : UploadAnswer::kAsk;
  config.limit = options_.limit.value_or(0);
  config.carrier = options_.carrier;
  if (auto total = files_->total_bytes()) {
    config.reserve_bytes = std::min<std::uint64_t>(*total / 100, std::uint64_t{1} << 30);
  }
  config.disk_log2 = log2_of_free(*files_);
  config.folder = files_->guard().path();
  config.peers = resolve_peers();
  // The endpoint takes its events to the node, and the node's port comes from the endpoint: the
  // node is made first, without one.
  config.port = options_.port;
  NodeParts parts{*files_, *store_, *workers_, *beacons_, random_, clock_, log_, *this, &types_};
  node_ = std::make_unique<Node>(config, identity, boot, parts);
  auto endpoint = open_endpoint(identity, boot);
  if (!endpoint) return endpoint.error();
  endpoint_ = std::move(*endpoint);
  node_->set_port(endpoint_->port());
  for (const auto& carrier : carriers_) node_->add_carrier(*carrier);
  open_watcher();
  update_network(clock_.now());
  node_->start(*endpoint_, loaded_, clock_.now());
  loaded_ = LoadedIndex{};
  return {};
}

void RunningNode::open_watcher() {
  auto watcher = InotifyWatcher::create(files_->guard());
  if (!watcher) {
    log_.warn(str("changes are found by rescans only: ", watcher.error().detail));
    unwatched_all_ = true;
    return;
  }
  watcher_ = std::move(*watcher);
}

Status RunningNode::open_control(const Environment& environment) {
  runtime_dir_ = environment.variable("XDG_RUNTIME_DIR");
  auto control = ControlServer::open(loop_->context(), *node_, log_, files_->guard().path(),
                                     runtime_dir_, ControlServer::Limits{});
  if (!control) return control.error();
  control_ = std::move(*control);
  return {};
}

// Who asks the node by the name of its folder is told that it is gone, or does not answer, and can
// stop the node.
void RunningNode::look_after_control() {
  disk_->look(control_->look_in_place());
  if (disk_->in_place()) {
    refuge_.reset();
  } else if (!refuge_ || !refuge_->in_place()) {
    auto opened = ControlServer::open_refuge(loop_->context(), *node_, log_, files_->guard().path(),
                                             runtime_dir_, ControlServer::Limits{});
    if (opened) refuge_ = std::move(*opened);
  }
}

// ---- NodeHost
// ---------------------------------------------------------------------------------------

bool RunningNode::place_marker(const std::string& name) {
  if (!watcher_ || watcher_->degraded()) return false;
  disk_->place_marker(name);
  return true;
}

void RunningNode::on_new_identity(const SigningKey& signer) { endpoint_->set_signer(signer); }

void RunningNode::stop() { stop_asked_ = true; }

Result<std::unique_ptr<ReadFile>> RunningNode::open_outside(const std::string& path) {
  return open_outside_file(path);
}

std::vector<Network> RunningNode::networks() {
  return network_reader_.read(interfaces_->interfaces(), clock_.now());
}

// ---- the loop
// ---------------------------------------------------------------------------------------

void RunningNode::on_watch_event(const WatchEvent& event) {
  Instant now = loop_->now();
  switch (event.kind) {
    case WatchEventKind::kModified:
      node_->on_hint({event.path, FileEvent::kModify}, now);
      break;
    case WatchEventKind::kClosedAfterWrite:
      node_->on_hint({event.path, FileEvent::kCloseWrite}, now);
      break;
    case WatchEventKind::kCreated:
    case WatchEventKind::kDirectoryCreated:
      node_->on_hint({event.path, FileEvent::kCreate}, now);
      break;
    case WatchEventKind::kDeleted:
      node_->on_hint({event.path, FileEvent::kDelete}, now);
      break;
    case WatchEventKind::kMoved:
      node_->on_hint({event.from, FileEvent::kDelete}, now);
      node_->on_hint({event.path, FileEvent::kCreate}, now);
      // A directory brings along what is in it, without an event for each.
      if (event.is_directory) node_->on_directory_moved(event.path, now);
      break;
    case WatchEventKind::kAttrib:
      node_->on_hint({event.path, FileEvent::kAttributes}, now);
      break;
    case WatchEventKind::kMarker:
      node_->on_marker(event.path);
      break;
    case WatchEventKind::kOverflow:
    case WatchEventKind::kRootGone:
      watch_overflow_ = true;
      break;
  }
}

Instant RunningNode::on_turn(const Turn& turn, TerminalView* view) {
  if (turn.stalled || turn.suspended) {
    log_.info(str(turn.suspended ? "this machine slept for " : "this node stood still for ",
                  to_string(turn.slept_through)));
    network_reader_.restart();
    node_->on_stall(turn.now, turn.slept_through);
    if (turn.suspended) node_->on_suspended(turn.suspended_for);
  }
  if (turn.now >= next_deaf_check_) {
    next_deaf_check_ = turn.now + kDeafCheck;
    update_network(turn.now);
    look_after_control();
  }
  node_->on_disk_waits(disk_->waits());
  bool more = false;
  if (watcher_) {
    auto take = [this](const WatchEvent& event) { on_watch_event(event); };
    if (watcher_->setup_pending()) more = watcher_->continue_setup(256, take);
    // Perhaps a person has raised the limit, or another program ended.
    if (watcher_->degraded() && turn.now >= next_watch_retry_) {
      next_watch_retry_ = turn.now + kWatchRetry;
      watcher_->retry_unwatched();
      more = watcher_->continue_setup(256, take);
    }
    if (!watcher_->setup_pending()) node_->set_unwatched(watcher_->unwatched_count(), turn.now);
  }
  if (unwatched_all_) node_->set_unwatched(1, turn.now);
  if (watch_overflow_) {
    watch_overflow_ = false;
    node_->on_watch_overflow(turn.now);
  }
  endpoint_->service(turn.now);
  if (stop_asked_ && stop_deadline_ == kNever) {
    node_->begin_stop(turn.now);
    stop_deadline_ = turn.now + kStopPatience;
  }
  node_->turn(turn.now);
  endpoint_->flush();
  if (!trimmed_ && node_->in_sync()) {
    // Loading the index and the first scan take some 40 MB with 100,000 files and leave it to the
    // allocator, which keeps it: 133 MB resident before, 100 after.
    trimmed_ = true;
    malloc_trim(0);
  }
  if (view) {
    // Before the next drawing: the answer is to what the screen shows.
    if (auto answer = view->take_answer(turn.now))
      (void)node_->answer_upload(answer->id, answer->allow);
    if (view->due(turn.now)) view->tick(node_->status(), node_->uploads(), turn.now);
  }
  if (stop_deadline_ != kNever) {
    bool done = node_->stopped() && endpoint_->idle();
    if (done || turn.now >= stop_deadline_) loop_->stop();
    return std::min(turn.now + 10ms, stop_deadline_);
  }
  if (more) return turn.now;
  Instant next = std::min(node_->deadline(), endpoint_->deadline());
  if (view) next = std::min(next, turn.now + 250ms);
  return next;
}

int RunningNode::run(TerminalView* view) {
  Status watched = loop_->watch_fd(endpoint_->socket_fd(), [this] {
    endpoint_->service(loop_->now());
    loop_->rest_fd(endpoint_->socket_fd(), endpoint_->take_rest());
  });
  if (watched) {
    watched = loop_->watch_fd(beacons_->fd(), [this] {
      const Instant now = loop_->now();
      const int taken = beacons_->receive(
          [this, now](const Address& from, ByteView bytes, std::uint32_t interface) {
            node_->on_beacon(from, bytes, now, interface);
          });
      loop_->rest_fd(beacons_->fd(), beacons_->rest_after(taken, now));
    });
  }
  if (watched) {
    watched = loop_->watch_fd(interfaces_->fd(), [this] {
      bool changed = interfaces_->on_readable();
      if (interfaces_->take_link_lost()) {
        network_reader_.restart();
        node_->on_link_lost(loop_->now());
      }
      if (!changed) return;
      beacons_->set_interfaces(interfaces_->interfaces());
      if (bind_device_) bind_sessions(endpoint_->socket_fd());
      update_network(loop_->now());
    });
  }
  if (watched)
    watched = loop_->watch_fd(workers_->completion_fd(), [this] { workers_->run_completions(); });
  if (watched)
    watched = loop_->watch_fd(disk_->completion_fd(), [this] { disk_->run_completions(); });
  if (watched && watcher_) {
    watched = loop_->watch_fd(watcher_->fd(), [this] {
      watcher_->read_events([this](const WatchEvent& event) { on_watch_event(event); });
    });
  }
  if (!watched) {
    log_.error(watched.error().detail);
    return 1;
  }
  loop_->run([this, view](const Turn& turn) { return on_turn(turn, view); });
  last_resort_->expect_end();
  return 0;
}

}  // namespace lansync
