DROP TABLE dashboard_versions;
DROP TABLE widgets;
DROP TABLE dashboards;
