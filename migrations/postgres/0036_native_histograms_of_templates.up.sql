-- SDKs send durations as classic or as exponential histograms, and the latter are native ones without buckets: the
-- percentiles of HTTP servers and of databases are those of whichever there is.
UPDATE dashboard_templates SET template_config = jsonb_set(jsonb_set(template_config,
    '{widgets,2,queries,0,question,expression}', to_jsonb(text
        'histogram_quantile(0.95, sum by (le, http_route) (rate(http_server_request_duration_seconds_bucket{service_name=~"$service"}[$__rate_interval]))) or histogram_quantile(0.95, sum by (http_route) (rate(http_server_request_duration_seconds{service_name=~"$service"}[$__rate_interval])))')),
    '{widgets,5,queries,0,question,expression}', to_jsonb(text
        'histogram_quantile(0.95, sum by (le, db_system_name) (rate(db_client_operation_duration_seconds_bucket{service_name=~"$service"}[$__rate_interval]))) or histogram_quantile(0.95, sum by (db_system_name) (rate(db_client_operation_duration_seconds{service_name=~"$service"}[$__rate_interval])))'))
WHERE template_id = '019e8a00-0000-7000-8000-000000000002' AND is_default;
