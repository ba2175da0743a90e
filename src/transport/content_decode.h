// Reading the messages that move content and tell who has it: the part of message_decode.cpp that
// is about them. Invariant: nullopt means that the type is none of these, and nothing was read.
#pragma once

#include <optional>
#include <string_view>

#include "transport/message.h"
#include "transport/message_fields.h"

namespace lansync::wire {

std::optional<Message> read_content_message(std::string_view type, const Object& object,
                                            Fault& fault);

}  // namespace lansync::wire
