DROP TABLE dashboard_links;
