"""What the way in needs: a look from lane to lane, and when the newest message shown in a conversation was written."""

# Open rows by position alone served a search that read all rows of a lane to find one of the next. Without statistics,
# as when a backlog has just gathered, it is still taken for the shorter way, and that costs a tenth of a second a look.
LOOKS = r"""
DROP INDEX webhook_events_due_idx;
DROP INDEX slack_events_due_idx;
"""

# By WhatsApp's clock, which counts whole seconds; what is far ahead of ours is left out.
WRITTEN = r"""
ALTER TABLE conversations ADD COLUMN newest_written_at timestamptz;
"""

UP = LOOKS + WRITTEN

DOWN = r"""
ALTER TABLE conversations DROP COLUMN newest_written_at;
CREATE INDEX slack_events_due_idx ON slack_events (position) WHERE kind = 'event' AND processed_at IS NULL AND parked_at IS NULL;
CREATE INDEX webhook_events_due_idx ON webhook_events (position) WHERE processed_at IS NULL AND parked_at IS NULL;
"""
