"""The safeguards, each broken once: what is replaced in which file, and the fewest tests that must
notice.

A mutation is the smallest change after which a promise no longer holds, as somebody in a hurry
could write it. `make mutations` applies each to a copy of the tree, alone, and runs its tests
there: one that nobody notices is a test that is missing.
"""

from typing import NamedTuple


class Edit(NamedTuple):
    """`old` stands in the file exactly once, and becomes `new`."""

    file: str
    old: str
    new: str


class Mutation(NamedTuple):
    """One safeguard broken: what no longer holds, how, and the tests of which at least one must
    fail.
    """

    name: str
    promise: str
    edits: tuple[Edit, ...]
    tests: tuple[str, ...]


def mutation(name: str, promise: str, file: str, old: str, new: str, *tests: str) -> Mutation:
    """The usual case: one edit."""
    return Mutation(name, promise, (Edit(file, old, new),), tests)


MUTATIONS = (
    # 2xx means durable
    Mutation(
        "acknowledge before the append",
        "2xx means durable",
        (
            Edit(
                "analytics/roles/collector/collector.py",
                "import re\nimport time\n",
                "import asyncio\nimport re\nimport time\n",
            ),
            Edit(
                "analytics/roles/collector/collector.py",
                "        await intake.sink.append(result.events)\n",
                "        _ = asyncio.ensure_future(intake.sink.append(result.events))\n"
                "        _.add_done_callback(lambda done: done.cancelled() or done.exception())\n",
            ),
        ),
        (
            "tests/roles/collector/test_collector.py::test_when_the_queue_is_out_of_reach_nothing_is_accepted",
        ),
    ),
    mutation(
        "answer the client before Redis has answered",
        "2xx means durable",
        "analytics/queue/commit.py",
        "        try:\n"
        "            with raises_unavailable():\n"
        "                await scripts.ENQUEUE.run(\n",
        "        try:\n            _resolve(taken, None)\n            with raises_unavailable():\n"
        "                await scripts.ENQUEUE.run(\n",
        "tests/queue/test_commit.py::test_a_frozen_redis_is_unavailable_within_the_time_out_and_then_recovers",
        "tests/queue/test_commit.py::test_a_mistake_of_ours_reaches_those_it_concerns_and_no_later_append",
    ),
    mutation(
        "job bodies expire after a day, as in arq",
        "nothing acknowledged is lost",
        "analytics/queue/scripts.py",
        "redis.call('SET', '{JOB}' .. ARGV[i], ARGV[i + 2])",
        "redis.call('SET', '{JOB}' .. ARGV[i], ARGV[i + 2], 'PX', 86400000)",
        "tests/queue/test_contract.py::test_a_body_never_expires",
    ),
    mutation(
        "the queue accepts events even when it is full",
        "a full queue can still be drained",
        "analytics/queue/commit.py",
        "        self._backpressure.check()\n",
        "",
        "tests/queue/test_backpressure.py::test_the_queue_refuses_below_maxmemory_and_drains",
        "tests/queue/test_backpressure.py::test_the_queue_refuses_over_its_cap_of_events",
    ),
    mutation(
        "a burst fills Redis completely between two checks",
        "a full queue can still be drained",
        "analytics/queue/scripts.py",
        ">= limit * ARGV[2] then",
        ">= limit * 100 then",
        "tests/queue/test_backpressure.py::test_a_burst_between_two_looks_leaves_room_for_those_who_drain",
    ),
    mutation(
        "no limit on the events that wait to be written to Redis",
        "a slow Redis costs limited memory",
        "analytics/queue/commit.py",
        "if self._waiting and (\n            self._waiting_events",
        "if False and (self._waiting_events",
        "tests/queue/test_commit.py::test_more_than_may_wait_is_refused_at_once",
    ),
    mutation(
        "a Redis that may evict keys is accepted",
        "nothing acknowledged is lost",
        "analytics/queue/backpressure.py",
        'if policy != "noeviction":',
        'if policy == "unheard-of":',
        "tests/queue/test_backpressure.py::test_an_evicting_redis_is_refused_at_the_start",
        "tests/queue/test_backpressure.py::test_a_redis_that_begins_to_evict_is_refused_from_then_on",
    ),
    mutation(
        "a closing queue drops the events that wait",
        "2xx means durable",
        "analytics/queue/commit.py",
        "        await asyncio.wait([flusher], timeout=CLOSE_SECONDS)\n",
        "",
        "tests/queue/test_commit.py::test_closing_flushes_what_waits_and_then_refuses",
    ),
    Mutation(
        "Redis may fill up to its limit",
        "a full queue can still be drained",
        (
            Edit(
                "analytics/queue/backpressure.py",
                "used >= limit * self._settings.max_redis_memory:",
                "used >= limit * 2:",
            ),
            Edit("analytics/queue/scripts.py", ">= limit * ARGV[2] then", ">= limit * 2 then"),
        ),
        ("tests/queue/test_backpressure.py::test_the_queue_refuses_below_maxmemory_and_drains",),
    ),
    mutation(
        "no warning about a Redis that may lose data",
        "operators are warned about weak durability",
        "analytics/queue/backpressure.py",
        '        if not persistence["aof_enabled"]:\n',
        "        if not persistence:\n",
        "tests/queue/test_backpressure.py::test_a_redis_that_may_forget_is_warned_of_once_and_in_the_health",
    ),
    mutation(
        "no time-out for a Redis that does not answer",
        "the answer is 2xx or 503, within seconds",
        "analytics/redis/connection.py",
        "        socket_timeout=timeout,\n",
        "        socket_timeout=None,\n",
        "tests/queue/test_commit.py::test_a_frozen_redis_is_unavailable_within_the_time_out_and_then_recovers",
    ),
    # every job is stored, however often it takes
    Mutation(
        "an ordinary exception finishes the job, as in arq",
        "nothing acknowledged is lost",
        (
            Edit(
                "analytics/queue/worker.py",
                "            raise arq.Retry from error\n",
                "            raise\n",
            ),
            Edit(
                "analytics/queue/worker.py",
                "    async def finish_job(self, *_: object)",
                "    async def _unused(self, *_: object)",
            ),
        ),
        (
            "tests/queue/test_worker.py::test_whatever_the_store_raises_however_often_the_job_is_stored_in_the_end[ValueError]",
        ),
    ),
    mutation(
        "a job may only be tried five times, as in arq",
        "nothing acknowledged is lost",
        "analytics/queue/worker.py",
        "max_tries=sys.maxsize",
        "max_tries=5 if sys else 0",
        "tests/queue/test_worker.py::test_whatever_the_store_raises_however_often_the_job_is_stored_in_the_end[ValueError]",
    ),
    mutation(
        "no time-out for a store that hangs",
        "every job is stored in the end",
        "analytics/queue/gather.py",
        "            async with asyncio.timeout_at(min(waiter.deadline for waiter in taken)):\n",
        "            async with asyncio.timeout_at(None):\n",
        "tests/queue/test_worker.py::test_a_store_that_hangs_is_cut_off_at_the_time_out_and_the_job_is_tried_again",
    ),
    mutation(
        "a processor's claim on a job lasts 310 s, as in arq",
        "jobs of a killed processor are stored soon",
        "analytics/queue/worker.py",
        "hold = int(runner.in_progress_timeout_s * 1000)",
        "hold = 310_000",
        "tests/queue/test_worker.py::test_a_claim_outlasts_the_time_out_by_ten_seconds",
    ),
    mutation(
        "an error while polling ends the worker, as in arq",
        "the worker survives any error",
        "analytics/queue/worker.py",
        "                except Exception:  # whatever it is, the worker goes on\n",
        "                except LookupError:\n",
        "tests/queue/test_worker.py::test_an_error_while_polling_does_not_end_the_worker[RuntimeError]",
    ),
    mutation(
        "jobs in work stay at the head of the queue, as in arq",
        "jobs in work never hide the others",
        "analytics/queue/scripts.py",
        "    redis.call('ZADD', KEYS[1], 'XX', now + hold, id)\n",
        "",
        "tests/queue/test_worker.py::test_jobs_in_work_elsewhere_never_hide_the_others",
    ),
    mutation(
        "a processor without a running worker looks alive",
        "a processor never stops storing unnoticed",
        "analytics/roles/processor.py",
        "        if not stop.is_set():  # a processor",
        "        if stop.is_set():  # a processor",
        "tests/roles/test_processor.py::test_a_worker_that_ends_by_a_bug_ends_the_process_with_it",
    ),
    mutation(
        "arq handles the stop signals",
        "a stop is graceful",
        "analytics/queue/worker.py",
        "            handle_signals=False,\n",
        "            handle_signals=True,\n",
        "tests/queue/test_worker.py::test_signals_are_left_to_who_started_the_worker",
    ),
    mutation(
        "a payload's repr contains the whole payload",
        "no useless data is written",
        "analytics/queue/body.py",
        'return f"<{len(self.events)} events>"',
        "return repr(self.events)",
        "tests/queue/test_contract.py::test_a_payload_is_short_when_arq_takes_its_repr",
    ),
    mutation(
        "a commit that Redis does not hear of at once is stored again",
        "a Redis that restarts costs no work",
        "analytics/queue/worker.py",
        "                await asyncio.sleep(backoff(failures))\n        self._settled",
        "                raise\n        self._settled",
        "tests/queue/test_worker.py::test_a_commit_that_could_not_be_settled_at_once_is_settled_later",
    ),
    mutation(
        "a stopping processor keeps its unfinished jobs",
        "jobs of a stopped processor are stored soon",
        "analytics/queue/worker.py",
        "        try:\n"
        "            await self._release()\n"
        "        except (RedisError, OSError) as error:\n"
        "            log.warning(\n"
        '                "jobs in work',
        "        try:\n"
        "            self._again.clear()\n"
        "        except (RedisError, OSError) as error:\n"
        '            log.warning("jobs in work',
        "tests/queue/test_worker.py::test_what_does_not_finish_in_time_is_given_back_at_once",
    ),
    mutation(
        "a failing store gets the whole backlog",
        "a recovering database is not overloaded",
        "analytics/queue/gather.py",
        "        return asyncio.get_running_loop().time() < self._resume_at\n",
        "        return asyncio.get_running_loop().time() < 0\n",
        "tests/queue/test_gather.py::test_a_failing_store_is_not_handed_the_whole_backlog",
    ),
    mutation(
        "an unreadable job is deleted instead of kept as a dead letter",
        "nothing is dropped silently",
        "analytics/queue/worker.py",
        '            await self._bury(job_id, events, job or b"", *_fault(job))\n',
        "            await asyncio.sleep(0)\n",
        "tests/queue/test_worker.py::test_what_cannot_be_run_is_buried_before_it_is_removed",
    ),
    mutation(
        "remove the job from the queue before the commit",
        "nothing acknowledged is lost",
        "analytics/queue/gather.py",
        "                outcomes = await self._store(jobs)\n"
        "                await self._settle(jobs, outcomes)\n",
        "                await self._settle(jobs, [Outcome(stored=len(job.events)) for job in "
        "jobs])\n"
        "                await self._store(jobs)\n",
        "tests/queue/test_gather.py::test_a_transient_failure_sends_every_job_of_the_transaction_back",
    ),
    mutation(
        "one bad job fails all jobs of its transaction",
        "a faulty job fails alone",
        "analytics/queue/gather.py",
        "            if len(taken) == 1:\n"
        "                _resolve(taken, error)\n"
        "            else:",
        "            _resolve(taken, error)\n            if not taken:",
        "tests/queue/test_gather.py::test_one_bad_job_fails_alone_and_holds_up_nobody",
    ),
    mutation(
        "a transaction that took too long is retried with the same size",
        "nothing acknowledged waits forever",
        "analytics/queue/gather.py",
        "        self._limit = max(1, self._limit // SHRINK)\n",
        "",
        "tests/queue/test_gather.py::test_a_store_too_slow_for_full_transactions_is_given_smaller_ones_until_they_commit",
    ),
    mutation(
        "a processor gives back a claim that another one now holds",
        "no job is worked on twice for long",
        "analytics/queue/scripts.py",
        "  if redis.call('GET', lock) == ARGV[1] then\n",
        "  if redis.call('GET', lock) ~= '' then\n",
        "tests/queue/test_scripts.py::test_a_claim_that_another_holds_by_now_is_not_given_back",
    ),
    mutation(
        "finishing a job twice counts it twice",
        "the books balance",
        "analytics/queue/scripts.py",
        "  if redis.call('ZREM', KEYS[1], id) == 1 then\n",
        "  if redis.call('ZREM', KEYS[1], id) >= 0 then\n",
        "tests/queue/test_scripts.py::test_settling_again_changes_nothing",
    ),
    mutation(
        "a dead letter may be queued twice at once",
        "the books balance",
        "analytics/queue/scripts.py",
        "  if redis.call('SISMEMBER', KEYS[4], number) == 1 then return -1 end\n",
        "",
        "tests/queue/test_reader.py::test_replayed_dead_letters_are_queued_again_and_counted_once",
    ),
    # counted exactly once
    mutation(
        "skip the ledger",
        "one id is one event",
        "analytics/stores/writing/transaction.py",
        "        await storing.drop_remembered()\n",
        "",
        "tests/stores/writing/test_transaction.py::test_a_retry_with_another_timestamp_is_one_event[plain]",
    ),
    mutation(
        "repeats inside a batch are not detected",
        "one id is one event",
        "analytics/stores/writing/transaction.py",
        "        storing.drop_repeated()\n",
        "",
        "tests/stores/writing/test_transaction.py::test_a_retry_in_the_same_transaction_is_counted_for_its_own_job[plain]",
    ),
    mutation(
        "the ledger ignores the project of an id",
        "the same id in two projects is two events",
        "analytics/stores/writing/transaction.py",
        "        return self.events[position].project, self.events[position].id\n",
        '        return "default", self.events[position].id\n',
        "tests/stores/writing/test_transaction.py::test_the_same_id_in_two_projects_is_two_events[plain]",
    ),
    mutation(
        "the ledger forgets an id when it first changes tables",
        "one id is one event, for LEDGER_DAYS at least",
        "analytics/stores/writing/ledger.py",
        "UNION ALL\nSELECT project, id FROM event_ledger_1 WHERE id = ANY($1::uuid[])\n",
        "UNION ALL\n"
        "SELECT project, id FROM event_ledger_1 WHERE id = ANY($1::uuid[]) AND (SELECT slot FROM "
        "ledger_turn) = 1\n",
        "tests/stores/writing/test_ledger.py",
    ),
    mutation(
        "a row that already exists counts as stored",
        "raw rows and rollups change together",
        "analytics/stores/writing/transaction.py",
        "        self._drop(known)\n\n    async def _attempt",
        "        self._drop([])\n\n    async def _attempt",
        "tests/stores/writing/test_transaction.py::test_an_import_repeated_after_the_ledgers_window_changes_nothing[plain]",
    ),
    mutation(
        "the namespace for ids changes",
        "one id is one event, in every release",
        "analytics/events.py",
        "8f0ff4a5-6ad7-5f5c-9c0e-5d7a4c1b2e90",
        "8f0ff4a5-6ad7-5f5c-9c0e-5d7a4c1b2e91",
        "tests/protocols/test_native.py::test_one_id_is_one_event_in_any_case",
    ),
    mutation(
        "each statement commits separately",
        "raw rows and rollups change together",
        "analytics/stores/writing/transaction.py",
        "    async with connection.transaction():\n        slot",
        "    if connection:\n        slot",
        "tests/stores/writing/test_transaction.py::test_a_transaction_that_fails_leaves_nothing",
    ),
    mutation(
        "a job that is delivered again after its commit is stored again",
        "counted exactly once",
        "analytics/stores/writing/transaction.py",
        "await stored_jobs.recorded(connection, [job.id for job in jobs])",
        "{}",
        "tests/stores/writing/test_transaction.py::test_a_redelivered_job_gets_its_recorded_outcome[plain]",
    ),
    mutation(
        "outcomes of jobs are not recorded",
        "counted exactly once",
        "analytics/stores/writing/transaction.py",
        "        await storing.record_jobs()\n",
        "        storing.outcomes |= {job.id: Outcome(len(job.events)) for job in storing.jobs}\n",
        "tests/stores/writing/test_transaction.py::test_a_redelivery_of_events_without_ids_is_one_event[plain]",
        "tests/stores/writing/test_transaction.py::test_a_redelivered_job_gets_its_recorded_outcome[plain]",
    ),
    mutation(
        "counts are updated unsorted",
        "no deadlock",
        "analytics/stores/writing/daily.py",
        "ORDER BY project, date, dimension_key, dimension_value\n",
        "ORDER BY random()\n",
        "tests/stores/writing/test_transaction.py::test_overlapping_shuffled_batches_never_deadlock[days]",
    ),
    Mutation(
        "ids enter the ledger unsorted",
        "no deadlock",
        (
            Edit(
                "analytics/stores/writing/ledger.py",
                'ORDER BY id, project COLLATE "C"\n',
                "ORDER BY random()\n",
            ),
            Edit(
                "analytics/stores/writing/ledger.py",
                "    records = sorted(((id_, project) for project, id_ in ids), key=_order)\n",
                "    records = list({(id_, project) for project, id_ in ids})\n",
            ),
        ),
        (
            "tests/stores/writing/test_ledger.py::test_ids_are_written_in_one_order",
            "tests/stores/writing/test_transaction.py::test_overlapping_shuffled_batches_never_deadlock[ids]",
        ),
    ),
    # poison
    mutation(
        "no bisection: one unstorable event fails its whole batch",
        "valid events are stored",
        "analytics/stores/writing/transaction.py",
        "            if len(positions) == 1:\n"
        "                self.poison.append((positions[0], error))\n"
        "                self.left.remove(positions[0])\n",
        "            if positions:\n"
        "                self.poison += [(each, error) for each in positions]\n"
        "                self.left = [each for each in self.left if each not in positions]\n",
        "tests/stores/test_faults.py::test_one_poison_event_in_500_is_one_dead_letter",
    ),
    mutation(
        "an unknown schema makes dead letters (SQLSTATE 42)",
        "an event that can be stored later never becomes a dead letter",
        "analytics/stores/faults.py",
        'POISON = ("22", "23", "54", "21")',
        'POISON = ("22", "23", "54", "21", "42")',
        "tests/stores/test_faults.py::test_a_schema_that_is_not_ours_alerts_and_never_dead_letters",
    ),
    mutation(
        "a full disk makes dead letters (SQLSTATE 53)",
        "an event that can be stored later never becomes a dead letter",
        "analytics/stores/faults.py",
        'POISON = ("22", "23", "54", "21")',
        'POISON = ("22", "23", "54", "21", "53")',
        "tests/stores/test_faults.py::test_what_an_error_means_is_decided_by_its_sqlstate",
    ),
    mutation(
        "a temporarily read-only database counts as a wrong schema (SQLSTATE 25006)",
        "a failover raises no alarm",
        "analytics/stores/faults.py",
        'READ_ONLY = "25006"',
        'READ_ONLY = "25000"',
        "tests/stores/test_faults.py::test_what_an_error_means_is_decided_by_its_sqlstate",
    ),
    mutation(
        "the id of a dead letter stays in the ledger",
        "a dead letter can be replayed",
        "analytics/stores/writing/transaction.py",
        "            await self._forget([position for position in refused if "
        "self.events[position].named])\n",
        "            await self._forget([])\n",
        "tests/stores/test_faults.py::test_the_id_of_a_dead_letter_is_free_for_its_replay[plain]",
    ),
    # bad input is named
    Mutation(
        "no limit on nesting",
        "an error names the bad input",
        (
            Edit("analytics/protocols/native.py", "and metadata.too_deep(text):", "and False:"),
            Edit(
                "analytics/protocols/metadata.py",
                "    if depth > MAX_DEPTH:\n",
                "    if depth > 900:\n",
            ),
        ),
        (
            "tests/protocols/test_metadata.py::test_metadata_that_cannot_be_stored_is_refused_by_name",
        ),
    ),
    mutation(
        "NUL characters are accepted",
        "an error names the bad input",
        "analytics/protocols/characters.py",
        '_UNFIT = re.compile("[\\x00\\ud800-\\udfff]")',
        '_UNFIT = re.compile("[\\ud800-\\udfff]")',
        "tests/protocols/test_native.py::test_a_fault_is_named_with_its_field",
        "tests/protocols/test_metadata.py::test_metadata_that_cannot_be_stored_is_refused_by_name",
    ),
    mutation(
        "a timestamp far in the future becomes now",
        "a timestamp is never changed",
        "analytics/protocols/clock.py",
        "        if moment > self.latest:\n            raise self._late()\n",
        "        if moment > self.latest:\n            return self.received\n",
        "tests/protocols/test_clock.py::test_a_timestamp_that_cannot_be_kept_is_refused_never_clamped",
    ),
    mutation(
        "no limit on a decompressed body",
        "memory stays flat",
        "analytics/roles/collector/inflate.py",
        "    text = stream.decompress(data, MAX_INFLATED_BYTES + 1)\n",
        "    text = stream.decompress(data)\n",
        "tests/roles/collector/test_inflate.py::test_a_bomb_costs_no_more_memory_than_the_largest_body[gzip]",
    ),
    mutation(
        "a request may have both Content-Length and Transfer-Encoding",
        "no request smuggling",
        "analytics/roles/http/shield.py",
        'if {b"content-length", b"transfer-encoding"} <= {name for name, _ in scope["headers"]}:',
        "if scope is None:",
        "tests/roles/http/test_shield.py::test_a_request_of_two_lengths_is_refused_and_its_connection_closed",
    ),
    mutation(
        "a body may take forever",
        "a slow client delays nobody else",
        "analytics/roles/collector/body.py",
        "        async with asyncio.timeout(BODY_SECONDS):\n",
        "        async with asyncio.timeout(None):\n",
        "tests/roles/collector/test_body.py::test_a_body_that_comes_drop_by_drop_is_cut_off_though_it_never_stops",
    ),
    # keys, tenants, readers
    Mutation(
        "API keys are stored and compared in plain text",
        "only the digest of a key is stored",
        (
            Edit(
                "analytics/projects/key.py",
                'return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()',
                'return token.encode("utf-8", "surrogatepass")',
            ),
        ),
        (
            "tests/projects/test_register.py::test_only_the_digest_and_a_short_beginning_of_a_key_are_stored",
        ),
    ),
    mutation(
        "scopes of keys are not checked",
        "a write key may only write",
        "analytics/projects/key.py",
        '    if scope not in key.scopes and "admin" not in key.scopes:\n',
        "    if not key.scopes:\n",
        "tests/projects/test_key.py::test_a_key_opens_its_project_for_its_scopes_and_origins_only",
    ),
    mutation(
        "a key works for every project",
        "data never crosses tenants",
        "analytics/projects/key.py",
        "    if project is not None and key.project not in (None, project):\n",
        "    if project is not None and key.project not in (None, project) and not key.project:\n",
        "tests/security/test_tenants.py::test_every_question_about_another_tenant_is_403_and_says_nothing",
    ),
    mutation(
        "a query does not filter by project",
        "data never crosses tenants",
        "analytics/queries/language/query.py",
        "        return [raw_events.c.project == self.project]\n",
        "        return []\n",
        "tests/security/test_tenants.py::test_numbers_are_of_the_tenant_who_asks",
    ),
    mutation(
        "nginx's cache ignores the API key",
        "data never crosses tenants",
        "nginx/locations.conf",
        "|$http_authorization|$http_x_api_key|",
        "|",
        "tests/deploy/test_nginx_rules.py::test_a_cached_answer_is_for_the_key_that_asked[nginx]",
    ),
    mutation(
        "the name of a cached answer ignores the key's project",
        "data never crosses tenants",
        "analytics/queries/answers/cache.py",
        "msgspec.json.encode([version, path, scope, parameters], ",
        "msgspec.json.encode([version, path, {k: v for k, v in parameters.items() if k != "
        '"project"}], ',
        "tests/queries/answers/test_cache.py::test_an_answer_is_never_another_tenants",
    ),
    mutation(
        "realtime shows every project to every client",
        "data never crosses tenants",
        "analytics/roles/realtime/subscriptions.py",
        'authorize(key, "realtime", request.project)',
        'request.project or "default"',
        "tests/security/test_tenants.py::test_no_stream_of_another_tenant_is_opened",
        "tests/roles/realtime/test_subscriptions.py::test_two_tenants_never_see_each_other",
    ),
    mutation(
        "a revoked key works for an hour",
        "a key is revoked within a minute",
        "analytics/projects/key_cache.py",
        "FRESH_SECONDS = 25.0",
        "FRESH_SECONDS = 3600.0",
        "tests/security/test_keys.py::test_a_revoked_key_is_refused_within_a_minute_by_every_role",
    ),
    mutation(
        "known keys fail during an outage",
        "known keys work during an outage",
        "analytics/projects/key_cache.py",
        "            if known is None:\n                raise\n            return known.key\n",
        "            raise\n",
        "tests/projects/test_key_cache.py::test_known_keys_work_through_an_outage_and_the_source_is_not_asked_at_every_request",
    ),
    mutation(
        "X-Real-IP is trusted from any address",
        "an address cannot be forged",
        "analytics/roles/http/real_client.py",
        "        return any(address in network for network in self.trusted)\n",
        "        return address is not None\n",
        "tests/roles/http/test_real_client.py::test_only_a_trusted_proxy_is_believed",
    ),
    mutation(
        "a foreign page may use realtime",
        "foreign origins are refused",
        "analytics/roles/realtime/admission.py",
        '        if origin is not None and origin.encode("latin-1") not in self._origins:\n',
        "        if origin is None and not headers:\n",
        "tests/roles/realtime/test_admission.py::test_a_foreign_origin_is_refused_at_the_handshake",
    ),
    mutation(
        "rate limits do not count requests",
        "a client that sends too much is told to wait",
        "analytics/roles/collector/limits.py",
        "        if wait_s > _ROUNDING_S:\n",
        "        if wait_s > 1e9:\n",
        "tests/roles/collector/test_collector.py::test_too_many_requests_are_429_for_their_sender_only",
    ),
    mutation(
        "logs are written without redaction",
        "logs contain no key and no person",
        "analytics/logs.py",
        "    return redact(record.getMessage())\n",
        "    return record.getMessage()\n",
        "tests/test_logs.py",
    ),
    mutation(
        "a metric label is the path that a client sent",
        "metrics cannot be injected",
        "analytics/roles/api.py",
        'endpoint = _NAMES.get(scope.get("endpoint", None), "other")',
        'endpoint = scope["path"].removeprefix(PREFIX)',
        "tests/roles/test_api.py::test_queries_are_counted_by_declared_endpoint_and_status",
    ),
    mutation(
        "every event type gets its own label",
        "the number of metrics stays small",
        "analytics/metrics.py",
        "            if len(self._words) >= self._limit:\n",
        "            if self._limit < 0:\n",
        "tests/test_metrics.py::test_a_vocabulary_keeps_the_words_seen_first_and_calls_the_rest_other",
    ),
    mutation(
        "metric labels are not escaped",
        "metrics cannot be injected",
        "analytics/metrics.py",
        "self._words[text] = escape(text)",
        "self._words[text] = text",
        "tests/test_metrics.py::test_an_event_type_writes_no_line_of_its_own",
    ),
    mutation(
        "an unwritten copy of the keys in Redis is trusted",
        "a key that cannot be checked is never called bad",
        "analytics/redis/key_mirror.py",
        "        if key is None and not synced:\n",
        "        if key is None and synced is None:\n",
        "tests/redis/test_key_mirror.py::test_without_a_mirror_nothing_is_said_of_a_key",
    ),
    mutation(
        "a realtime client continues with a revoked key",
        "a key is revoked within a minute",
        "analytics/roles/realtime/admission.py",
        "            except Unauthorized as error:\n                return error\n",
        "            except Unauthorized:\n                continue\n",
        "tests/roles/realtime/test_admission.py::test_a_key_revoked_while_connected_ends_the_connection",
    ),
    # the live stream
    mutation(
        "publish before the commit",
        "only committed events are shown",
        "analytics/roles/processor.py",
        "        written = await self.store.write(jobs)\n"
        "        await live.publish(self.redis, written.stored)\n",
        "        await live.publish(self.redis, [event for job in jobs for event in job.events])\n"
        "        written = await self.store.write(jobs)\n",
        "tests/roles/test_processor.py::test_only_what_is_committed_is_shown",
    ),
    mutation(
        "realtime still sends to a client that has left",
        "the end of one client does not affect the others",
        "analytics/live/bus.py",
        "            if watcher in channel.watchers:",
        "            if channel.watchers is not None:",
        "tests/live/test_bus.py::test_who_leaves_while_others_are_told_hears_nothing_more",
    ),
    mutation(
        "no limit on messages that wait for a slow client",
        "a slow client affects only itself",
        "analytics/roles/realtime/outbox.py",
        "        return len(self._waiting) >= MAX_MESSAGES or self._size_bytes >= MAX_BYTES\n",
        "        return len(self._waiting) < 0\n",
        "tests/roles/realtime/test_outbox.py::test_events_without_room_are_skipped_and_told_as_a_gap",
    ),
    mutation(
        "clients do not learn that realtime missed events",
        "a gap is reported exactly",
        "analytics/live/bus.py",
        "        if channel.total is not None and first != channel.total:\n",
        "        if channel.total is None:\n",
        "tests/live/test_bus.py::test_a_gap_is_told_without_waiting_for_the_next_event",
    ),
    # honest answers
    mutation(
        "the watermark is read after the snapshot",
        "answers are honest",
        "analytics/queries/answers/answer.py",
        "            data = await question.answer(query, snapshot)\n",
        "            data = await question.answer(query, snapshot)\n"
        "            request = request._replace(horizon=await _horizon(sources))\n",
        "tests/roles/test_api.py::test_the_watermark_is_read_before_the_snapshot",
    ),
    mutation(
        "a cached answer is used without checking for changes",
        "answers are honest",
        "analytics/queries/answers/cache.py",
        "        if cached is not None and await holds(cached):\n",
        "        if cached is not None:\n",
        "tests/queries/answers/test_cache.py::test_what_was_answered_is_given_again_until_an_event_comes_late",
        "tests/queries/answers/test_cache.py::test_rows_that_somebody_removes_are_gone_from_the_next_answer",
    ),
    mutation(
        "a retry moves the watermark",
        "answers are honest",
        "analytics/queue/scripts.py",
        "    redis.call('ZADD', KEYS[1], 'XX', now + ARGV[i + 1], ARGV[i])\n",
        "    redis.call('ZADD', KEYS[1], 'XX', now + ARGV[i + 1], ARGV[i])\n"
        "    redis.call('ZADD', KEYS[2], 'XX', now + ARGV[i + 1], ARGV[i])\n",
        "tests/queue/test_reader.py::test_retries_do_not_move_the_watermark",
    ),
    mutation(
        "remembered counts without people answer questions about people",
        "answers are honest",
        "analytics/queries/database/memory.py",
        "        if entry is None or people > entry.people:\n",
        "        if entry is None:\n",
        "tests/queries/database/test_memory.py::test_memory_of_counts_alone_does_not_answer_for_people_nor_replace_theirs",
    ),  # the operator's terminal,
    mutation(
        "work that swallows a cancellation is not cancelled again",
        "a stop is graceful",
        "analytics/tasks.py",
        "                loop.call_later(REPEAT_SECONDS, cancel)\n",
        "                pass\n",
        "tests/test_tasks.py::test_ctrl_c_when_a_time_out_is_no_longer_needed_is_not_lost",
    ),
    mutation(
        "a stray quote takes the lines after it along",
        "an error names the bad input",
        "analytics/importing/table.py",
        "            self._feed.put_back()\n",
        "            pass\n",
        "tests/importing/test_table.py::test_a_stray_quote_costs_its_own_line_and_no_other",
    ),
    mutation(
        "lines of one instant are imported in any order",
        "answers are honest",
        "analytics/importing/judge.py",
        'number.to_bytes(6, "big") + digest[:10]',
        "digest[:16]",
        "tests/importing/test_importer.py::test_events_of_one_instant_stay_in_the_order_of_the_file",
    ),
    mutation(
        "an import that rejected lines ends with status 0",
        "an error names the bad input",
        "analytics/commands/import_.py",
        "        if refused:\n",
        "        if False:\n",
        "tests/commands/test_import.py::test_a_file_of_another_product_is_made_to_fit_by_options",
        "tests/commands/test_import.py::test_an_interrupted_command_ends_with_130_and_the_same_command_completes_it",
    ),
    mutation(
        "events in the guide's own table are left behind",
        "nothing acknowledged is lost",
        "analytics/stores/guide.py",
        '        place = (rows[-1]["timestamp"], rows[-1]["id"])\n',
        "        return\n",
        "tests/stores/test_guide.py::test_carrying_over_goes_on_after_an_interruption",
    ),
    # one address, one visitor
    mutation(
        "a mapped address is an address of its own",
        "there are as many people as addresses",
        "analytics/ip.py",
        "(address in MAPPED or address in NAT64)",
        "address in NAT64",
        "tests/pipeline/test_visitor.py::test_there_are_as_many_people_as_addresses_in_every_spelling",
    ),
    mutation(
        "a list of hops is read from the left",
        "an address cannot be forged",
        "analytics/ip.py",
        "    for entry in reversed(text.rsplit(",
        "    for entry in (text.rsplit(",
        "tests/roles/http/test_real_client.py::test_without_x_real_ip_the_first_hop_from_the_right_that_is_not_trusted_counts",
    ),
    mutation(
        "of several lines of X-Forwarded-For the first counts",
        "an address cannot be forged",
        "analytics/roles/http/headers.py",
        '    return b", ".join(value for given, value in headers if given == name)\n',
        '    return next((value for given, value in headers if given == name), b"")\n',
        "tests/roles/http/test_real_client.py::test_without_x_real_ip_the_first_hop_from_the_right_that_is_not_trusted_counts",
    ),
    # numbers
    mutation(
        "our own protocol keeps a number as it was written",
        "a number has one form",
        "analytics/protocols/native.py",
        "metadata.canonical if glance.uncanonical else bytes",
        "bytes",
        "tests/protocols/test_numbers.py::test_a_number_has_one_form",
    ),
    mutation(
        "a number loses its last digits",
        "a number has one form",
        "analytics/protocols/numbers.py",
        "    return _EXACT.normalize(value)\n",
        "    return value.normalize()\n",
        "tests/protocols/test_numbers.py::test_a_number_has_one_form",
    ),
    mutation(
        "a number that came as text stays text",
        "sums of other products' numbers are right",
        "analytics/protocols/numbers.py",
        "of(value) if name in names else value",
        "value",
        "tests/protocols/test_numbers.py::test_a_field_that_a_protocol_calls_a_number_is_one_though_it_came_as_text",
    ),
    mutation(
        "a small number becomes a very long one",
        "a body stays as large as it was sent",
        "analytics/protocols/numbers.py",
        " and value.adjusted() < len(text) + MAX_ADDED_DIGITS",
        "",
        "tests/protocols/test_numbers.py::test_a_number_is_the_same_number_afterwards_and_no_body_grows_out_of_bounds",
    ),
    # pages
    mutation(
        "a relative address has no page",
        "every page is counted",
        "analytics/pipeline/page.py",
        "    return None if parts is None or parts.scheme or parts.netloc else parts\n",
        "    return None\n",
        "tests/protocols/test_umami.py::test_a_relative_url_is_a_page_of_the_host_and_the_site_is_no_referrer",
    ),
    mutation(
        "a project that does not exist is a row of zeros",
        "answers are honest",
        "analytics/queries/answers/answer.py",
        "        await sources.projects.require(query.project)\n",
        "        pass\n",
        "tests/roles/test_api.py::test_a_project_that_does_not_exist_is_named_only_to_who_may_read_every_project",
    ),
    mutation(
        "a key learns whether another project exists",
        "data never crosses tenants",
        "analytics/queries/answers/answer.py",
        '    authorize(key, "query", query.project)\n'
        "    if sources.projects is not None and key.project is None:\n"
        "        await sources.projects.require(query.project)\n",
        "    if sources.projects is not None:\n"
        "        await sources.projects.require(query.project)\n"
        '    authorize(key, "query", query.project)\n',
        "tests/roles/test_api.py::test_a_project_that_does_not_exist_is_named_only_to_who_may_read_every_project",
    ),
    mutation(
        "an empty key of metadata is one group",
        "answers are honest",
        "analytics/queries/language/fields.py",
        '        if "" in keys:\n',
        "        if False:\n",
        "tests/queries/language/test_fields.py::test_what_is_no_field_is_refused_in_words",
    ),
    mutation(
        "history older than the default range is silence",
        "answers are honest",
        "analytics/queries/answers/answer.py",
        "            advice = await hint(query, snapshot)\n",
        "            advice = None\n",
        "tests/queries/answers/test_hint.py::test_every_question_about_a_range_says_where_the_events_are",
    ),
    mutation(
        "a local time that clocks skip is an hour late",
        "answers are honest",
        "analytics/queries/language/times.py",
        "    if instant.astimezone(zone).replace(tzinfo=None) == local:\n        return instant\n",
        "    if instant:\n        return instant\n",
        "tests/queries/language/test_times.py::test_a_moment_without_an_offset_is_local",
    ),
    mutation(
        "pages of any origin may ask the api",
        "data never crosses tenants",
        "analytics/roles/api.py",
        "Origins(settings.api_cors_origins, EXPOSED)",
        'Origins(("*",), EXPOSED)',
        "tests/roles/test_api.py::test_other_pages_may_not_and_by_default_none_may",
    ),
    mutation(
        "an event's name writes on the operator's terminal",
        "what is shown is text",
        "analytics/terminal.py",
        "    if text.isprintable():\n",
        "    if text:\n",
        "tests/test_terminal.py::test_what_a_terminal_obeys_is_shown_as_its_escape",
        "tests/commands/test_hostile_text.py::test_the_escape_is_what_the_operator_sees",
    ),
    mutation(
        "a log line in production shows C1 characters as they are",
        "what is shown is text",
        "analytics/logs.py",
        "        return visible_json(msgspec.json.encode(line).decode())\n",
        "        return msgspec.json.encode(line).decode()\n",
        "tests/test_logs.py::test_no_log_line_holds_what_a_terminal_obeys",
    ),
    mutation(
        "a formula from a public key is calculated by a spreadsheet that was to be spared",
        "what is shown is text",
        "analytics/queries/questions/export/formats.py",
        "            yield escaped(cell) if cell and self.escape else cell\n",
        "            yield cell\n",
        "tests/queries/questions/export/test_formats.py::test_formulas_are_kept_or_escaped_as_asked_and_numbers_stay",
    ),
    # other products' rules
    mutation(
        "two devices' events with one insert_id are one event",
        "one id is one event only where the product says so",
        "analytics/protocols/translate.py",
        "    return str(joint_id(sent_id, *together)) if together or unfit(sent_id) else sent_id\n",
        "    return sent_id\n",
        "tests/protocols/test_amplitude.py::test_one_insert_id_is_one_event_only_on_one_device",
        "tests/protocols/test_mixpanel.py::test_one_insert_id_is_one_event_only_with_name_time_and_person",
        "tests/protocols/test_posthog.py::test_one_uuid_is_one_event_only_with_name_person_and_time",
    ),
    mutation(
        "the id of the release before is not looked up",
        "one id is one event, in every release",
        "analytics/stores/writing/transaction.py",
        "        known = await ledger.known("
        "self.connection, [*self._ids(named), *self._formers(named)])\n",
        "        known = await ledger.known(self.connection, self._ids(named))\n",
        "tests/stores/writing/test_transaction.py::test_what_an_earlier_release_stored_under_another_id_is_still_one_event",
    ),
    mutation(
        "an event is not found by its sender's own id",
        "answers are honest",
        "analytics/queries/questions/events/whereabouts.py",
        "    found = union(by_id, by_own_id)",
        "    found = union(by_id, by_id)",
        "tests/queries/questions/events/test_whereabouts.py::test_a_senders_own_id_finds_all_events_that_carry_it_newest_first",
    ),
    mutation(
        "an event without a key goes by that of the first",
        "data never crosses tenants",
        "analytics/protocols/translate.py",
        "        keys = [key_of(item) for item in items]\n",
        "        keys = [key_of(items[0])] * len(items)\n",
        "tests/protocols/test_bulks.py::test_each_event_goes_by_its_own_key_though_the_first_has_none",
    ),
    mutation(
        "one refused key refuses the whole request",
        "a refused key costs none of the others",
        "analytics/roles/collector/intake.py",
        "        if len(refusals) == len(admissions):\n",
        "        if refusals:\n",
        "tests/roles/collector/test_intake.py::test_of_several_keys_a_refused_one_costs_none_of_the_others",
    ),
    mutation(
        "a bad character refuses its event",
        "a bad character costs no event of other products",
        "analytics/protocols/translate.py",
        "                    if error.code != BAD:\n                        raise\n",
        "                    raise\n",
        "tests/protocols/test_bulks.py::test_one_bad_character_is_replaced_and_costs_no_event",
    ),
    mutation(
        "mending makes two keys one",
        "a bad character costs no event of other products",
        "analytics/protocols/characters.py",
        "            while name in taken:\n",
        "            while False:\n",
        "tests/protocols/test_characters.py::test_keys_that_mending_makes_equal_keep_their_values_and_a_good_key_its_name",
    ),
    mutation(
        "a placeholder is a name like any other",
        "nobody becomes somebody else",
        "analytics/stores/identity/claims.py",
        "    return name.lower() in PLACEHOLDERS\n",
        "    return name in ()\n",
        "tests/stores/identity/test_claims.py::test_a_placeholder_is_nobodys_name_on_either_side",
    ),
    # work and answers have bounds
    mutation(
        "an event may be as large as its request",
        "one event costs limited memory",
        "analytics/protocols/validate.py",
        "    if len(encoded) > max_bytes:\n",
        "    if len(encoded) > max_bytes * 1000:\n",
        "tests/protocols/test_native.py::test_metadata_is_measured_as_it_is_stored",
        "tests/roles/collector/test_collector.py::test_an_event_of_ten_megabytes_costs_none_of_its_neighbours",
    ),
    mutation(
        "a request may have any number of events",
        "one request costs limited work",
        "analytics/protocols/protocol.py",
        "    if events > MAX_REQUEST_EVENTS:\n",
        "    if events < 0:\n",
        "tests/protocols/test_native.py::test_no_body_holds_more_events_than_a_request_may",
        "tests/roles/collector/test_collector.py::test_a_request_of_200_000_empty_events_costs_little_and_hears_so_in_few_bytes",
    ),
    mutation(
        "events are counted only once they are decoded",
        "one request costs limited work",
        "analytics/protocols/protocol.py",
        "    bound_count(max(counts, default=0))\n",
        "    return\n",
        "tests/protocols/test_protocol.py::test_too_many_events_are_counted_before_they_are_decoded",
    ),
    mutation(
        "many small events are judged on the loop",
        "one request delays nobody else",
        "analytics/roles/collector/body.py",
        "        if size > THREAD_BYTES\n",
        "        if size > THREAD_BYTES * 100\n",
        "tests/roles/collector/test_collector.py::test_50_000_empty_events_are_judged_in_a_thread_and_a_hundred_of_them_are_named",
    ),
    mutation(
        "an answer names every event that was rejected",
        "one request costs limited memory",
        "analytics/protocols/protocol.py",
        '            said["rejected"] = self.rejected[:MAX_NAMED]\n',
        '            said["rejected"] = self.rejected\n',
        "tests/protocols/test_native.py::test_of_very_many_rejections_a_reply_names_the_first_hundred_and_counts_all",
    ),
    mutation(
        "a request may have any number of keys to look up",
        "one request costs limited work",
        "analytics/protocols/translate.py",
        "        if len(different) > MAX_REQUEST_KEYS:\n",
        "        if not items:\n",
        "tests/protocols/test_translate.py::test_a_request_has_a_bounded_number_of_keys_to_look_up",
    ),
    mutation(
        "the body does not say what was dropped",
        "nothing is dropped silently",
        "analytics/roles/collector/collector.py",
        "    if result.dropped:\n",
        "    if not result:\n",
        "tests/protocols/test_bulks.py::test_what_was_dropped_is_counted_in_a_body_that_says_success",
    ),
    mutation(
        "the paths of our own protocol allow no credentials",
        "pages may send with credentials",
        "analytics/roles/collector/collector.py",
        "    paths = [path for protocol in PROTOCOLS for path in",
        "    paths = [path for protocol in PROTOCOLS if protocol.foreign for path in",
        "tests/roles/http/test_cors.py::test_preflights_are_answered_so_that_pages_may_send_with_credentials",
    ),
)
