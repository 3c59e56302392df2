DROP TABLE api_key_usage_logs, api_key_permissions, api_keys;
