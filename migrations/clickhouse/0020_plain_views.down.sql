DROP VIEW IF EXISTS logs_plain;

DROP VIEW IF EXISTS traces_plain;
