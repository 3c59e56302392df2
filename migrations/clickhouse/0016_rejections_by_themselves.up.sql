-- Receivers insert what was rejected, when there is something: a view would be analysed at every INSERT into the ledger.
DROP VIEW IF EXISTS ingest_ledger_to_ingest_rejections;
