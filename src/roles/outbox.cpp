#include "roles/outbox.h"

namespace lansync {

void Outbox::send_urgent(SessionId session, const Message& message) {
  transport_.send(session, Channel::kHandshake, encode_message(message));
  last_sent_[session] = now_;
}

void Outbox::send(SessionId session, const Message& message) {
  Bytes bytes = encode_message(message);
  Queue& queue = queues_[session];
  queue.bytes += bytes.size();
  queue.messages.push_back(std::move(bytes));
}

void Outbox::pump() {
  for (auto at = queues_.begin(); at != queues_.end();) {
    auto& [session, queue] = *at;
    std::deque<Bytes>& messages = queue.messages;
    while (!messages.empty() && transport_.queued(session) < kMaxInHand) {
      if (!transport_.send(session, Channel::kMessages, messages.front())) {
        messages.clear();
        break;
      }
      queue.bytes -= messages.front().size();
      messages.pop_front();
      last_sent_[session] = now_;
    }
    at = messages.empty() ? queues_.erase(at) : std::next(at);
  }
}

std::uint64_t Outbox::waiting_bytes(SessionId session) const {
  auto at = queues_.find(session);
  return at == queues_.end() ? 0 : at->second.bytes;
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
