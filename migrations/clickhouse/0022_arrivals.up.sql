-- When requests arrived, for the tenant that sent them: the ledger keeps two days.
CREATE VIEW IF NOT EXISTS arrivals AS
SELECT received_at, signal, api_key_id, items, stored
FROM ingest_ledger
WHERE workspace_id = {workspace_id:UUID} AND tenant_id = {tenant_id:UUID};
