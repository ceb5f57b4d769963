"""What is read of a schedule says how far it has come, so that a time that was missed is known as such.

What came due before this is passed over: it was posted by what did not write it down. A report that came late tells up to
when it was made, and the next begins there: `last_slot` alone would have it tell the time between again.
"""

UP = r"""
UPDATE report_schedules SET last_slot = now();
ALTER TABLE report_schedules ADD COLUMN last_until timestamptz;        -- up to when the last report tells

DROP FUNCTION live_report_schedules();
CREATE FUNCTION live_report_schedules()
RETURNS TABLE (tenant_id uuid, schedule_id uuid, cron text, time_zone text, since timestamptz, last_slot timestamptz)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT r.tenant_id, r.id, r.cron, r.time_zone, r.updated_at, r.last_slot
    FROM report_schedules r
    JOIN tenants t ON t.id = r.tenant_id AND t.deleted_at IS NULL AND t.status = 'active'
    WHERE r.deleted_at IS NULL AND NOT r.is_paused
    ORDER BY r.id
$$;
REVOKE ALL ON FUNCTION live_report_schedules() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION live_report_schedules() TO switchboard_daemon;
"""

DOWN = r"""
ALTER TABLE report_schedules DROP COLUMN last_until;

DROP FUNCTION live_report_schedules();
CREATE FUNCTION live_report_schedules()
RETURNS TABLE (tenant_id uuid, schedule_id uuid, cron text, time_zone text, since timestamptz)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT r.tenant_id, r.id, r.cron, r.time_zone, r.updated_at
    FROM report_schedules r
    JOIN tenants t ON t.id = r.tenant_id AND t.deleted_at IS NULL AND t.status = 'active'
    WHERE r.deleted_at IS NULL AND NOT r.is_paused
    ORDER BY r.id
$$;
REVOKE ALL ON FUNCTION live_report_schedules() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION live_report_schedules() TO switchboard_daemon;
"""
