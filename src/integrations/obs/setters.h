// Setters: small settings that OBS takes at once: mute, visibility, text. Each is read back.
//
// Threads: one.

#ifndef STATE_ENGINE_INTEGRATIONS_OBS_SETTERS_H_
#define STATE_ENGINE_INTEGRATIONS_OBS_SETTERS_H_

#include <string>

#include "integrations/obs/desk.h"

namespace state_engine::obs {

void set_mute(Desk& desk, Ticket ticket, const Command& command);
void set_text(Desk& desk, Ticket ticket, const Command& command);
// `scene` holds the source.
void set_source_visible(Desk& desk, Ticket ticket, const Command& command, std::string scene);

}  // namespace state_engine::obs

#endif  // STATE_ENGINE_INTEGRATIONS_OBS_SETTERS_H_
