"""Clients of ClickHouse after a failure."""

import pytest

from duoscope.kernel.errors import DuoscopeError


async def test_rows_of_a_failed_query_are_in_no_answer_to_anybody(telemetry_store, new_scope):
    """The engine keeps what a query had written when it failed, and puts it before that client's next answer."""
    query = "SELECT number, repeat('s', 3000) AS text FROM numbers(20) ORDER BY number"
    for _ in range(3):
        with pytest.raises(DuoscopeError) as caught:
            await telemetry_store.bind(new_scope()).query(
                query, name="test", settings={"max_block_size": 1, "max_result_bytes": 30_000, "max_threads": 1}
            )
        assert caught.value.code == "query-too-expensive"
        assert await telemetry_store.bind(new_scope()).query("SELECT 7 AS number", name="test") == [{"number": 7}]
