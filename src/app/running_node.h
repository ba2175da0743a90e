// A node with everything around it: folder, index, sockets, watcher, control socket, view. Made by
// run_node, lives until the loop ends.
//
// Invariant: everything below runs on the loop's thread except jobs of the worker pool, and the
// pool is shut down before anything that jobs touch goes away (the order of members sees to it).
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "app/control_socket.h"
#include "app/disk_watch.h"
#include "app/environment.h"
#include "app/settings.h"
#include "app/terminal_view.h"
#include "base/result.h"
#include "platform/beacon_socket.h"
#include "platform/confined_file_system.h"
#include "platform/event_loop.h"
#include "platform/inotify_watcher.h"
#include "platform/interfaces.h"
#include "platform/last_resort.h"
#include "platform/magic_types.h"
#include "platform/network_facts.h"
#include "platform/os_random.h"
#include "platform/sqlite_index_store.h"
#include "platform/system_clock.h"
#include "platform/worker_pool.h"
#include "roles/node.h"
#include "transport/content_carrier.h"
#include "transport/enet_endpoint.h"

namespace lansync {

class RunningNode final : public NodeHost {
 public:
  // Every error is one line for the person who started it.
  static Result<std::unique_ptr<RunningNode>> open(const RunOptions& options,
                                                   const Environment& environment, Log& log);
  ~RunningNode() override;

  // Until stop(), a signal, or an error of the loop. Goodbye included.
  int run(TerminalView* view);

  bool place_marker(const std::string& name) override;
  void on_new_identity(const SigningKey& signer) override;
  void stop() override;
  void doctor(std::function<void(DoctorFacts)> done) override;  // running_doctor.cpp
  std::vector<Network> networks() override;
  Result<std::unique_ptr<ReadFile>> open_outside(const std::string& path) override;

 private:
  RunningNode(const RunOptions& options, Log& log) : options_(options), log_(log) {}
  Status open_folder();
  Status open_network();
  Status open_node();
  Status open_control(const Environment& environment);
  void open_watcher();
  Result<std::unique_ptr<EnetEndpoint>> open_endpoint(const Identity& identity, const BootId& boot);
  Result<std::unique_ptr<EnetEndpoint>> open_sockets(const EndpointOptions& options);
  std::vector<Address> resolve_peers();
  void bind_sessions(int fd);
  // Tells the node what the network looks like, if that changed (running_doctor.cpp).
  void update_network(Instant now);
  NetworkFacts network_facts() const;
  DoctorFacts machine_facts() const;
  void add_differences(DoctorFacts& facts) const;
  void on_watch_event(const WatchEvent& event);
  void look_after_control();
  Instant on_turn(const Turn& turn, TerminalView* view);

  Status open_last_resort();

  // Goes last: it ends the process if one of the others does not come to an end.
  std::unique_ptr<LastResort> last_resort_;
  RunOptions options_;
  Log& log_;
  SystemClock clock_;
  OsRandom random_;
  MagicTypes types_;
  std::unique_ptr<EventLoop> loop_;
  std::unique_ptr<ConfinedFileSystem> files_;
  std::unique_ptr<SqliteIndexStore> store_;
  LoadedIndex loaded_;
  std::unique_ptr<InterfaceMonitor> interfaces_;
  NetworkReader network_reader_;
  std::unique_ptr<UdpBeaconSocket> beacons_;
  std::unique_ptr<InotifyWatcher> watcher_;
  std::unique_ptr<WorkerPool> workers_;
  std::unique_ptr<DiskWatch> disk_;
  std::vector<std::unique_ptr<ContentCarrier>> carriers_;
  std::unique_ptr<Node> node_;
  std::unique_ptr<EnetEndpoint> endpoint_;
  std::unique_ptr<ControlServer> control_;
  std::unique_ptr<ControlServer> refuge_;  // while the folder, and control_'s socket, are gone
  RuntimeDir runtime_dir_;
  bool stop_asked_ = false;
  Instant stop_deadline_ = kNever;
  bool watch_overflow_ = false;
  bool trimmed_ = false;
  bool bind_device_ = false;  // one --interface: sessions go over it alone
  int bind_error_ = 0;
  Instant next_deaf_check_{};
  bool unwatched_all_ = false;  // there is no watcher
  Instant next_watch_retry_{};
};

}  // namespace lansync
