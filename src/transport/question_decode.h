// Reading the questions and answers of question_messages.h: the part of message_decode.cpp that is
// about them. Invariant: nullopt means that the type is none of these, and nothing was read.
#pragma once

#include <optional>
#include <string_view>

#include "transport/message.h"
#include "transport/message_fields.h"

namespace lansync::wire {

std::optional<Message> read_question(std::string_view type, const Object& object, Fault& fault);

}  // namespace lansync::wire
