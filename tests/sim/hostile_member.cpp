#include "sim/hostile_member.h"

#include <algorithm>

#include "base/assert.h"
#include "sync/tree_digest.h"

namespace lansync::sim {
namespace {

constexpr std::uint16_t kPort = 27801;
constexpr std::uint32_t kFirstIp = 0x0a000001;
constexpr Duration kPing = 400ms;
constexpr Duration kStep = 5ms;

}  // namespace

HostileMember::HostileMember(World& world, std::uint32_t number, std::uint64_t seed)
    : world_(world),
      ip_(kFirstIp + number),
      random_(seed),
      signer_(SigningKey::generate(random_)),
      node_(node_id_of(signer_.public_key())) {
  world_.network().make_current();
  hello_.name = "mallory";
  hello_.program = "sim";
  hello_.role = Role::kClient;
  hello_.has_data = true;
  hello_.port = kPort;
  EndpointOptions options;
  options.bind_ip = ip_;
  options.port = kPort;
  options.signer = signer_;
  options.boot = random_.id<BootId>();
  options.group = "sim";
  std::array<std::uint8_t, 32> scalar{};  // as SimNode's: the password
  scalar.fill(0x11);
  options.key = PasswordKey(scalar);
  options.max_peers = 64;
  auto opened = EnetEndpoint::open(options, *this, random_, *this);
  LS_ASSERT(opened.has_value());
  endpoint_ = std::move(*opened);
  world_.network().attach(
      ip_, {[this] { wake(world_.now()); }, [](const Address&, const Bytes&, std::uint32_t) {}});
  wake(world_.now());
}

HostileMember::~HostileMember() {
  *alive_ = false;
  world_.network().make_current();
  world_.network().detach(ip_);
  endpoint_.reset();
}

void HostileMember::dial(SimNode& to) {
  endpoint_->dial({to.ip(), kPort});
  wake(world_.now());
}

void HostileMember::keep_run() { kept_run_ = Run{1, random_.id<StartId>(), {}}; }

void HostileMember::hang_up(SimNode& to) {
  const SessionId id = session_with(to);
  if (id == 0) return;
  endpoint_->close(id);
  wake(world_.now());
}

bool HostileMember::greeted(SimNode& by) const {
  return connected(by) && last<Hello>(by) != nullptr;
}

bool HostileMember::followed_by(SimNode& node) const {
  return connected(node) && last<IndexGet>(node) != nullptr;
}

const std::deque<Message>& HostileMember::heard_from(SimNode& node) const {
  static const std::deque<Message> kNone;
  auto at = lines_.find(node.ip());
  return at == lines_.end() ? kNone : at->second.heard;
}

void HostileMember::say_hello(SimNode& to, bool answer) {
  hello_.answer = answer;
  if (is_hub(hello_.role)) {
    hello_.hub = node_;
    hello_.hub_term = hello_.term;
    hello_.hub_live = true;
  }
  send(to, hello_);
}

void HostileMember::join(SimNode& hub) {
  IndexGet get;
  get.bucket_count = bucket_count_for(0);
  get.digests = TreeDigest(get.bucket_count).digests();
  get.round = ++round_;
  send(hub, get);
}

void HostileMember::answer_index_get(SimNode& follower, std::vector<NamedEntry> entries) {
  const auto* get = last<IndexGet>(follower);
  if (get == nullptr) return;
  Update update;
  update.term = hello_.term;
  update.seq = 1;
  update.snapshot = true;
  update.last = true;
  update.round = get->round;
  for (std::uint32_t bucket = 0; bucket < get->bucket_count; ++bucket)
    update.buckets.push_back(bucket);
  update.entries = std::move(entries);
  send(follower, update);
}

void HostileMember::claim(SimNode& to) {
  send(to, Claim{hello_.term, hello_.members}, Channel::kHandshake);
}

bool HostileMember::send(SimNode& to, const Message& message, Channel channel) {
  return send_raw(to, encode_message(message), channel);
}

bool HostileMember::send_raw(SimNode& to, ByteView bytes, Channel channel) {
  const SessionId id = session_with(to);
  if (id == 0) return false;
  const bool sent = endpoint_->send(id, channel, bytes);
  wake(world_.now());
  return sent;
}

SessionId HostileMember::session_with(SimNode& node) const {
  auto at = lines_.find(node.ip());
  return at == lines_.end() ? 0 : at->second.id;
}

HostileMember::Line* HostileMember::line_of(SessionId id) {
  for (auto& [ip, line] : lines_) {
    if (line.id == id) return &line;
  }
  return nullptr;
}

// ---- the transport's word ----------------------------------------------------------------------

void HostileMember::on_session_up(const SessionInfo& session) {
  Line& line = lines_[session.address.ip];
  line = Line{};
  line.id = session.id;
  for (SimNode* one : world_.nodes()) {
    if (one->ip() != session.address.ip) continue;
    // The first one of a session states the runs: of this key there is one.
    hello_.runs = {kept_run_ ? *kept_run_ : Run{1, random_.id<StartId>(), {}}};
    say_hello(*one, !session.outgoing);
    hello_.runs.clear();
  }
}

void HostileMember::on_session_down(SessionId id, CloseReason reason) {
  Line* line = line_of(id);
  if (line == nullptr) return;
  line->id = 0;
  if (reason != CloseReason::kLocal) ++times_dropped_;
}

void HostileMember::on_packet(SessionId id, Channel, ByteView bytes) {
  Line* line = line_of(id);
  if (line == nullptr || is_chunk(bytes)) return;
  auto message = decode_message(bytes);
  if (!message) return;
  line->heard.push_back(std::move(*message));
  if (line->heard.size() > kKept) line->heard.pop_front();
}

void HostileMember::on_dial_failed(const Address& address, DialFailure failure, int) {
  world_.trace().line("mallory",
                      str("did not reach ", to_string(address), ": ", to_string(failure)));
}

void HostileMember::on_refused(const Address&, DialFailure, int) {}

void HostileMember::write(LogLevel level, std::string_view line) {
  if (level >= LogLevel::kInfo) world_.trace().line("mallory", str("  ", line));
}

// ---- turns -------------------------------------------------------------------------------------

void HostileMember::wake(Instant when) {
  if (when >= wake_at_) return;
  wake_at_ = when;
  world_.schedule(std::max(when, world_.now()) - world_.now(),
                  [this, number = ++wake_number_, alive = alive_] {
                    if (*alive && number == wake_number_) step();
                  });
}

void HostileMember::step() {
  const Instant now = world_.now();
  wake_at_ = kNever;
  endpoint_->service(now);
  if (now >= next_ping_) {
    next_ping_ = now + kPing;
    const Bytes ping = encode_message(Ping{1});
    for (const auto& [ip, line] : lines_) {
      if (line.id != 0) endpoint_->send(line.id, Channel::kHandshake, ping);
    }
  }
  endpoint_->flush();
  wake(std::max(now + kStep, std::min(endpoint_->deadline(), next_ping_)));
}

}  // namespace lansync::sim
