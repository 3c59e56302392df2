CREATE MATERIALIZED VIEW IF NOT EXISTS ingest_ledger_to_ingest_rejections TO ingest_rejections AS
SELECT
    organization_id,
    workspace_id,
    tenant_id,
    toStartOfMinute(received_at) AS minute,
    signal,
    api_key_id,
    reason,
    count() AS requests,
    sum(refused) AS items
FROM ingest_ledger
ARRAY JOIN mapKeys(rejected) AS reason, mapValues(rejected) AS refused
GROUP BY organization_id, workspace_id, tenant_id, minute, signal, api_key_id, reason;
