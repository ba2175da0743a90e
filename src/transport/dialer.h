// The dials that are under way, up to the point where ENet's CONNECT may go out: the address
// cookie is asked for (LSH1), comes back (LSC1), and is shown again (LSA1). InterceptFilter makes
// and checks the datagrams; this decides when they go out.
//
// Invariant: one dial an address, each over kDialTimeout after its first service.
// No socket and no clock in it: EnetEndpoint drives it and sends what it gives out.
#pragma once

#include <cstddef>
#include <functional>
#include <map>
#include <vector>

#include "base/address.h"
#include "base/bytes.h"
#include "base/random.h"
#include "base/time.h"
#include "transport/intercept_filter.h"
#include "transport/session.h"

namespace lansync {

inline constexpr Duration kDialTimeout = 1500ms;
// A group of 1,000 nodes dials one candidate each; more than this many at once is a bug above us.
inline constexpr std::size_t kMaxDials = 1024;

class Dialer {
 public:
  using Send = std::function<void(const Address&, ByteView)>;
  struct Over {
    Address address;
    DialFailure failure;
  };

  Dialer(InterceptFilter& filter, RandomSource& random) : filter_(&filter), random_(&random) {}

  // Does nothing if there is one to that address. False if the table is full.
  bool start(const Address& address);
  bool contains(const Address& address) const { return dials_.contains(address); }
  bool empty() const { return dials_.empty(); }

  // What a datagram brought (InterceptFilter::take_dial_event). True: connect now. kSelf is the
  // caller's to report.
  bool on_event(const DialEvent& event, const Send& send, Instant now);
  // Sends what is due. Dials whose time is up are removed and returned.
  std::vector<Over> service(Instant now, const Send& send);
  Instant deadline() const;
  // ENet has the connection: nothing more to resend.
  void connected(const Address& address);
  // The dial came to an end of another kind.
  void remove(const Address& address);

 private:
  struct Dial {
    bool begun = false;   // service() has seen it: `ends` and `next_send` are set
    bool quiet = false;   // connected
    bool cookie = false;  // something answers there
    bool busy = false;    // the other side said so, last
    Bytes shown;          // LSA1, once there is a cookie
    int asked = 0;
    Instant next_send;
    Instant ends;
  };
  InterceptFilter* filter_;
  RandomSource* random_;
  std::map<Address, Dial> dials_;
};

}  // namespace lansync
