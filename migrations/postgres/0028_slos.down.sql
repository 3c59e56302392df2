ALTER TABLE receivers DROP COLUMN waiting_since;
DROP TABLE alert_query_seconds;
-- Rules over other rules cannot be read any more.
ALTER TABLE alert_rules NO FORCE ROW LEVEL SECURITY;
DELETE FROM alert_rules WHERE query_type = 'rules';
ALTER TABLE alert_rules
    DROP CONSTRAINT alert_rules_query_type_check,
    ADD CONSTRAINT alert_rules_query_type_check
        CHECK (query_type IN ('metric', 'log', 'trace', 'promql', 'formula')),
    DROP COLUMN leased_by,
    DROP COLUMN last_note,
    DROP COLUMN last_outcome,
    DROP COLUMN slo_id,
    FORCE ROW LEVEL SECURITY;
DROP TABLE slos;
