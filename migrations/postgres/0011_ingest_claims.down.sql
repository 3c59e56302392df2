DROP TABLE ingest_claims;
