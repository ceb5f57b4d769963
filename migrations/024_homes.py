"""When it was last looked whether a person's home in Slack still shows what is so; null: look at once."""

UP = r"""
ALTER TABLE home_views ADD COLUMN checked_at timestamptz;
CREATE INDEX home_views_opened_at_idx ON home_views (opened_at);
"""

DOWN = r"""
DROP INDEX home_views_opened_at_idx;
ALTER TABLE home_views DROP COLUMN checked_at;
"""
