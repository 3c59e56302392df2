-- What arrived since a look (docs/adr/0015): a row keeps the number of the block that it came in. INSERTs pay nothing for
-- it, and merges write one more column, whose values are all the same for long stretches.
ALTER TABLE logs_v3 MODIFY SETTING enable_block_number_column = 1;

-- Log records with where they were stored. The name of a part says its first and last block, so a condition on these
-- leaves parts out unread.
CREATE VIEW IF NOT EXISTS log_arrivals AS
SELECT
    * EXCEPT (organization_id, workspace_id, tenant_id), observed_timestamp, resource_attributes, log_attributes,
    _partition_id AS block_partition,
    toInt64(_block_number) AS block,
    toInt64(splitByChar('_', _part)[2]) AS part_first_block,
    toInt64(splitByChar('_', _part)[3]) AS part_last_block
FROM logs_v3
WHERE workspace_id = {workspace_id:UUID} AND tenant_id = {tenant_id:UUID};
