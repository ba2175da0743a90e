#include "roles/reach.h"

#include "base/log.h"

namespace lansync {

std::string session_ports(std::uint16_t port) { return str(port, "-", port + 1); }

std::string why_silent(const SilentNode& node, const OurPorts& ports) {
  std::string who =
      str(printable(node.name, 64), " (", ip_to_string(node.address.ip), ")",
          node.is_hub ? " is a hub and" : "", " is heard here, but does not answer: ");
  // Both directions are open then: no firewall, whatever the beacons say.
  if (node.answers) {
    return str(printable(node.name, 64), " (", ip_to_string(node.address.ip), ")",
               node.is_hub ? " is a hub and" : "",
               " answers, but the handshake with it does not come to an end: it is overloaded, or "
               "longer packets are lost on the way");
  }
  if (node.hears_us == false) {
    return str(who, "it does not hear us; what this machine sends, UDP ", ports.beacon,
               " (beacons) and UDP ", node.address.port, " (sessions), does not arrive there");
  }
  if (node.hears_us == true) {
    // It says so for as long as it remembers us: a firewall may have come up since.
    return str(who, "it hears our beacons (UDP ", ports.beacon,
               "), or did a minute ago, but sessions (UDP ", node.address.port,
               ") do not get through in one direction");
  }
  return str(who, "what this machine sends to it (UDP ", node.address.port,
             ") does not arrive, or its answers do not come back");
}

std::string why_busy(const SilentNode& node) {
  const std::string name = printable(node.name, 64);
  return str(name, " (", ip_to_string(node.address.ip),
             ") answers, but tries no password at this moment: too many were wrong in the last "
             "minute, or too many nodes come at once; it is asked again by itself. If this node's "
             "was one of those, it has another password than ",
             name, ": start it with that one (--password-file FILE, or $LANSYNC_PASSWORD)");
}

std::string silence_advice(const SilentNode& node, const OurPorts& ports) {
  std::string there = printable(node.name, 64);
  if (node.answers)
    return str("`lansync doctor` here and on ", there, " looks at the length of packets (MTU)");
  std::string way_round =
      str("; or start lansync on ", there, " with --peer and this machine's address, port ",
          ports.session, ": a firewall that stops what comes in lets the answers to that pass");
  if (node.hears_us == true) {
    return str("let incoming UDP ", session_ports(node.address.port), " through on ", there,
               " and UDP ", session_ports(ports.session), " here, and UDP ", ports.beacon,
               " (beacons) on both (`lansync doctor` names the command)", way_round);
  }
  return str("let incoming UDP ", ports.beacon, " and ", session_ports(node.address.port),
             " through on ", there, " (`lansync doctor` there names the command)", way_round);
}

}  // namespace lansync
