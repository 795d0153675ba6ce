"""The faults we promise to survive, by number: what each is, what is done, and the tests that do
it.
"""

from typing import NamedTuple


class Fault(NamedTuple):
    """One row. Tests are `file::function` below tests/."""

    number: int
    what: str
    done: str
    tests: tuple[str, ...]


_CRASHES, _REDIS, _POSTGRES, _REPEATS = (
    "faults/test_crashes.py::test_",
    "faults/test_redis.py::test_",
    "faults/test_postgres.py::test_",
    "faults/test_repeats.py::test_",
)
_READERS, _SHUTDOWN, _ROLLING = (
    "faults/test_readers.py::test_",
    "faults/test_shutdown.py::test_",
    "faults/test_rolling.py::test_",
)
_RUNNING, _PLATFORM = (f"embedded/test_{file}.py::test_" for file in ("running", "platform"))
_TENANTS = "faults/test_tenants.py::test_"
_EPOCH = "faults/test_epoch.py::test_"
_FILES, _EMBEDDED = "test_private_files.py::test_", "faults/test_embedded.py::test_"
_DOWN = f"{_CRASHES}a_server_that_is_down_for_a_while_costs_nothing_acknowledged"
_KILLS = (
    f"{_CRASHES}twenty_kills_three_redis_restarts_and_one_of_postgres_lose_and_duplicate_nothing"
)
_MODEL = "faults/test_model.py::test_the_books_agree_with_a_dict_after_every_step_whatever_happens"

FAULTS = (
    Fault(
        1,
        "a collector is killed in the middle of a batch",
        "kill -9 at random under load; the client sends unacknowledged events again with the "
        "same ids",
        (_KILLS, _MODEL),
    ),
    Fault(
        2,
        "a processor is killed in the middle of an insert",
        "kill -9 while a trigger holds the insert",
        (
            f"{_CRASHES}a_processor_killed_inside_an_insert_rolls_back_and_the_next_stores_the_batch",
            _KILLS,
            _MODEL,
        ),
    ),
    Fault(
        3,
        "a processor is killed between its commit and telling the queue",
        "kill -9 by a failpoint at exactly that place",
        (f"{_CRASHES}a_processor_killed_between_commit_and_finish_leaves_nothing_to_count_twice",),
    ),
    Fault(
        4,
        "api and realtime are killed",
        "kill -9 under load",
        (f"{_SHUTDOWN}killing_those_who_only_read_has_no_effect_on_data",),
    ),
    Fault(
        5,
        "Redis restarts",
        "kill -9 and a start from the append-only file, under load",
        (_DOWN, _KILLS, _MODEL),
    ),
    Fault(
        6,
        "the power fails",
        "the test watches Redis' system calls: it writes and syncs before it answers",
        (f"{_REDIS}after_a_power_cut_everything_acknowledged_is_on_disk",),
    ),
    Fault(
        7,
        "Redis is at its memory limit",
        "a small maxmemory, filled; then a maxmemory below the memory in use",
        (
            f"{_REDIS}at_its_memory_limit_redis_is_refused_for_in_time_and_drains",
            f"{_REDIS}a_redis_that_is_full_all_the_same_refuses_and_goes_on_when_it_has_room",
        ),
    ),
    Fault(
        8,
        "the disk under Redis is full",
        "its files may not grow (ulimit -f, SIGXFSZ ignored)",
        (
            f"{_REDIS}a_full_disk_under_redis_is_a_503_and_everything_acknowledged_is_there_afterwards",
        ),
    ),
    Fault(
        9,
        "Redis may evict keys",
        "CONFIG SET maxmemory-policy, before a start and during a run",
        (f"{_REDIS}a_redis_that_evicts_is_refused_at_the_start_and_as_soon_as_it_begins_to",),
    ),
    Fault(
        10,
        "Redis hangs, or its network is slow, cut, or loses everything",
        "SIGSTOP; a proxy in between",
        (
            f"{_REDIS}a_frozen_redis_is_a_503_within_the_time_out_and_nothing_is_lost",
            f"{_REDIS}a_way_to_redis_that_is_slow_cut_or_swallows_everything_costs_nothing_acknowledged",
        ),
    ),
    Fault(
        11,
        "PostgreSQL restarts",
        "immediate shutdown and kill -9, under load",
        (f"{_POSTGRES}immediate_restarts_of_postgres_are_waited_out", _DOWN),
    ),
    Fault(
        12,
        "PostgreSQL is read-only, as after a failover",
        "default_transaction_read_only = on, under load",
        (
            f"{_POSTGRES}a_database_that_is_read_only_as_after_a_failover_is_waited_for",
            "stores/test_faults.py::test_a_read_only_database_is_waited_for",
        ),
    ),
    Fault(
        13,
        "the disk under PostgreSQL is full",
        "the database on a small tmpfs, filled to the last byte",
        (f"{_POSTGRES}a_full_disk_under_postgres_makes_jobs_wait_and_none_is_lost",),
    ),
    Fault(
        14,
        "PostgreSQL has no connection left",
        "max_connections = 20, then others take all of them",
        (
            f"{_POSTGRES}with_twenty_connections_the_pools_fit_and_without_any_left_the_processor_waits",
            "stores/test_faults.py::test_too_many_connections_is_waited_for",
        ),
    ),
    Fault(
        15,
        "PostgreSQL hangs, or its network is slow, cut, or loses everything",
        "SIGSTOP of every backend in use; a proxy in between",
        (
            f"{_POSTGRES}backends_that_hang_are_given_up_without_a_pile_up",
            f"{_POSTGRES}a_way_to_postgres_that_is_slow_cut_or_swallows_everything_costs_nothing_acknowledged",
        ),
    ),
    Fault(
        16,
        "one event in 500 cannot be stored",
        "a NUL character that gets past the collector",
        (
            f"{_REPEATS}one_poison_event_in_500_is_one_dead_letter_and_499_rows",
            "stores/test_faults.py::test_one_poison_event_in_500_is_one_dead_letter",
        ),
    ),
    Fault(
        17,
        "the client or the queue delivers twice",
        "sent again with other timestamps and without; queued again under other job ids",
        (
            f"{_REPEATS}a_retry_with_another_timestamp_or_none_is_one_event",
            f"{_REPEATS}a_batch_that_the_queue_holds_twice_is_counted_once",
            _MODEL,
        ),
    ),
    Fault(
        18,
        "overlapping batches at the same time",
        "two processors, shuffled ids",
        (
            f"{_REPEATS}two_processors_with_overlapping_shuffled_batches_neither_deadlock_nor_double",
        ),
    ),
    Fault(
        19,
        "clocks are wrong",
        "clients up to 30 hours off; Redis' clock set back an hour",
        (
            f"{_REPEATS}wrong_clocks_of_clients_and_of_redis_make_no_negative_lag",
            "queue/test_reader.py::test_a_clock_that_went_back_gives_no_negative_age",
        ),
    ),
    Fault(
        20,
        "timestamps of the far past and future",
        "the years 1, 1970 and 9999, with offsets",
        ("protocols/test_clock.py::test_a_timestamp_that_cannot_be_kept_is_refused_never_clamped",),
    ),
    Fault(
        21,
        "NUL, surrogates, NaN, 1e400, bad UTF-8",
        "a corpus on every route",
        (
            "roles/collector/test_collector.py::test_no_body_is_a_500",
            "protocols/test_hostile.py::test_no_body_of_the_corpus_is_a_500_anywhere",
        ),
    ),
    Fault(
        22,
        "deep nesting",
        "up to 100,000 levels",
        (
            "protocols/test_native.py::test_a_body_that_cannot_be_judged_is_refused_as_a_whole",
            "protocols/test_native.py::test_a_body_of_nothing_but_brackets_is_not_taken_apart",
        ),
    ),
    Fault(
        23,
        "1 MB and one byte, with a length and chunked",
        "over a raw socket",
        (
            "roles/collector/test_bodies_on_the_wire.py::test_a_mebibyte_is_taken_and_one_byte_more_is_not",
        ),
    ),
    Fault(
        24,
        "a gzip bomb",
        "the memory it costs is measured",
        (
            "roles/collector/test_inflate.py::test_a_bomb_costs_no_more_memory_than_the_largest_body",
        ),
    ),
    Fault(
        25,
        "slowloris",
        "a body drop by drop",
        (
            "roles/collector/test_body.py::test_a_body_that_comes_drop_by_drop_is_cut_off_though_it_never_stops",
        ),
    ),
    Fault(
        26,
        "a length and chunks together, or two lengths",
        "over a raw socket",
        (
            "roles/http/test_shield.py::test_a_request_of_two_lengths_is_refused_and_its_connection_closed",
        ),
    ),
    Fault(
        27,
        "SQL through names and values",
        "values generated by Hypothesis",
        ("queries/questions/test_sql.py::test_no_name_or_value_becomes_sql",),
    ),
    Fault(
        28,
        "an answer cached for another key",
        "two tenants, one question, direct and through nginx",
        (
            "roles/test_api.py::test_a_projects_key_reads_that_project_only",
            "deploy/test_nginx_rules.py::test_a_cached_answer_is_for_the_key_that_asked",
        ),
    ),
    Fault(
        29,
        "a WebSocket client does not read",
        "one client of 200",
        (
            f"{_READERS}a_reader_that_does_not_read_is_closed_with_1013_and_199_others_hear_everything",
            "roles/realtime/test_sockets.py::test_a_reader_too_slow_is_closed_with_1013_and_200_others_wait_for_nothing",
        ),
    ),
    Fault(
        30,
        "a storm of reconnections",
        "1,000 connections after a kill, with room for 600",
        (
            f"{_READERS}of_a_thousand_reconnections_the_cap_is_admitted_and_the_rest_told_when_to_retry",
        ),
    ),
    Fault(
        31,
        "a foreign origin",
        "a handshake and a preflight with Origin",
        (
            "roles/realtime/test_admission.py::test_a_foreign_origin_is_refused_at_the_handshake",
            "roles/http/test_cors.py::test_a_foreign_preflight_is_refused",
        ),
    ),
    Fault(
        32,
        "a key in a log",
        "the test searches everything written for marked keys",
        (
            "test_logs.py::test_secrets_and_personal_data_are_hidden",
            "test_logs.py::test_the_configured_keys_are_hidden_whatever_they_look_like",
        ),
    ),
    Fault(
        33,
        "the time that looking up a key takes",
        "only the digest of a key is stored and looked up",
        (
            "projects/test_register.py::test_only_the_digest_and_a_short_beginning_of_a_key_are_stored",
        ),
    ),
    Fault(
        34,
        "a forged address",
        "X-Real-IP and X-Forwarded-For, direct and through nginx",
        (
            "roles/http/test_real_client.py::test_only_a_trusted_proxy_is_believed",
            "roles/http/test_real_client.py::test_without_x_real_ip_the_first_hop_from_the_right_that_is_not_trusted_counts",
            "deploy/test_nginx_rules.py::test_a_forged_address_is_overwritten",
        ),
    ),
    Fault(
        35,
        "a URL from a user is fetched",
        "no module of the platform imports anything that could fetch a URL",
        ("faults/test_matrix.py::test_nothing_that_serves_can_fetch_a_url",),
    ),
    Fault(
        36,
        "the same id in two projects",
        "two keys",
        (
            "roles/collector/test_way.py::test_the_same_id_in_two_projects_is_two_events_and_neither_sees_the_other",
            "stores/writing/test_transaction.py::test_the_same_id_in_two_projects_is_two_events",
        ),
    ),
    Fault(
        37,
        "the clocks change",
        "the day of 25 hours in Berlin, from the collector to the answer",
        (f"{_READERS}the_day_of_25_hours_is_one_bucket_from_the_collector_to_the_answer",),
    ),
    Fault(
        38,
        "four migrate at once",
        "four processes, one empty database",
        (f"{_POSTGRES}of_four_who_migrate_at_once_one_does_it_and_three_find_nothing_to_do",),
    ),
    Fault(
        39,
        "a rolling deploy",
        "replicas replaced one by one under load, with jobs of both formats and one of a future "
        "format",
        (f"{_ROLLING}replicas_are_replaced_one_by_one_under_load_and_jobs_of_both_versions_run",),
    ),
    Fault(
        40,
        "SIGTERM under load",
        "each role, with open requests, questions and WebSockets",
        (
            f"{_SHUTDOWN}sigterm_under_load_exits_0_in_time_and_loses_nothing",
            f"{_SHUTDOWN}realtime_ends_with_its_websockets_open",
            f"{_SHUTDOWN}sigterm_with_questions_open_ends_the_api_in_time_and_every_answer_is_whole",
        ),
    ),
    Fault(
        41,
        "a metric injected by a path",
        "a path with a quotation mark and a line feed",
        ("roles/test_api.py::test_queries_are_counted_by_declared_endpoint_and_status",),
    ),
    Fault(
        42,
        "realtime loses its connection when Redis ends",
        "kill -9 of Redis, with a WebSocket open",
        (f"{_READERS}after_a_restart_of_redis_a_socket_learns_how_many_events_it_missed",),
    ),
    Fault(
        43,
        "one person gets more and more names, or an event never ends",
        "a chain of 30,000 aliases; an event whose insert sleeps, beside those of another project",
        (
            f"{_TENANTS}a_very_long_chain_of_aliases_is_stored_and_so_is_what_others_send",
            f"{_TENANTS}an_event_that_never_ends_holds_up_its_own_project_only_and_becomes_a_dead_letter",
            "stores/identity/test_persons.py::test_a_new_name_costs_the_same_however_many_names_the_person_has",
            "stores/identity/test_persons.py::test_a_person_has_a_bounded_number_of_names_and_what_is_beyond_is_counted",
            "queue/test_suspects.py::test_jobs_that_hang_leave_places_and_room_for_those_of_others",
        ),
    ),
    Fault(
        44,
        "a body that takes much work",
        "thousands of new user agents, forms, numbers and lists in a body of a megabyte; "
        "`/health/live` is asked meanwhile",
        (
            "roles/collector/test_slices.py::test_no_body_keeps_liveness_waiting",
            "roles/collector/test_slices.py::test_new_agents_beyond_a_requests_budget_are_told",
            "roles/collector/test_turns.py::test_so_many_large_bodies_are_open_at_once_and_small_ones_besides",
        ),
    ),
    Fault(
        45,
        "hundreds of thousands of distinct event names",
        "transactions of 5,000 distinct names each, compacted, asked, rebuilt and erased",
        (
            "stores/upkeep/test_compaction.py::test_memory_and_rows_do_not_grow_with_the_names_that_somebody_sends",
            "stores/upkeep/test_compaction.py::test_a_compaction_takes_so_many_cells_or_one_larger_delta",
            "stores/upkeep/test_merger.py::test_a_dimension_without_values_has_no_row_before_and_after_a_merge",
            "stores/writing/test_daily.py::test_types_beyond_so_many_of_a_day_are_counted_in_one_row",
            "queries/precomputed/test_nameless.py::test_trends_are_what_a_plain_count_says",
            "queries/precomputed/test_nameless.py::test_schemas_are_what_counting_one_by_one_says",
            "queries/precomputed/test_nameless.py::test_no_question_adds_up_more_groups_or_rows_than_fit",
        ),
    ),
    Fault(
        46,
        "events of 10 MB that arrive as 10 kB",
        "jobs, pages, slices, dead letters and imports of large events that compress well",
        (
            "queue/test_worker.py::test_jobs_in_work_are_bounded_by_bytes_and_a_larger_job_is_in_work_alone",
            "queue/test_gather.py::test_a_transaction_is_bounded_by_bytes_and_a_larger_job_is_one_of_its_own",
            "queue/test_reader.py::test_the_search_reads_a_bounded_number_of_bytes_at_a_time_and_in_all",
            "queries/questions/events/test_events.py::test_a_page_of_large_events_costs_as_little_as_one_of_small_ones",
            "queries/questions/events/test_events.py::test_a_page_ends_after_so_many_bytes_and_the_next_goes_on",
            "queries/questions/export/test_export.py::test_memory_does_not_grow_with_how_well_events_compress",
            "stores/writing/test_dead_letters.py::test_a_page_is_cut_short_by_bytes_and_nothing_is_left_out",
            "commands/test_dead_letters.py::test_what_is_replayed_as_one_job_is_bounded_by_bytes",
            "commands/test_output.py::test_a_list_as_json_is_the_same_when_it_is_printed_value_by_value",
            "queries/questions/test_long_values.py::test_an_answer_shows_so_many_bytes_of_values_and_no_more",
            "queries/questions/test_long_values.py::test_no_statement_brings_more_bytes_than_that",
            "importing/test_importer.py::test_a_batch_is_bounded_by_what_its_lines_become",
        ),
    ),
    Fault(
        47,
        "a request of 200,000 empty events",
        "0.6 kB of gzip at five protocols; then 50,000, as many as a request may have",
        (
            "roles/collector/test_collector.py::test_a_request_of_200_000_empty_events_costs_little_and_hears_so_in_few_bytes",
            "roles/collector/test_collector.py::test_50_000_empty_events_are_judged_in_a_thread_and_a_hundred_of_them_are_named",
            "protocols/test_bulks.py::test_of_very_many_faults_a_reply_names_a_hundred_and_counts_all",
            "protocols/test_bulks.py::test_no_reply_is_large_whatever_was_sent",
            "protocols/test_bulks.py::test_the_list_that_a_library_reads_is_whole_for_as_many_events_as_it_sends",
        ),
    ),
    Fault(
        48,
        "patterns that take much work",
        "400 patterns of one WebSocket, and 20 of a stream, on events that make their states "
        "explode; another client and `/health/live` meanwhile",
        (
            "roles/realtime/test_channels.py::test_four_hundred_patterns_share_the_budget_of_their_connection",
            "roles/realtime/test_channels.py::test_patterns_cost_a_stream_the_same_as_a_socket",
            "roles/realtime/test_channels.py::test_whatever_looks_at_a_long_text_is_work",
            "queries/language/test_automata.py::test_all_patterns_together_cache_a_bounded_number_of_bytes",
        ),
    ),
    Fault(
        49,
        "Redis or PostgreSQL comes back empty or with older data",
        "FLUSHALL under acknowledged events; an older snapshot in place; kill -9 of everything",
        (
            f"{_EPOCH}a_redis_that_was_emptied_is_told_by_answers_metrics_and_the_doctor",
            f"{_EPOCH}a_redis_with_an_older_snapshot_is_told_however_much_came_since",
            f"{_EPOCH}killing_everything_and_starting_it_again_is_no_alarm",
            "stores/upkeep/test_epoch.py::test_a_postgres_with_older_data_is_a_loss_since_that_data",
            "stores/upkeep/test_epoch.py::test_a_crash_between_the_writes_hides_no_loss",
        ),
    ),
    Fault(
        50,
        "a key is revoked",
        "nginx with an answer of the key in its cache, a question under way, a WebSocket and a "
        "stream",
        (
            "deploy/test_nginx_rules.py::test_an_answer_ends_with_the_seconds_that_the_api_gives_it",
            "deploy/test_nginx_rules.py::test_no_answer_is_kept_for_longer_than_a_key_may_outlive_its_revocation",
            "security/test_keys.py::test_a_revoked_key_is_refused_within_a_minute_by_every_role",
            "security/test_keys.py::test_a_key_revoked_while_its_question_is_computed_gets_no_answer",
            "roles/realtime/test_admission.py::test_a_key_revoked_while_connected_ends_the_connection",
            "roles/realtime/test_server_sent.py::test_a_revoked_key_ends_its_stream",
        ),
    ),
    Fault(
        51,
        "an event's name writes on the operator's terminal",
        "control, bidi and zero-width characters in names, ids and metadata, to every command and "
        "to the logs",
        (
            "commands/test_hostile_text.py::test_no_command_lets_a_hostile_name_reach_the_terminal",
            "commands/test_hostile_text.py::test_the_escape_is_what_the_operator_sees",
            "importing/test_display.py::test_a_file_and_a_reason_cannot_write_on_the_terminal",
            "test_logs.py::test_no_log_line_holds_what_a_terminal_obeys",
            "test_terminal.py::test_everything_that_is_printed_passes_the_terminal",
        ),
    ),
    Fault(
        52,
        "another user at the port of a server that crashed",
        "a stranger holds the lock and listens at both ports; a record is forged, or of a process "
        "that ended; a server is down",
        (
            f"{_RUNNING}after_a_crash_nobody_who_holds_lock_and_port_is_told_anything",
            f"{_RUNNING}another_user_cannot_open_the_lock_whatever_the_umask_or_an_older_release",
            f"{_RUNNING}a_record_counts_while_its_very_process_runs_and_holds_the_lock",
            f"{_RUNNING}a_server_that_does_not_listen_at_its_port_is_named_and_told_nothing",
            f"{_PLATFORM}passwords_are_new_at_each_start_one_for_each_server_and_kept_nowhere_else",
            "embedded/test_supervisor.py::test_nobody_else_can_have_the_port_while_the_server_is_down",
            "commands/test_query.py::test_only_the_api_of_the_analytics_run_here_is_told_its_key",
        ),
    ),
    Fault(
        53,
        "links in a data folder that another can change",
        "a DATA_DIR of another user, or open to all, with links in the place of folders and files",
        (
            f"{_PLATFORM}a_data_folder_that_others_can_change_is_refused_and_no_link_in_it_is_followed",
            f"{_PLATFORM}a_link_in_a_folder_of_ours_is_not_followed_either",
            f"{_PLATFORM}a_folder_that_is_there_keeps_its_mode",
            f"{_PLATFORM}a_log_that_is_a_link_is_not_written",
            f"{_FILES}root_refuses_what_lies_in_a_folder_of_another_and_makes_nothing_there",
            f"{_FILES}root_refuses_a_link_that_another_has_put_in_the_way",
            "importing/test_rejects.py::test_a_link_is_written_only_where_the_user_named_it",
        ),
    ),
    Fault(
        54,
        "an embedded server ends",
        "kill -9 of PostgreSQL, of Valkey and of both under load, a full disk, a server that "
        "cannot start again",
        (
            f"{_EMBEDDED}servers_that_are_killed_under_load_come_back_and_lose_nothing",
            f"{_EMBEDDED}a_disk_that_was_full_for_a_while_costs_nothing_acknowledged",
            "commands/test_run.py::test_servers_that_cannot_be_kept_running_end_it_in_one_line",
        ),
    ),
    Fault(
        55,
        "people are remembered after retention took their last event",
        "old events dropped on each layout, while others are stored and people come back",
        (
            "stores/upkeep/test_pruning.py::test_who_has_no_event_left_is_gone_everywhere_and_others_keep_their_numbers",
            "stores/upkeep/test_pruning.py::test_who_comes_back_while_people_go_is_not_removed",
            "stores/upkeep/test_pruning.py::test_a_processor_that_remembers_a_number_looks_it_up_again_once_people_went",
        ),
    ),
    Fault(
        56,
        "ids of 64 KiB that are not read",
        "errors for a message with a long id, a long name of a field, and four bytes a character",
        (
            "roles/realtime/test_sockets.py::test_a_long_id_comes_back_cut",
            "roles/realtime/test_sockets.py::test_a_message_over_64_kib_ends_the_connection",
            "roles/realtime/test_messages.py::test_an_error_repeats_little_of_what_a_reader_sent",
        ),
    ),
    Fault(
        57,
        "idle HTTP/2 connections",
        "a preface and nothing else, pings, and headers that never end, at every role",
        ("hostile/test_wire.py::test_an_http2_connection_without_a_whole_request_is_closed",),
    ),
    Fault(
        58,
        "slow readers hold all exports",
        "clients that take nothing, a key that takes all places, a key that is revoked meanwhile",
        (
            "roles/http/test_paced.py::test_who_takes_nothing_is_cut_off_and_the_chunks_are_closed",
            "queries/database/test_lanes.py::test_one_key_cannot_hold_all_places",
            "roles/test_api.py::test_an_export_ends_once_its_key_is_revoked",
        ),
    ),
    Fault(
        59,
        "realtime's places are taken by clients without a key",
        "more silent WebSockets than may wait, and one key with all of its places taken",
        (
            "roles/realtime/test_admission.py::test_who_has_no_key_takes_no_place_and_waits_the_shorter_the_more_there_are",
            "roles/realtime/test_admission.py::test_a_key_has_its_share_of_the_places",
        ),
    ),
    Fault(
        60,
        "a costly formula",
        "`1J`, `...`, hundreds of factors and numbers beyond a double",
        (
            "queries/language/test_formula.py::test_a_formula_is_arithmetic_and_null_where_there_is_no_number",
            "queries/language/test_formula.py::test_anything_but_arithmetic_is_no_formula",
        ),
    ),
    Fault(
        61,
        "a person with thousands of names is asked for right after they came",
        "8,000 claims, without statistics and with them",
        (
            "queries/database/test_estimates.py::test_a_person_with_thousands_of_names_is_answered_for_as_soon_as_the_names_came",
            "stores/upkeep/test_statistics.py::test_a_bulk_load_is_analyzed_in_all_partitions_and_nothing_else",
        ),
    ),
    Fault(
        62,
        "nginx refuses by itself",
        "paths, methods, versions, lengths, headers and plain HTTP that it does not take",
        (
            "deploy/test_nginx_rules.py::test_what_nginx_refuses_is_json_with_a_code_and_a_message",
            "deploy/test_nginx_rules.py::test_plain_http_is_told_to_speak_https",
            "deploy/test_nginx_rules.py::test_without_a_replica_the_answer_is_json_and_says_when_to_come_again",
        ),
    ),
    Fault(
        63,
        "a web page reads /metrics by DNS rebinding",
        "every operator's path under names of others and of this machine",
        (
            "roles/http/test_known_host.py::test_a_page_of_a_foreign_name_reads_nothing_of_an_operators",
            "roles/http/test_known_host.py::test_in_production_names_are_the_proxys_concern",
        ),
    ),
    Fault(
        64,
        "a foreign token in a debug log",
        "canaries over HTTP/2 to every role with LOG_LEVEL=debug, then every log is searched",
        (
            "security/test_leaks.py::test_no_canary_is_in_a_log_a_metric_a_health_or_an_error_about_keys",
            "test_logs.py::test_libraries_have_no_debug_messages_because_they_show_requests",
        ),
    ),
    Fault(
        65,
        "a project runs out of numbers for people",
        "the last number but one is given",
        (
            "stores/writing/test_people.py::test_a_project_without_numbers_left_refuses_new_people_and_stores_what_others_do",
        ),
    ),
    Fault(
        66,
        "a connection whose last operation was interrupted",
        "asyncpg's error `cannot switch to state 15`, in an answer and in a storing transaction",
        (
            "queries/database/test_snapshot.py::test_whatever_happens_to_its_connection_the_client_hears_that_it_may_try_again",
            "stores/test_postgres.py::test_a_connection_whose_last_operation_was_interrupted_is_given_to_nobody_else",
        ),
    ),
    Fault(
        67,
        "a number of nine characters that takes half a minute",
        "`9e999992` and 30 others, bare and as text, in every number and time of every protocol, "
        "in questions and files",
        (
            "hostile/test_numbers.py::test_no_number_in_a_body_takes_long",
            "hostile/test_numbers.py::test_no_number_in_an_address_takes_long",
            "hostile/test_numbers.py::test_no_number_elsewhere_takes_long",
            "hostile/test_numbers.py::test_what_is_no_number_is_no_time_in_any_protocol",
            "protocols/test_times.py::test_what_is_no_number_comes_back_to_be_refused",
        ),
    ),
    Fault(
        68,
        "400 bytes that are copied into every event of their request",
        "long fields, names, times, contexts and headers said once for thousands of events, at "
        "each protocol that has some; addresses whose parts the pipeline copies",
        (
            "hostile/test_memory.py::test_small_bodies_that_become_large_take_little_memory",
            "protocols/test_translate.py::test_what_a_request_says_once_is_measured_before_it_is_copied",
            "protocols/test_translate.py::test_all_events_together_have_so_much_metadata_and_no_more",
            "protocols/test_posthog.py::test_what_is_said_once_of_all_events_is_short_in_each",
            "pipeline/test_pipeline.py::test_the_steps_put_only_so_much_into_all_events_together",
            "queue/test_commit.py::test_more_than_may_ever_wait_is_refused_though_nothing_waits",
        ),
    ),
    Fault(
        69,
        "bodies of 10 kB that take hundreds of megabytes once they are decoded",
        "millions of numbers, strings, lists, objects, lines and fields, two bodies at once; in "
        "JSON, JSON in JSON, escapes, base64 and forms",
        (
            "hostile/test_memory.py::test_small_bodies_that_become_large_take_little_memory",
            "protocols/test_metadata.py::test_a_text_of_too_many_values_is_not_decoded",
            "protocols/test_bodies.py::test_there_are_so_many_lines_and_no_more",
            "protocols/test_bodies.py::test_all_query_strings_of_a_list_together_have_a_bounded_number_of_fields",
            "importing/test_judge.py::test_a_line_of_too_many_values_costs_no_other",
            "roles/collector/test_slices.py::test_no_body_keeps_liveness_waiting",
        ),
    ),
    Fault(
        70,
        "one sender sends many bodies that take long",
        "twelve large bodies at once, then one of another sender; more than may wait; "
        "small bodies that hide tens of thousands of events",
        (
            "roles/collector/test_turns.py::test_twelve_large_requests_of_one_sender_do_not_keep_anothers_waiting",
            "roles/collector/test_turns.py::test_a_sender_of_many_large_bodies_delays_another_by_no_turn",
            "roles/collector/test_turns.py::test_where_many_senders_wait_each_has_its_turn_before_one_has_two",
            "roles/collector/test_turns.py::test_as_many_wait_as_there_is_room_for_and_one_sender_fills_half_of_it",
            "roles/collector/test_turns.py::test_who_has_waited_too_long_is_told_to_come_again",
            "roles/collector/test_turns.py::test_a_small_body_of_very_many_events_takes_a_turn_before_it_takes_a_thread",
            "roles/collector/test_turns.py::test_what_finds_no_room_is_503_and_the_sender_may_come_again",
        ),
    ),
    Fault(
        71,
        "many small requests that each take much work, at once",
        "20 requests open in the pipeline while `/health/live` is asked; "
        "40 requests of 90 new user agents each",
        (
            "roles/collector/test_slices.py::test_however_many_requests_are_open_liveness_waits_for_two_slices_at_most",
            "roles/collector/test_slices.py::test_all_requests_together_work_for_a_slice_and_then_the_loop_has_its_turns",
            "roles/collector/test_slices.py::test_senders_take_turns_at_slices_however_many_requests_one_has_open",
            "roles/collector/test_slices.py::test_many_requests_of_new_agents_take_their_senders_time_and_nobody_elses",
            "pipeline/test_lookups.py::test_hundreds_of_new_browsers_in_every_second_are_looked_up",
        ),
    ),
    Fault(
        72,
        "a question that follows people splits them by a field of very many values",
        "a funnel by a field with more values on a day than columns may have names",
        (
            "queries/sequences/test_packed_days.py::test_of_too_many_values_no_more_is_read_than_tells_so",
            "queries/sequences/test_packed_days.py::test_a_day_of_too_many_rows_or_names_is_left_to_the_database",
        ),
    ),
    Fault(
        73,
        "ids and times whose hashes are all equal",
        "12,000 UUIDs and a thousand times of sending that are multiples of 2**61 - 1, which "
        "Python hashes to 0; stored, and sent again",
        (
            "stores/writing/test_transaction.py::test_ids_whose_hashes_are_equal_take_no_longer_than_others",
            "protocols/test_translate.py::test_no_two_times_of_sending_are_compared_whatever_their_hashes",
            "test_events.py::test_no_ids_have_equal_hashes_as_members_of_sets",
        ),
    ),
    Fault(
        74,
        "a string without an end after thousands of brackets",
        "3,000 brackets, a quote, and 40,000 escaped quotes, in a body of any other protocol",
        (
            "protocols/test_metadata.py::test_what_nests_far_too_deep_is_read_once_however_its_strings_end",
        ),
    ),
    Fault(
        75,
        "a question of very many terms",
        "lists of events, conditions, texts to search for and keys, in every kind of parameter",
        (
            "queries/questions/test_bounds.py::test_what_is_too_many_is_refused_with_the_bound",
            "queries/questions/test_bounds.py::test_a_list_of_equal_values_is_one_condition_however_long",
            "queries/database/test_statements.py::test_only_short_statements_are_kept_and_so_many_of_them",
        ),
    ),
    Fault(
        76,
        "thousands of people become one",
        "a name for a person that thousands of earlier people become, all at once",
        (
            "stores/identity/test_persons.py::test_the_name_of_a_large_person_is_chosen_in_a_few_looks_at_its_names",
        ),
    ),
    Fault(
        77,
        "a host of thousands of marks",
        "addresses of 16,000 marks whose order Python sorts in quadratic time, with and without "
        "a scheme, a user and line feeds",
        (
            "pipeline/test_page.py::test_marks_of_a_host_are_not_sorted_however_many_they_are",
            "pipeline/test_page.py::test_a_long_address_is_read_wherever_its_host_is_short",
        ),
    ),
    Fault(
        78,
        "a small body that hides much work",
        "200 events that share 1,000 values of their batch; 60 kB of base64 in JSON",
        (
            "roles/collector/test_turns.py::test_a_small_body_that_hides_much_takes_a_turn_before_it_takes_a_thread",
        ),
    ),
    Fault(
        79,
        "a text whose only bad character is its last",
        "five million characters, and a NUL",
        (
            "protocols/test_characters.py::test_a_bad_character_far_from_the_beginning_is_found_at_once",
        ),
    ),
    Fault(
        80,
        "a table of very many columns is imported",
        "a header of 1,000 columns, and one of 10,000",
        (
            "importing/test_table.py::test_a_header_of_very_many_columns_is_read_in_the_time_of_its_length",
        ),
    ),
    Fault(
        81,
        "a question that is short to ask and long to work out",
        "a long formula over 11,000 buckets; ten measures of sessions under 100 conditions; "
        "millions of rows; thousands of changed days and of steps",
        (
            "queries/questions/test_turns.py::test_a_formula_is_calculated_beside_the_loop",
            "queries/questions/test_turns.py::test_lines_of_raw_rows_are_sorted_beside_the_loop",
            "queries/questions/test_turns.py::test_names_are_matched_to_steps_beside_the_loop",
            "queries/questions/test_turns.py::test_raw_rows_are_added_to_rollups_beside_the_loop",
            "queries/questions/test_breakdown.py::test_however_many_measures_count_sessions_the_statement_has_them_once",
            "queries/database/test_snapshot.py::test_the_loop_has_its_turns_while_many_rows_are_made",
            "queries/precomputed/test_pieces.py::test_stray_days_are_looked_for_where_a_bucket_is_and_nowhere_else",
            "queries/language/test_parameters.py::test_a_parameter_that_repeats_takes_time_for_each_of_its_values_and_no_more",
        ),
    ),
    Fault(
        82,
        "questions of hundreds of shapes, one after the other",
        "more shapes of statements than are kept compiled, in the lanes of all questions",
        (
            "queries/database/test_statements.py::test_only_short_statements_are_kept_and_so_many_of_them",
            "queries/database/test_statements.py::test_all_engines_keep_them_in_one_place",
        ),
    ),
)
"""Numbers as in the design."""
