DROP TABLE dashboard_templates;
