"""From what happens outside to sessions: events, the triggers that they meet, and schedules."""

from perdure_server.coordinator.triggering.dispatcher import Dispatcher
from perdure_server.coordinator.triggering.incoming import Accepted, Incoming, event_json

__all__ = ["Accepted", "Dispatcher", "Incoming", "event_json"]
