"""What people do while a process dies, and what has to stand at the far ends afterwards.

A journey prepares, calls `act.begin()`, does its one thing, waits for the far end, calls `act.over()` and looks again:
only then the process has died and its successor has done what it would do.
"""

from __future__ import annotations

from tests.crashing import asking, deciding, everyday, trouble
from tests.crashing.act import Journey

# The first is what both processes do all the time.
JOURNEYS: tuple[Journey, ...] = (
    everyday.nothing_happens,
    everyday.a_customer_writes,
    everyday.a_customer_changes_what_was_written,
    everyday.an_agent_replies,
    everyday.an_agent_edits_a_reply_that_waits,
    everyday.a_customer_reads,
    asking.a_command_writes_first,
    asking.a_command_is_refused,
    asking.an_answer_is_not_taken,
    asking.a_session_is_added,
    asking.a_session_is_stopped,
    asking.a_code_is_asked_for,
    asking.a_session_is_restarted,
    asking.a_session_is_removed,
    asking.an_answer_is_taken_over,
    asking.a_report_is_asked_for,
    asking.a_channel_is_linked_late,
    asking.somebody_is_removed,
    asking.a_tenant_is_chosen,
    asking.a_form_is_filled_in,
    trouble.a_reply_is_refused,
    trouble.a_reply_is_throttled,
    trouble.a_reply_has_to_wait_for_its_session,
    trouble.a_reply_is_looked_up,
    trouble.a_post_is_looked_up,
    trouble.a_post_is_limited,
    trouble.a_post_is_never_taken,
    trouble.a_thread_is_gone,
    trouble.a_channel_is_closed_for_a_while,
    trouble.a_private_word_is_lost,
    trouble.a_session_is_in_trouble,
    trouble.a_server_was_away,
    trouble.slack_is_away,
    trouble.a_new_chat_may_not_be_begun,
    deciding.a_failed_reply_is_sent_again,
    deciding.a_failed_reply_is_sent_in_other_words,
    deciding.a_late_reply_is_still_wanted,
    deciding.a_reply_may_have_left,
    everyday.the_daemon_starts,
    everyday.the_bot_starts,
    everyday.the_daemon_catches_up,
    everyday.the_daemon_stops,
    everyday.a_report_is_due,
)
