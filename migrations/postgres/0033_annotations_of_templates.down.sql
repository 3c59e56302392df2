UPDATE dashboard_templates SET template_config = template_config - 'annotations' WHERE is_default;
