// Whether bytes are a message at all, where nothing of it is stored: parts that were overwritten by later ones, items of a
// resource that is rejected, entries beyond a limit. Protobuf parses those too, and a request is malformed wherever it is.
#ifndef DUOSCOPE_MESSAGES_H
#define DUOSCOPE_MESSAGES_H

#include "wire/otlp_fields.h"

bool is_message(bytes message, enum otlp_message kind);

// What a field of a message holds.
enum otlp_message held_by(enum otlp_message kind, uint32_t field_number);

#endif
