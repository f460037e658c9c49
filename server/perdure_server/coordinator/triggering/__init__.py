"""From what happens outside to sessions: events, the triggers that they meet, and schedules."""

from perdure_server.coordinator.triggering.dispatcher import Dispatcher
from perdure_server.coordinator.triggering.presenting import event_json

__all__ = ["Dispatcher", "event_json"]
