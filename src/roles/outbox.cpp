#include "roles/outbox.h"

namespace lansync {

void Outbox::send_urgent(SessionId session, const Message& message) {
  transport_.send(session, Channel::kHandshake, encode_message(message));
  last_sent_[session] = now_;
}

void Outbox::send(SessionId session, const Message& message) {
  queues_[session].push_back(encode_message(message));
}

void Outbox::pump() {
  for (auto at = queues_.begin(); at != queues_.end();) {
    auto& [session, queue] = *at;
    while (!queue.empty() && transport_.queued(session) < kMaxInHand) {
      if (!transport_.send(session, Channel::kMessages, queue.front())) {
        queue.clear();
        break;
      }
      queue.pop_front();
      last_sent_[session] = now_;
    }
    at = queue.empty() ? queues_.erase(at) : std::next(at);
  }
}

bool Outbox::empty(SessionId session) const { return !queues_.contains(session); }

Instant Outbox::last_sent(SessionId session) const {
  auto at = last_sent_.find(session);
  return at == last_sent_.end() ? Instant{} : at->second;
}

void Outbox::forget(SessionId session) {
  queues_.erase(session);
  last_sent_.erase(session);
}

}  // namespace lansync
