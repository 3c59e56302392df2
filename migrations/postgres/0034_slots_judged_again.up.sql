-- The first slot since which none was left out, under the same question, condition and policy: no earlier one is judged
-- again (docs/adr/0044).
ALTER TABLE alert_rules ADD COLUMN judged_since timestamptz;

-- What is told now: read for lists, for inhibition, and to end what fires of tenants that are gone.
CREATE INDEX alert_instances_active ON alert_instances (tenant_id, alert_rule_id) WHERE status <> 'inactive';
