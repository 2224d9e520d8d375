"""Who may send and see what, and what the listener takes."""

from tests.mutants.mutant import Mutant, mutant

BOARD = "tests/web/test_board.py::"
CONNECTIONS = "tests/web/test_connections.py::"
ERRORS = "tests/web/test_ingest_errors.py::"
LIMITS = "tests/web/test_ingest_limits.py::"
PAGES = "tests/web/test_dashboard.py::"
PROTOCOL = "tests/web/test_protocol.py::"
WHOLE = "tests/web/test_whole.py::"

MUTANTS: list[Mutant] = [
    # -- who may send what -------------------------------------------------------------------------
    mutant(
        "tokens not compared",
        "luota/core/tokens.py",
        "return hmac.compare_digest(token, expected.encode())",
        "return True",
        ERRORS + "test_each_route_refuses_each_wrong_token_with_its_own_words",
    ),
    mutant(
        "rotation not live",
        "luota/engine/monitors.py",
        '        tx.batch.stage(live)\n        audit(tx.batch, actor, live.workspace_id, "token.rotate"',
        '        audit(tx.batch, actor, live.workspace_id, "token.rotate"',
        ERRORS + "test_rotation_refuses_the_old_token_for_the_very_next_request",
    ),
    mutant(
        "any method is a ping that comes whole",
        "luota/web/ingest.py",
        'return method == b"POST" and ',
        "return ",
        WHOLE + "test_what_is_not_quite_a_ping_gets_the_same_answer_whole_and_in_pieces",
    ),
    mutant(
        "a ping that comes whole is taken by how its path begins",
        "luota/web/ingest.py",
        "_PING.fullmatch(url)",
        "_PING.match(url)",
        WHOLE + "test_what_is_not_quite_a_ping_gets_the_same_answer_whole_and_in_pieces",
    ),
    mutant(
        "a ping that comes whole overtakes the one before it",
        "luota/web/protocol.py",
        "            and (self.cycle is None or self.cycle.response_complete)\n",
        "",
        WHOLE + "test_pings_sent_at_one_go_on_one_connection_are_answered_in_their_order",
    ),
    mutant(
        "one workspace shows another's open incidents",
        "luota/web/dashboard/board.py",
        "known = self._open.get(workspace_id)",
        "known = next(iter(self._open.values()), None)",
        BOARD + "test_open_incidents_are_counted_for_each_workspace_alone_and_none_of_a_drill",
    ),
    mutant(
        "no cap on declared bodies",
        "luota/web/http.py",
        "int(value) > MAX_BODY",
        "False",
        LIMITS + "test_413_is_told_before_the_rest_of_the_body_has_come",
    ),
    mutant(
        "no cap on streamed bodies",
        "luota/web/http.py",
        "        if len(body) > MAX_BODY:\n",
        "        if False:\n",
        LIMITS + "test_the_cap_holds_for_chunked_bodies",
    ),
    mutant(
        "the operator's API over TCP",
        "luota/web/api/__init__.py",
        "local = LOCAL in request.scope",
        "local = True",
        "tests/web/test_app.py::test_the_api_is_refused_over_tcp",
    ),
    mutant(
        "no CSRF token",
        "luota/web/auth.py",
        'if session is not None and not hmac.compare_digest((csrf or "").encode(), session.csrf.encode()):',
        "if False:",
        PAGES + "test_every_change_is_refused_without_the_sessions_csrf_token",
    ),
    mutant(
        "changes from pages of other sites",
        "luota/web/auth.py",
        "        self._check_origin(scope)\n",
        "",
        PAGES + "test_every_change_is_refused_from_a_page_of_another_site",
    ),
    mutant(
        "changes from any host without a public URL",
        "luota/web/auth.py",
        "if origin not in self._addresses(scope) or site",
        "if origin is None or site",
        "tests/web/test_auth_changes.py::"
        "test_without_a_public_url_the_page_must_be_at_the_address_of_the_connection_or_the_host_that_is_set",
    ),
    mutant(
        "streams that do not say how many incidents are open",
        "luota/web/dashboard/stream.py",
        "if counts[of] != before:",
        "if False:",
        "tests/web/test_page_stream.py::test_a_stream_tells_how_many_incidents_are_open_at_first_and_when_that_changes",
    ),
    mutant(
        "pages for any role",
        "luota/web/dashboard/visit.py",
        "        if not allows(role, needed):\n",
        "        if False:\n",
        PAGES + "test_every_route_refuses_a_role_below_the_one_it_needs_and_no_other",
    ),
    mutant(
        "pages for those who are no members",
        "luota/web/dashboard/visit.py",
        " if w.id in self.session.roles]",
        "]",
        PAGES + "test_every_route_of_a_workspace_is_not_found_for_those_who_are_no_members",
    ),
    mutant(
        "links outlive what their maker owns",
        "luota/store/people.py",
        "AND (maker_id IS NULL OR",
        "AND (1 OR",
        "tests/engine/test_members.py::"
        "test_a_link_holds_only_while_its_maker_owns_all_workspaces_of_whom_it_is_for[removed]",
    ),
    mutant(
        "sessions outlive a change of password",
        "luota/engine/people.py",
        "DELETE FROM sessions WHERE user_id = ? AND token_hash IS NOT ?",
        "DELETE FROM sessions WHERE user_id = ? AND token_hash IS NOT ? AND 0",
        "tests/web/test_auth.py::test_a_change_of_password_ends_the_other_sessions_at_once",
    ),
    mutant(
        "twins of drills among the monitors",
        "luota/store/overview.py",
        'WHERE workspace_id = ? AND archived_at IS NULL AND drill_of IS NULL "\n',
        'WHERE workspace_id = ? AND archived_at IS NULL "\n',
        "tests/store/test_overview.py::test_cards_hold_what_people_gave_and_no_archived_monitor_nor_a_twin_of_a_drill",
    ),
    mutant(
        "twins of drills among many",
        "luota/engine/many.py",
        "if live is not None and live.drill_of is None:",
        "if live is not None:",
        "tests/engine/test_many.py::test_the_twin_of_a_drill_is_left_out",
    ),
    mutant(
        "shared parts of an overview never drawn again",
        "luota/web/dashboard/board.py",
        "if known is None or known[0] != content:",
        "if known is None:",
        BOARD + "test_what_open_pages_swap_in_place_follows_a_change_within_the_second",
    ),
    mutant(
        "what overviews share never worked out again",
        "luota/web/dashboard/board.py",
        "if known is None or known[0] != version:",
        "if known is None:",
        BOARD + "test_order_counters_and_what_needs_a_human_follow_a_change_within_the_second",
    ),
    mutant(
        "rows of an overview kept for three seconds",
        "luota/web/dashboard/overview.py",
        "_FRESH_MS = 1_000",
        "_FRESH_MS = 3_000",
        BOARD + "test_a_row_is_drawn_again_when_its_second_is_over",
    ),
    mutant(
        "all open overviews answered at once",
        "luota/web/dashboard/overview.py",
        "async with visit.site.board.refreshing:",
        "if True:",
        BOARD + "test_open_pages_that_hear_of_the_same_commit_are_answered_one_at_a_time",
    ),
    mutant(
        "redirects followed",
        "luota/alerts/transport.py",
        "follow_redirects=False",
        "follow_redirects=True",
        "tests/alerts/test_transport.py::"
        "test_cookies_are_not_kept_redirects_not_followed_and_the_environment_not_asked",
    ),
    # -- the listener ------------------------------------------------------------------------------
    mutant(
        "no cap on connections",
        "luota/web/connections.py",
        "if len(self.tcp) >= self.most:",
        "if False:",
        CONNECTIONS + "test_a_connection_too_many_takes_the_place_of_the_one_that_has_been_idle_the_longest",
        CONNECTIONS + "test_while_every_connection_waits_for_an_answer_one_more_is_refused_and_the_unix_socket_is_not",
    ),
    mutant(
        "file descriptors for connections alone",
        "luota/web/server.py",
        "    if limit == resource.RLIM_INFINITY:\n",
        "    if True:\n",
        "tests/e2e/test_connections.py",
    ),
    mutant(
        "any version of HTTP",
        "luota/web/framing.py",
        "if version not in _VERSIONS:",
        "if False:",
        PROTOCOL + "test_another_version_of_http_is_refused_by_505_and_nothing_after_it_is_answered",
    ),
    mutant(
        "any transfer coding",
        "luota/web/framing.py",
        'if named == [b"chunked"]:',
        "if True:",
        PROTOCOL + "test_a_body_that_is_not_merely_chunked_is_refused_and_never_reaches_the_app",
    ),
    mutant(
        "bare refusals",
        "luota/web/refusal.py",
        "(*_UNKEPT, *headers)",
        "headers",
        PROTOCOL + "test_malformed_http_gets_400",
    ),
]
