#include "transport/dialer.h"

#include <algorithm>

namespace lansync {

namespace {
constexpr Duration kAskInterval = 100ms;
// Quickly at first, for a datagram that got lost; then on to the end of the dial, for a cable that
// is put in meanwhile.
constexpr int kQuickAsks = 5;
constexpr Duration kSlowAskInterval = 200ms;
}  // namespace

bool Dialer::start(const Address& address) {
  if (dials_.contains(address)) return true;
  if (dials_.size() >= kMaxDials) return false;
  dials_.try_emplace(address);
  return true;
}

bool Dialer::on_event(const DialEvent& event, const Send& send, Instant now) {
  auto it = dials_.find(event.address);
  if (it == dials_.end()) return false;
  Dial& dial = it->second;
  if (event.kind == DialEvent::Kind::kBusy) {
    dial.busy = true;
    dial.shown.clear();
    dial.asked = 0;
    dial.next_send = now + random_->jitter(200ms, 50);
    return false;
  }
  if (event.kind != DialEvent::Kind::kCookie || !dial.shown.empty()) return false;
  dial.shown = event.packet;
  dial.cookie = true;
  dial.next_send = now + kAskInterval;
  send(event.address, dial.shown);
  return true;
}

std::vector<Dialer::Over> Dialer::service(Instant now, const Send& send) {
  std::vector<Over> over;
  for (auto it = dials_.begin(); it != dials_.end();) {
    Dial& dial = it->second;
    if (!dial.begun) {
      dial.begun = true;
      dial.next_send = now;
      dial.ends = now + kDialTimeout;
    }
    if (now >= dial.ends) {
      DialFailure failure = dial.cookie ? DialFailure::kNoHandshake : DialFailure::kNoAnswer;
      if (dial.busy) failure = DialFailure::kBusy;
      over.push_back({it->first, failure});
      filter_->end_dial(it->first);
      it = dials_.erase(it);
      continue;
    }
    if (now >= dial.next_send && !dial.quiet) {
      if (!dial.shown.empty()) {
        // Nobody acknowledges it, and without it the CONNECT that follows is dropped in silence.
        send(it->first, dial.shown);
        dial.next_send = now + kAskInterval;
      } else {
        const Bytes packet = filter_->begin_dial(it->first, now);
        if (!packet.empty()) send(it->first, packet);
        ++dial.asked;
        dial.next_send = now + (dial.asked < kQuickAsks ? kAskInterval : kSlowAskInterval);
      }
    }
    ++it;
  }
  return over;
}

Instant Dialer::deadline() const {
  Instant next = kNever;
  for (const auto& [address, dial] : dials_) {
    if (!dial.begun) return Instant{};
    next = std::min(next, dial.quiet ? dial.ends : std::min(dial.next_send, dial.ends));
  }
  return next;
}

void Dialer::connected(const Address& address) {
  auto it = dials_.find(address);
  if (it != dials_.end()) it->second.quiet = true;
}

void Dialer::remove(const Address& address) {
  if (dials_.erase(address) > 0) filter_->end_dial(address);
}

}  // namespace lansync
