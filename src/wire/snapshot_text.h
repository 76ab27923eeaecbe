// The JSON text of a snapshot that lies packed in a page.

#ifndef STATE_ENGINE_WIRE_SNAPSHOT_TEXT_H_
#define STATE_ENGINE_WIRE_SNAPSHOT_TEXT_H_

#include <string>

#include "core/snapshot_page.h"

namespace state_engine::wire {

// Appends what write_snapshot_to() (json_codec.h) gives for snapshot.share(); a packed value is
// copied as it is. REQUIRES: refers to a snapshot.
void write_snapshot_to(std::string& out, SnapshotRef snapshot);

}  // namespace state_engine::wire

#endif  // STATE_ENGINE_WIRE_SNAPSHOT_TEXT_H_
