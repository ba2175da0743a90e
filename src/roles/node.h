// One node: routes between discovery, sessions, election, hub, client and replica. Decides nothing
// that one of them could decide.
//
// Driven on the control thread by platform (or the simulator): on_* for what happened, then
// turn(now), then nothing before deadline(). Invariant: no call from below re-enters turn().
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/executor.h"
#include "base/log.h"
#include "base/network.h"
#include "base/random.h"
#include "discovery/discovery.h"
#include "roles/carriage.h"
#include "roles/client.h"
#include "roles/clone_watch.h"
#include "roles/contacts.h"
#include "roles/demand.h"
#include "roles/disk_silence.h"
#include "roles/downloads.h"
#include "roles/early_packets.h"
#include "roles/election.h"
#include "roles/held_things.h"
#include "roles/hub.h"
#include "roles/identity.h"
#include "roles/journal.h"
#include "roles/key_limit.h"
#include "roles/met_keys.h"
#include "roles/network_guard.h"
#include "roles/node_control.h"
#include "roles/outbox.h"
#include "roles/peer_names.h"
#include "roles/people_view.h"
#include "roles/queries.h"
#include "roles/questions.h"
#include "roles/run_decisions.h"
#include "roles/run_mender.h"
#include "roles/source_finder.h"
#include "roles/undo.h"
#include "roles/uploads.h"
#include "sync/fetcher.h"
#include "sync/provider.h"
#include "sync/replica.h"
#include "transport/ed25519.h"
#include "transport/session.h"

namespace lansync {

struct NodeConfig {
  UploadAnswer uploads = UploadAnswer::kAsk;
  std::string group = "lansync";
  bool open = true;  // no password
  std::string name;
  std::string program_version;
  ManualRole manual = ManualRole::kAuto;
  Duration settle = 2s;
  Duration settle_max = 60s;
  Duration rescan = 10min;
  bool on_demand = false;
  MaxDeletes max_deletes = default_max_deletes();
  std::uint64_t max_file_size = 0;
  std::uint64_t reserve_bytes = 0;  // stay free on the disk (CONTRACT, Guards)
  std::uint64_t limit = 0;          // bytes per second sent as content; 0: none
  CarrierChoice carrier = CarrierChoice::kAuto;
  std::uint8_t disk_log2 = 0;
  std::uint16_t port = 27801;
  std::uint8_t protocol = kProtocolVersion;  // another one in tests only
  Duration session_life = 24h;               // then it gets new keys (reliability.md §4.1, step 4)
  std::vector<Address> peers;                // --peer
  std::string folder;                        // for people
};

// What the machine's network looks like, told by the outside.
struct NetworkFacts {
  bool lan = true;      // an interface in use leads to others (or to loopback, as was asked)
  std::string problem;  // if not, or if nothing comes in: what is wrong and what to do, one line
  std::vector<std::uint32_t> interfaces;  // in use
  std::vector<std::uint32_t> addresses;   // ours on them
};

// What only the outside can do. Implemented by app and by the simulator.
class NodeHost {
 public:
  virtual ~NodeHost() = default;
  // Makes and removes `.lansync/<name>`, so that the watcher reports it after all that came before.
  // False if there is no watcher.
  virtual bool place_marker(const std::string& name) = 0;
  virtual void on_new_identity(const SigningKey& signer) = 0;  // the endpoint has to know
  virtual void stop() = 0;                                     // a person asked for it
  // Looks at the machine, perhaps for a second or two; answers on the control thread.
  virtual void doctor(std::function<void(DoctorFacts)> done) = 0;
  // What this machine is on now, of the interfaces in use.
  virtual std::vector<Network> networks() { return {}; }
  // A file of a person's outside the folder, with this process's rights. Called on workers.
  virtual Result<std::unique_ptr<ReadFile>> open_outside(const std::string&) {
    return Error{ErrorCode::kUnsupported, "there is nothing outside"};
  }
};

struct NodeParts {
  FileSystem& files;
  IndexStore& store;
  Executor& executor;
  BeaconSocket& beacons;
  RandomSource& random;
  const Clock& clock;
  Log& log;
  NodeHost& host;
  TypeTeller* types = nullptr;  // none: nobody looks into files for their type
};

class Node final : public SessionEvents,
                   public ContentSink,
                   public ReplicaEvents,
                   public DownloadHost,
                   public UndoLinks,
                   public NodeControl,
                   public QueryHost,
                   public QuestionHost,
                   public UploadHost,
                   public RunKeys,
                   public ContentLocator {
 public:
  Node(const NodeConfig& config, const Identity& identity, const BootId& boot,
       const NodeParts& parts);
  ~Node() override;

  // The port that the endpoint got; before start().
  void set_port(std::uint16_t port) { config_.port = port; }
  // Ways for content beside the sessions; before start(). They outlive the node.
  void add_carrier(ContentCarrier& carrier) { carriage_->add_carrier(carrier); }
  void start(SessionTransport& transport, const LoadedIndex& loaded, Instant now);
  void turn(Instant now);
  Instant deadline() const;

  void on_beacon(const Address& from, ByteView datagram, Instant now, std::uint32_t interface = 0);
  void on_hint(const ChangeHint& hint, Instant now) { replica_->on_hint(hint, now); }
  void on_marker(const std::string& name);
  // A directory appeared by a rename: everything below it has another path now.
  void on_directory_moved(const std::string& path, Instant now) { replica_->look_below(path, now); }
  void on_watch_overflow(Instant now);
  // So many directories have no watch, for want of inotify watches. 0: all have.
  void set_unwatched(std::size_t directories, Instant now);
  // For how long what should take moments has waited for the disk.
  void on_disk_waits(Duration waits) { disk_.note(waits); }
  void on_stall(Instant now, Duration slept);
  // An interface was without a link for a moment: it may be on another network now.
  void on_link_lost(Instant now);
  // For so long the monotonic clock stood still.
  void on_suspended(Duration slept);
  // Before start() too. What is sent goes out on the new interfaces from here on.
  void on_network(const NetworkFacts& network, Instant now);
  // Goodbye. Then turn() until stopped() (or the caller's patience ends).
  void begin_stop(Instant now);
  bool stopped() const;

  // ---- SessionEvents
  // ---------------------------------------------------------------------------------
  void on_session_up(const SessionInfo& session) override;
  void on_session_down(SessionId id, CloseReason reason) override;
  void on_packet(SessionId id, Channel channel, ByteView bytes) override;
  void on_dial_failed(const Address& address, DialFailure failure, int peer_version) override;
  void on_refused(const Address& address, DialFailure failure, int peer_version) override;
  // ---- ContentSink
  // -----------------------------------------------------------------------------------
  bool has_room(SourceId source) override;
  void begin(SourceId source, std::uint32_t transfer, const std::string& name,
             std::uint64_t size) override;
  void chunk(SourceId source, std::uint32_t transfer, std::uint64_t number,
             ByteView bytes) override;
  BlockRoute route(SourceId source, std::uint32_t transfer, std::size_t bytes) override;
  Via block(SourceId source, std::uint32_t transfer, std::uint64_t first, Bytes data) override;
  void hole(SourceId source, std::uint32_t transfer, ByteRange range) override;
  void end(SourceId source, const TransferResult& result) override;
  // ---- ReplicaEvents
  // ---------------------------------------------------------------------------------
  void on_settled(const std::string& path) override;
  void on_fetch_failed(const std::string& path, const std::string& reason) override;
  void on_fetched(const ContentId& content, SourceId source, Via via) override;
  // ---- DownloadHost (node_download.cpp)
  // ----------------------------------------------------------------
  SessionId usable_session(const NodeId& node) const override;
  Status reach(const NodeId& node) override;
  std::string name_of(const NodeId& node) const override;
  std::string name_of_source(SourceId source) const override;
  bool has_sources() const override;
  void choose_carrier(const ContentId& content, CarrierChoice carrier) override;
  void forget_carrier(const ContentId& content) override;
  void downloaded(SessionId session, const std::string& peer, const std::string& name,
                  const std::string& arguments, const std::string& result) override;
  // ---- RunKeys (node_holds.cpp)
  PublicKey own_public_key() const override;
  Signature sign(ByteView message) const override;
  bool has_met(const PublicKey& key) const override;
  bool is_hub_session(SessionId session) const override;
  // ---- UndoLinks
  NodeId self() const override { return node_; }
  bool acts_as_hub() const override { return hub_->acting(); }
  std::vector<SessionId> undo_peers() const override;
  SessionId session_with(const NodeId& node) const override { return session_of(node); }
  std::string shown_name(const NodeId& node) const override { return name_of(node); }
  // ---- NodeControl (node_control.cpp)
  // ----------------------------------------------------------------
  StatusReport status() override;
  std::vector<PeerReport> peers() override;
  std::vector<ConflictReport> conflicts() override;
  std::vector<PlanReport> plan() override;
  Token doctor(Callback<DoctorFacts> done) override;
  std::vector<HoldReport> holds() override;
  void note_shown() override;
  Token confirm(HoldKind kind, const std::string& run, Callback<ActionReport> done) override;
  Token reject(const std::string& run, Callback<RejectReport> done) override;
  Result<ActionReport> pause() override;
  Result<ActionReport> resume() override;
  Result<ActionReport> rescan() override;
  Result<ActionReport> stop() override;
  Token trash(std::optional<WallTime> since, Callback<std::vector<TrashReport>> done) override;
  Token trash_restore(const TrashRestore& what, Callback<std::vector<TrashReport>> done) override;
  Token get(const std::vector<std::string>& names, Callback<ActionReport> done) override;
  Token drop(const std::vector<std::string>& names, Callback<ActionReport> done) override;
  Token download(const DownloadAsk& what, Callback<DownloadReport> done) override;
  void give_back(Token token) override;
  Token wait(const WaitAsk& what, Callback<StatusReport> done) override;
  void cancel(Token token) override;
  // ---- AskControl (node_ask.cpp)
  // ----------------------------------------------------------------------
  Token index(const IndexAsk& what, Rows<FileReport> rows, Callback<AskEnd> done) override;
  Token hash(const HashAsk& what, Rows<HashReport> rows, Callback<AskEnd> done) override;
  Token search(const SearchAsk& what, Rows<RecordReport> rows, Callback<AskEnd> done) override;
  Token history(std::optional<WallTime> since, Callback<std::vector<HistoryReport>> done) override;
  Token upload(const UploadAsk& what, Callback<UploadReport> done) override;
  std::vector<OfferReport> uploads() override { return uploads_->offers(); }
  Result<OfferReport> answer_upload(std::uint64_t id, bool allow) override {
    return uploads_->answer(id, allow, now_);
  }
  // ---- ContentLocator (node_ask.cpp): the folder, and what is offered from outside it
  // ---------------------------------
  std::optional<LocatedContent> locate(const ContentId& content, const std::string& hint) override;
  // ---- UploadHost (node_ask.cpp)
  // ----------------------------------------------------------------------
  std::optional<NodeId> node_of(SessionId session) const override;
  std::string carrier_to(SessionId session) const override;
  void journal(bool incoming, const NodeId& node, const std::string& command,
               const std::string& arguments, const std::string& result) override;
  // ---- QueryHost, QuestionHost (node_ask.cpp)
  // ---------------------------------------------------------
  void answer(SessionId session, const Message& message) override;
  std::vector<HolderInfo> holders_of(const std::string& path,
                                     const PathRecord& record) const override;
  void answered(SessionId session, const std::string& command, const std::string& arguments,
                const std::string& result) override;
  void ask(SessionId session, const Message& message) override;
  Instant last_heard(SessionId session) const override;
  Address address_of(SessionId session) const override;
  void lied(SessionId session, const std::string& what) override;
  void asked(const NodeId& node, const std::string& command, const std::string& arguments,
             const std::string& result) override;

  // For tests and oracles.
  const Replica& replica() const { return *replica_; }
  const Election& election() const { return *election_; }
  const Hub& hub() const { return *hub_; }
  const Client& client() const { return *client_; }
  bool in_sync() const;
  // What this node signs with, and the keys of the members that it met.
  const SigningKey& signer() const { return signer_; }
  const MetKeys& met_keys() const { return met_keys_; }
  // Whom a person means by `name` (--peer, --to). The error lists whom it could have been.
  Result<NodeId> find_peer(const std::string& name) const override;

 private:
  struct Peer {
    SessionInfo info;
    std::optional<Hello> hello;              // its last; none yet: not a member in our eyes
    EarlyPackets early;                      // what came before its hello
    bool greeted = false;                    // our hello or hi went out
    Instant renew_at = kNever;               // when a session that we opened gets new keys
    Instant content_at{};                    // when content was asked of it, or came from it, last
    Instant since{};                         // when its session came up
    std::optional<std::uint64_t> synced_at;  // the hub's sequence at which it said to be in sync
  };
  struct Wait {
    Token token = 0;
    WaitAsk what;
    std::string marker;
    bool noticed = false;  // the watcher reported the marker, or a scan was made instead
    Instant fallback_at{};
    bool scanning = false;
    std::uint64_t mark = 0;  // asked of the hub; 0: not yet
    bool marked = false;
    SessionId marked_with = 0;
    // On the hub: what members have to have, and in which reign.
    std::optional<std::uint64_t> seq;
    std::uint64_t term = 0;
    Callback<StatusReport> done;
  };

  // node_ask.cpp
  void start_asking();
  Result<NodeId> pick_peer(const std::string& name) const;
  bool on_question(SessionId id, const Message& message);
  void ask_step(Instant now);
  Instant ask_deadline() const;
  void ask_session_up(const SessionInfo& session);
  void ask_session_down(SessionId session, const NodeId& node, CloseReason reason);
  bool silent(SessionId session) const;
  bool ask_dial_failed(const Address& address, DialFailure failure);
  void find_types(Instant now);

  // node_sessions.cpp
  void dispatch(SessionId id, Peer& peer, Channel channel, ByteView bytes);
  void on_hello(SessionId id, Peer& peer, const Hello& hello);
  bool on_member_message(SessionId id, Peer& peer, const Message& message);
  bool on_hub_message(SessionId id, const Message& message);
  bool on_request(SessionId id, const Request& request);
  bool on_download(SessionId id, const Download& download);
  bool on_done(SessionId id, const Done& done);
  void send_hello(SessionId id, bool answer);
  void send_to_all(const Message& message);
  Hello make_hello(bool answer) const;
  PeerFacts facts_of(const Peer& peer) const;
  SessionId session_of(const NodeId& node) const;
  void ping(Instant now);
  bool synced_untold() const { return client_->hub() != 0 && synced_at_ != synced_told_; }
  void tell_synced(Instant now);
  void renew_sessions(Instant now);
  void send_requests();
  void send_roster();
  void queue_end(SourceId source, const TransferResult& result);
  void send_ends();
  bool within_limit();
  void spend(std::uint64_t bytes);
  // node_content.cpp
  void poll_carriers();
  void take_news(Carriage::News& news);
  void send_returned();
  void give_credit();
  void look_for_stuck();
  // node_sources.cpp
  void find_sources();
  void use_holders();
  void close_idle_content();
  void on_where(SessionId id, const Where& where);
  void name_holders(SessionId asker, const std::string& path, HolderItem& item) const;
  void on_holders(SessionId id, const Holders& holders);
  void on_coming(SessionId id, const Coming& coming);
  void note_published(SessionId id, const Update& update);
  void ask_for_coming();
  struct Along;
  RangeSet own_share(Along& along, const RangeSet& there);
  void note_asker(SessionId id, const ContentId& content);
  void forget_askers();
  // node_download.cpp
  CarrierChoice carrier_for(const ContentId& content) const;

  // node.cpp
  void pump(Instant now);
  void take_discovery_events(Instant now);
  void run_elections(Instant now);
  void perform(const ElectionAction& action, Instant now);
  void become_hub(const BecomeHubAction& action, Instant now);
  void follow(const FollowAction& action, Instant now);
  void use_beacon_key(const BeaconKey& key, bool store);
  void update_self(Instant now);
  void update_sources();
  DemandView demand_view() const;
  void note_sync(Instant now);
  // node_identity.cpp
  void check_identity(Instant now);
  void need_new_key(const std::string& reason, Instant now);
  void change_key(const std::string& reason, Instant now);
  void take_new_identity(const std::string& reason, Instant now);
  void stay_out(const std::string& reason, Instant now);
  void turn_outside(Instant now);
  std::string outside_reason() const;
  void end_sessions();
  void make_election(Instant now);
  bool is_own_key(const SessionInfo& session);
  bool vies(const SessionInfo& session);
  void judge_clones(Instant now);
  void tell_clone(SessionId session, bool live);
  bool states_its_past(SessionId id, const Peer& peer, const Hello& hello);
  bool has_unknown_count(const Update& update) const;
  void store_met_keys();
  void store_key_limit(Instant now);
  void admit(const SessionInfo& session);
  void check_waits(Instant now);
  void housekeeping(Instant now);
  NodeState state_and_reason(const std::vector<HoldReport>& held, std::string& reason) const;
  void start_holds();
  void step_holds(Instant now);
  std::string held_reason(const std::vector<HoldReport>& held) const;
  Result<ActionReport> confirm_network();
  // What others say of how long they have not seen this node, and what it can say of them.
  std::uint64_t away_of(const NodeId& node) const;
  std::uint64_t unsynced_of(const NodeId& node) const;
  void on_away(std::uint64_t away);
  void judge_absence(const Update& update);
  void note_contact(SessionId id, const Peer& peer);
  void keep_contacts();
  bool shares_with(SessionId id, const Peer& peer) const;
  std::string lonely_reason() const;
  void add_findings(DoctorFacts& facts);
  void add_state_findings(DoctorFacts& facts);
  std::set<NodeId> reached() const;

  // node_peers.cpp
  static constexpr std::size_t kMaxSameHost = 64;
  std::uint32_t known_nodes() const;
  std::map<NodeId, NamedPeer> named_peers() const;
  void add_turned_away(std::vector<PeerReport>& out) const;
  std::string version_notice() const;
  std::string same_host_notice() const;
  Complaint kept_out() const;
  // This machine lets nothing in or out, and nobody is reached all the same.
  bool cut_off() const { return (!network_.lan || !network_.problem.empty()) && reached().empty(); }
  // Members that were here and are not heard any more, without a goodbye.
  std::string missing_text() const;
  std::string silent_text() const;
  std::vector<std::string> not_asked() const;
  void start_guard(Instant now);
  void look_at_networks(Instant now);
  void hear(const Neighbour& neighbour, Instant now);
  void guard_step(Instant now);
  bool kept_apart() const;
  void meet(const Peer& peer);
  // node_company.cpp
  Ping make_ping(SessionId to) const;
  std::string held_at_hub() const;
  void tell_who_holds(Instant now);
  std::string held_elsewhere() const;
  void note_pusher_gone(SessionId id, const Peer& peer);
  void sample_progress(Instant now);
  void add_transfers(StatusReport& report);
  void add_progress(StatusReport& report) const;
  PeerBehind behind_of(SessionId id) const;
  std::string behind_reason(bool& moves) const;
  std::optional<bool> members_have(std::uint64_t seq, bool all, SessionId but) const;
  void answer_marks(Instant now);
  void tell_who_is_behind(PeopleView::AllMark& mark, Instant now);
  void on_mark_answer(const Mark& mark);
  std::uint64_t cannot_hold() const;
  void note_hub_gone();
  std::uint64_t only_here() const;
  std::string only_here_text() const;

  NodeConfig config_;
  SigningKey signer_;
  NodeId node_;  // of signer_
  BootId boot_;
  MetKeys met_keys_;
  KeyLimit key_limit_;
  Instant key_limit_written_{};
  CloneWatch clones_;
  DiskSilence disk_;
  std::string outside_;       // why this node stays out of the group; empty: it does not
  bool run_durable_ = false;  // others may hear of this run
  bool count_doubt_ = false;  // the group has a count of ours that we do not know
  std::string copied_;        // why a new key is needed from the start
  NodeParts parts_;
  bool fresh_ = false;
  std::map<std::string, std::string> identity_meta_;
  SessionTransport* transport_ = nullptr;
  Instant now_{};

  std::unique_ptr<Discovery> discovery_;
  std::unique_ptr<Election> election_;
  std::unique_ptr<Fetcher> fetcher_;
  std::unique_ptr<Replica> replica_;
  std::unique_ptr<Provider> provider_;
  std::unique_ptr<Carriage> carriage_;
  SourceFinder finder_;
  Contacts contacts_;
  // What is fetched along with the hub: which pieces of it are ours to ask for.
  struct Along {
    std::uint16_t part = 0;
    std::uint16_t parts = 1;
    RangeSet seen;     // there at `since`
    RangeSet settled;  // there for a while
    Instant since{};
  };
  std::map<ContentId, Along> along_;
  Instant next_coming_ask_ = kNever;  // what the hub has by now of what it is fetching
  bool find_due_ = false;             // something changed that find_sources() should see now
  std::map<Address, NodeId> content_dials_;
  std::set<SessionId> content_sessions_;                   // dialled for content alone
  std::set<std::pair<SessionId, ContentId>> parts_known_;  // sources that have part of it
  // Hub: who asks for a content lately, and so has part of it.
  std::map<ContentId, std::map<SessionId, Instant>> fetching_;
  std::optional<std::uint64_t> synced_at_;  // the hub's sequence at which we were in sync, if ever
  std::optional<std::uint64_t> synced_told_;  // and what the hub was told of it
  Instant tell_synced_at_{};                  // not before
  std::unique_ptr<Outbox> outbox_;
  std::unique_ptr<Hub> hub_;
  std::unique_ptr<Client> client_;
  std::unique_ptr<NetworkGuard> guard_;
  std::unique_ptr<Demand> demand_;
  std::unique_ptr<Downloads> downloads_;
  std::map<ContentId, CarrierChoice> carrier_of_;  // chosen for a download
  std::unique_ptr<Undo> undo_;
  std::unique_ptr<RunDecisions> decisions_;
  std::unique_ptr<RunMender> mender_;
  std::unique_ptr<HeldThings> holds_;
  std::unique_ptr<ContentTypes> types_;
  std::unique_ptr<Journal> journal_;
  std::unique_ptr<Queries> queries_;
  std::unique_ptr<Questions> questions_;
  std::unique_ptr<Uploads> uploads_;

  std::vector<Message> to_self_;         // questions to ourselves, and their answers
  std::map<Address, NodeId> ask_dials_;  // to ask them something
  std::map<SessionId, Instant> direct_;  // opened for that, and when last used
  std::map<SessionId, std::string> asked_by_;
  std::set<NodeId> ask_again_;  // dialled anew when their dead session is closed
  std::string types_at_;        // how far the walk for unknown types has come
  bool types_more_ = false;
  std::uint64_t types_state_ = 0;
  Instant types_write_at_{};

  std::map<SessionId, Peer> sessions_;
  std::map<Address, NodeId> dials_;
  std::map<NodeId, RosterRow> roster_;  // the hub's last, for names and addresses
  struct Lost {
    RosterRow row;
    Instant since{};
    bool silent = false;  // without a goodbye
  };
  std::map<NodeId, Lost> lost_;
  std::vector<NodeId> sent_succession_;
  std::size_t sent_roster_rows_ = 0;
  std::uint32_t roster_number_ = 0;
  PeopleView people_;
  std::map<NodeId, Instant> same_host_;  // members on this machine, and since when
  std::optional<BeaconKey> beacon_key_;
  std::string roles_refused_;
  std::size_t unwatched_ = 0;
  Beacon last_self_;
  Rank last_rank_;
  bool hub_lost_ = false;
  bool last_in_sync_ = false;
  std::uint64_t durable_term_ = 0;  // term whose persistence was answered by the index
  std::vector<std::uint64_t> durable_terms_;
  std::vector<Wait> waits_;
  std::map<Token, Callback<DoctorFacts>> examinations_;
  NetworkFacts network_;
  Instant network_lost_{};  // when `lan` was last seen go
  Instant alone_since_{};   // no session since
  Token next_token_ = 1;
  std::uint64_t next_mark_ = 1;
  std::map<SessionId, std::vector<TransferEnd>> ends_;
  Bytes chunk_buffer_;
  Instant next_ping_ = kNever;
  Instant next_networks_ = kNever;
  bool told_held_ = false;
  double allowance_ = 0;  // --limit: bytes that may go out now
  Instant allowance_at_{};
  bool limited_ = false;  // something waits for the allowance
  Instant next_housekeeping_ = kNever;
  bool stopping_ = false;
  std::uint64_t rejected_ = 0;
  std::uint64_t payload_sent_ = 0;
  std::uint64_t chunks_sent_ = 0;
  std::uint64_t chunks_resent_ = 0;
  std::uint64_t resent_charged_ = 0;  // of the carriers' resent chunks: paid from the limit
};

}  // namespace lansync
