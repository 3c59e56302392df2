DROP TABLE alert_acknowledgements;
DROP TABLE named_expressions;
DROP INDEX alert_rules_source;
ALTER TABLE alert_rules DROP COLUMN source;
