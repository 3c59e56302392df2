DROP VIEW IF EXISTS traces_resources;

DROP VIEW IF EXISTS logs_resources;

ALTER TABLE traces_v3 DROP INDEX IF EXISTS by_other_attributes;

ALTER TABLE logs_v3 DROP INDEX IF EXISTS by_other_attributes;
