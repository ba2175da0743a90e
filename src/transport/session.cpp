#include "transport/session.h"

namespace lansync {

const char* to_string(CloseReason reason) {
  switch (reason) {
    case CloseReason::kLocal:
      return "closed here";
    case CloseReason::kRemote:
      return "closed by the other side";
    case CloseReason::kTimeout:
      return "nothing was heard";
    case CloseReason::kPeerViolation:
      return "it broke the protocol";
    case CloseReason::kReplaced:
      return "replaced by another session";
  }
  return "unknown";
}

const char* to_string(DialFailure failure) {
  switch (failure) {
    case DialFailure::kNoAnswer:
      return "no answer";
    case DialFailure::kNoHandshake:
      return "something answers there, but the handshake gets no answer";
    case DialFailure::kBusy:
      return "busy, try again";
    case DialFailure::kWrongPassword:
      return "another password";
    case DialFailure::kProtocol:
      return "another protocol version";
    case DialFailure::kSelf:
      return "this node itself";
    case DialFailure::kIdentity:
      return "it is not the node that it says it is";
  }
  return "unknown";
}

}  // namespace lansync
