// Writes the corpora of cookie_fuzz, handshake_fuzz and intercept_fuzz: one file for each message
// and each command, so that a fuzzer starts inside the formats. Not built by default; run by hand
// when a format changes: make_security_corpus tests/fuzz/corpus
#include <filesystem>
#include <fstream>

#include "transport/cookie.h"
#include "unit/transport/security_support.h"

namespace {

using namespace lansync;

void save(const std::filesystem::path& folder, const char* name, const Bytes& bytes) {
  std::filesystem::create_directories(folder);
  std::ofstream out(folder / name, std::ios::binary);
  out.write(reinterpret_cast<const char*>(bytes.data()),
            static_cast<std::streamsize>(bytes.size()));
}

Bytes datagram_record(std::uint8_t address, const Bytes& datagram) {
  ByteWriter out;
  out.u8(address);
  out.u8(1);
  out.u16(static_cast<std::uint16_t>(datagram.size()));
  out.raw(datagram);
  return out.take();
}

// One message, or (empty) the honest peer's.
void append_message(Bytes& script, const Bytes& message) {
  std::size_t length = message.empty() ? 0xFFFF : message.size();
  script.push_back(static_cast<std::uint8_t>(length >> 8));
  script.push_back(static_cast<std::uint8_t>(length));
  script.insert(script.end(), message.begin(), message.end());
}

void handshakes(const std::filesystem::path& folder) {
  Prng random(2);
  Handshake a(HandshakeRole::kInitiator, test::node_config(3, 8), random);
  Handshake b(HandshakeRole::kResponder, test::node_config(4, 8), random);
  Bytes m1 = a.start();
  Bytes m2 = *b.on_message(m1).send;
  Bytes m3 = *a.on_message(m2).send;
  Bytes m4 = *b.on_message(m3).send;
  Bytes responder{0}, initiator{1};
  append_message(responder, m1);
  append_message(responder, m3);
  append_message(initiator, m2);
  append_message(initiator, m4);
  save(folder, "responder", responder);
  save(folder, "initiator", initiator);
  responder = {0};
  initiator = {1};
  for (Bytes* script : {&responder, &initiator}) append_message(*script, {});
  append_message(responder, m3);
  append_message(initiator, m4);
  save(folder, "responder_honest_peer", responder);
  save(folder, "initiator_honest_peer", initiator);
  Bytes refusals{1};
  append_message(refusals, {2, 9});
  save(folder, "initiator_refused", refusals);
}

void cookies(const std::filesystem::path& folder) {
  CookieNonce nonce;
  nonce.bytes.fill(5);
  save(folder, "hello", encode_cookie(CookieHello{nonce}));
  save(folder, "challenge", encode_cookie(CookieChallenge{nonce, {}}));
  save(folder, "answer", encode_cookie(CookieAnswer{nonce, {}, {}}));
  save(folder, "busy", encode_cookie(CookieBusy{nonce}));
}

void datagrams(const std::filesystem::path& folder) {
  using test::Datagram;
  save(folder, "connect", datagram_record(2, Datagram(0xFFF).connect(8).bytes()));
  save(folder, "verify", datagram_record(3, Datagram(0).verify_connect().bytes()));
  save(folder, "m1", datagram_record(2, Datagram(0).ack().reliable(0, 1, 140).bytes()));
  save(folder, "records", datagram_record(1, Datagram(0).reliable(1, 9, 40).ack().ping().bytes()));
  save(folder, "fragment", datagram_record(1, Datagram(0).fragment(2, 0, 300, 0, 150).bytes()));
  save(folder, "leave", datagram_record(1, Datagram(0).disconnect().bytes()));
  save(folder, "limits",
       datagram_record(
           2, Datagram(0).command(10, 0xFF, 1).zeros(8).command(11, 0xFF, 2).zeros(12).bytes()));
  save(folder, "hello", datagram_record(4, encode_cookie(CookieHello{})));
  save(folder, "unreliable", datagram_record(1, Datagram(0).command(7, 0, 1).zeros(4).bytes()));
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) return 2;
  std::filesystem::path corpus(argv[1]);
  cookies(corpus / "cookie_fuzz");
  handshakes(corpus / "handshake_fuzz");
  datagrams(corpus / "intercept_fuzz");
  return 0;
}
