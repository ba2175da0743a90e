// One machine of a simulated world: disk, index, clock and address, which last, and the node that
// runs on them from start() to stop(), kill() or power_cut(). Wired as src/app/running_node.cpp
// wires the program.
//
// Invariant: a turn happens when something arrived or a deadline came, never twice at one instant.
// Owned and driven by World.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/log.h"
#include "base/random.h"
#include "roles/node.h"
#include "sim/carriers.h"
#include "sim/clock.h"
#include "sim/disk.h"
#include "sim/executor.h"
#include "sim/index_store.h"
#include "sim/network.h"
#include "sim/oracle.h"
#include "sim/trace.h"
#include "transport/enet_endpoint.h"

namespace lansync::sim {

struct NodeOptions {
  ManualRole role = ManualRole::kAuto;
  Duration settle = 500ms;
  Duration settle_max = 4s;
  Duration rescan = 30s;
  MaxDeletes max_deletes = default_max_deletes();
  bool on_demand = false;
  std::uint8_t disk_log2 = 5;
  // Of a million events of the watcher so many are lost without a word.
  std::uint32_t lost_hints = 0;
  // What the index records as its place (machine and inode): "" is the node's name. A cloned disk
  // has its original's.
  std::string place;
  std::uint8_t protocol = kProtocolVersion;
  std::uint8_t password = 0;  // another number is another password
  Duration session_life = 24h;
  std::uint64_t max_file_size = 0;
  UploadAnswer uploads = UploadAnswer::kAllow;
  // Lane and tcp beside the sessions, and what this node asks for.
  bool carriers = false;
  bool second_lan = false;  // before the first start
  CarrierChoice carrier = CarrierChoice::kAuto;
};

class SimNode final : public NodeHost, private Log, private BeaconSocket {
 public:
  SimNode(EventQueue& queue, Network& network, Trace& trace, Oracle& oracle, std::string name,
          std::uint32_t number, std::uint64_t seed);
  ~SimNode() override;

  const std::string& name() const { return name_; }
  std::uint32_t ip() const { return ip_; }
  std::uint32_t second_ip() const { return ip_ + 0x10000; }  // 10.1.0.x, if it is on both LANs
  std::vector<std::uint32_t> ips() const;
  NodeOptions& options() { return options_; }
  SimDisk& disk() { return disk_; }
  const SimDisk& disk() const { return disk_; }
  SimIndexStore& store() { return store_; }
  SimClock& clock() { return clock_; }
  // How many lines of its log, from info up, have `part` in them, over all of its runs.
  std::size_t said(std::string_view part) const;
  // The first line by which it said that a peer breaks the rules; no honest one does.
  const std::string& accused() const { return accused_; }
  // Requires: running().
  Node& node() { return *running_->node; }
  SimExecutor& executor() { return *running_->executor; }

  // ---- the program
  // -------------------------------------------------------------------------------
  bool running() const { return running_ != nullptr; }
  void start();
  void kill();       // as by SIGKILL
  void power_cut();  // and what was not durable is lost, as the seed says
  // Dies at its n-th operation on the disk from now.
  void kill_after_operations(std::uint64_t n, bool with_power);
  // The process is stopped (SIGSTOP, a laptop's lid) until that instant.
  void freeze(Duration how_long);
  // What the kernel tells of the cable.
  void tell_network(bool plugged);

  // ---- what lasts
  // --------------------------------------------------------------------------------
  struct Backup {
    SimDisk::Image disk;
    SimIndexStore::Contents index;
  };
  Backup backup() const { return {disk_.backup(), store_.contents()}; }
  void restore(const Backup& backup);  // Requires: !running()
  void lose_index();                   // Requires: !running()
  void lose_private();                 // tmp and trash go. Requires: !running()
  // Rot or a power cut left bytes that no stat tells of: only reading everything anew finds them.
  bool hidden_damage() const { return hidden_damage_; }
  // So many of a million commits of the index fail; of the rest a quarter as many are durable and
  // fail all the same.
  void set_commit_errors(std::uint32_t rate) { commit_errors_ = rate; }
  // No fault of the machine's lasts: disk, index, room, cable.
  void make_whole();
  // Bytes of a file change on the disk, and nothing tells of it. False: no such file.
  bool rot(const std::string& path);
  // Another machine-id and inode, as after a copy to another machine.
  void move_place() { ++place_; }

  // ---- a person at the keyboard
  // ------------------------------------------------------------------
  bool write(const std::string& path, std::string_view text);
  // A writer that holds the file open: at each step the whole text so far; `closes`: the last one.
  bool write_on(const std::string& path, std::string_view text, bool closes);
  void note_written(const std::string& path, const std::optional<Bytes>& before,
                    const Bytes& bytes);
  bool save(const std::string& path, std::string_view text);
  bool append(const std::string& path, std::string_view text);
  // As a program does that restores the time of what it writes (touch -r).
  bool rewrite(const std::string& path, std::string_view text);
  bool rename(const std::string& from, const std::string& to);
  bool erase(const std::string& path);
  bool make_folder(const std::string& path);
  bool chmod(const std::string& path, std::uint16_t mode);
  bool link(const std::string& path, const std::string& target);
  bool touch(const std::string& path, std::int64_t mtime_ns);
  bool rewrite_quietly(const std::string& path, std::string_view text);
  bool make_pipe(const std::string& path);
  bool set_readable(const std::string& path, bool readable);
  // Commands; `done` gets "" or why not, perhaps never (the node dies first).
  using Answer = std::function<void(const std::string& why_not)>;
  void get(const std::string& path, Answer done = {});
  void drop(const std::string& path, Answer done = {});
  void download(const DownloadAsk& what, std::function<void(const Result<DownloadReport>&)> done);
  // All that is held here, as it is now.
  void confirm();
  // Of deletes, that run, or all that are held ("").
  void confirm_deletes(const std::string& run, NodeControl::Callback<ActionReport> done);
  void reject(const std::string& run = "", NodeControl::Callback<RejectReport> done = {});
  void pause();
  void resume();
  void rescan();
  void restore_from_trash(const std::string& path);
  // A file of that name and text, which stands outside the folder.
  void upload(const std::string& name, const std::string& text, SimNode& to);
  void answer_uploads(bool allow);
  void check_all(SimNode& at, bool repair);
  std::string text(const std::string& path) const;  // "" if there is none
  bool has(const std::string& path) const;

  // ---- for predicates
  // ----------------------------------------------------------------------------
  bool in_sync() const { return running() && running_->node->in_sync(); }
  // Or nothing is left but what the hub refuses, and the status says why: a person's turn.
  bool settled() const;
  // Pushes that the hub refuses.
  std::size_t refused() const;
  Role role() const { return running() ? running_->node->election().role() : Role::kNone; }
  std::uint64_t payload_sent() const;
  std::uint64_t turns() const { return turns_; }
  // Handshakes that were completed, since the first start.
  std::uint64_t handshakes() const { return handshakes_; }
  void set_on_operation(std::function<void(const std::string&, const std::string&)> hook) {
    on_operation_ = std::move(hook);
  }

  // ---- NodeHost
  // ----------------------------------------------------------------------------------
  bool place_marker(const std::string& name) override;
  void on_new_identity(const SigningKey& signer) override {
    running_->endpoint->set_signer(signer);
  }
  // As by SIGTERM: goodbye first; running() goes false within 1.5 s.
  void stop() override;
  void doctor(std::function<void(DoctorFacts)> done) override { done({}); }
  std::vector<lansync::Network> networks() override;
  Result<std::unique_ptr<ReadFile>> open_outside(const std::string& path) override;

 private:
  struct Running {
    std::unique_ptr<Prng> random;
    std::unique_ptr<SimExecutor> executor;
    std::vector<std::unique_ptr<ContentCarrier>> carriers;  // outlive the node
    std::unique_ptr<Node> node;
    std::unique_ptr<EnetEndpoint> endpoint;
    struct HeardBeacon {
      Address from;
      Bytes bytes;
      std::uint32_t interface = 0;
    };
    std::vector<HeardBeacon> beacons;
    std::vector<std::function<void(Instant)>> watched;  // events of the watcher, in order
    bool stop_asked = false;
    Instant stop_deadline = kNever;
  };

  void write(LogLevel level, std::string_view line) override;
  void broadcast(ByteView datagram) override;
  void on_beacon(const Address& from, const Bytes& bytes, std::uint32_t interface);
  void watch(std::function<void(Instant)> event);
  void on_hint(const ChangeHint& hint);
  void on_operation(const std::string& operation, const std::string& subject);
  void wake(Instant when);
  void turn();
  void end(const char* how);
  void add_carriers();
  NetworkFacts network_facts(bool plugged) const;
  // A person's command to the running node; what it answers goes into the trace.
  void command(const std::string& what, const std::function<std::string(Node&)>& run);

  EventQueue& queue_;
  Network& network_;
  Trace& trace_;
  Oracle& oracle_;
  std::string name_;
  std::uint32_t ip_;
  Prng random_;
  NodeOptions options_;
  SimClock clock_;
  SimDisk disk_;
  SimIndexStore store_;
  std::unique_ptr<Running> running_;
  std::uint64_t starts_ = 0;
  std::uint64_t place_ = 0;
  std::uint64_t turns_ = 0;
  std::uint64_t handshakes_ = 0;
  std::string accused_;
  std::deque<std::string> log_lines_;  // the last few thousand from info up
  Instant wake_at_ = kNever;
  std::uint64_t wake_number_ = 0;
  Instant last_turn_{};
  Instant last_watched_{};
  Instant frozen_until_{};
  Instant expected_{};
  bool dies_with_power_ = false;
  std::uint32_t commit_errors_ = 0;
  bool hidden_damage_ = false;
  std::map<std::string, Bytes> outside_;  // a person's files that are not in the folder
  std::function<void(const std::string&, const std::string&)> on_operation_;
};

}  // namespace lansync::sim
