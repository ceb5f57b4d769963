"""Who tells a kept answer, and which Slack message an event is about.

Two bots may find the same answer untold: the lease lets one of them tell it. An edit may arrive before what it edits, and
either of them twice: all events about one Slack message are found by `about`, and the newest `edition` counts.
"""

UP = r"""
ALTER TABLE slack_events
    ADD COLUMN about text NOT NULL DEFAULT '',    -- team/channel/ts of the message; empty where it says nothing new
    ADD COLUMN edition text NOT NULL DEFAULT '',  -- ts of the edit; empty as first written; 'deleted' sorts behind all
    ADD COLUMN lease_token uuid,                  -- whose it is to tell the answer
    ADD COLUMN lease_expires_at timestamptz;
CREATE INDEX slack_events_about_idx ON slack_events (about) WHERE about <> '';
GRANT UPDATE (lease_token, lease_expires_at) ON slack_events TO switchboard_bot;
"""

DOWN = r"""
DROP INDEX slack_events_about_idx;
ALTER TABLE slack_events DROP COLUMN about, DROP COLUMN edition, DROP COLUMN lease_token, DROP COLUMN lease_expires_at;
"""
