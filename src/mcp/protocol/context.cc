#include "mcp/protocol/context.h"

namespace state_engine::mcp {

void RequestContext::report_progress(double progress, std::optional<double> total,
                                     std::string_view message) {
  if (!progress_sink || progress <= last_progress || cancel.cancelled()) return;
  last_progress = progress;
  progress_sink(progress, total, message);
}

}  // namespace state_engine::mcp
