// The node's part that `download` needs: sessions with holders that a person names, which are
// closed again when nothing uses them.
#include "roles/node.h"

namespace lansync {
NodeControl::Token Node::download(const DownloadAsk& what, Callback<DownloadReport> done) {
  const Token token = next_token_++;
  downloads_->start(token, what, now_, std::move(done));
  return token;
}

void Node::give_back(Token token) { downloads_->give_back(token); }

void Node::downloaded(SessionId session, const std::string& peer, const std::string& name,
                      const std::string& arguments, const std::string& result) {
  journal_->add(false, peer, "download", arguments, result);
  auto at = sessions_.find(session);
  if (at != sessions_.end() && at->second.hello)
    outbox_->send(session, FileDownloaded{name, result});
}

std::string Node::name_of_source(SourceId source) const {
  auto at = sessions_.find(source);
  return at == sessions_.end() ? std::string() : name_of(at->second.info.node);
}

bool Node::has_sources() const { return demand_view().sources; }

void Node::choose_carrier(const ContentId& content, CarrierChoice carrier) {
  carrier_of_[content] = carrier;
}

void Node::forget_carrier(const ContentId& content) { carrier_of_.erase(content); }

CarrierChoice Node::carrier_for(const ContentId& content) const {
  auto at = carrier_of_.find(content);
  return at == carrier_of_.end() ? config_.carrier : at->second;
}

void Node::on_fetched(const ContentId& content, SourceId source, Via via) {
  downloads_->on_fetched(content, source, via);
}

}  // namespace lansync
