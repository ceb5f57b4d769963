"""Who was somebody here before 007 is known, as a full member that nobody has looked up yet: the bot does so soon.

Until then a Slack that is slow keeps none of them out.
"""

UP = r"""
INSERT INTO slack_people (id, slack_team_id, slack_user_id, checked_at)
SELECT gen_random_uuid(), slack_team_id, slack_user_id, '2000-01-01 00:00:00+00'
FROM (SELECT DISTINCT slack_team_id, slack_user_id FROM slack_identities WHERE deleted_at IS NULL) known
ON CONFLICT DO NOTHING;
"""

DOWN = r"""
DELETE FROM slack_people WHERE checked_at = '2000-01-01 00:00:00+00';
"""
