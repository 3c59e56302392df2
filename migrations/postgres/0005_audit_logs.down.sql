DROP TABLE audit_logs, audit_chains;
DROP FUNCTION refuse_audit_change(), append_audit_log();
