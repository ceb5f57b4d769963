"""What the way in needs to tell a message that came late: when the newest one shown in its conversation was written.

By WhatsApp's clock, which counts whole seconds: never compared with ours.
"""

UP = r"""
ALTER TABLE conversations ADD COLUMN newest_written_at timestamptz;
"""

DOWN = r"""
ALTER TABLE conversations DROP COLUMN newest_written_at;
"""
