"""What Slack sends, as the row that is kept of it; what is read later from a thread makes the same rows."""

from operations.slack_events import Body, event_id_of, incoming, team_of

__all__ = ["Body", "event_id_of", "incoming", "team_of"]
