-- Templates mark alerts, and those of services also when these were deployed.
UPDATE dashboard_templates SET template_config = template_config || jsonb_build_object('annotations', CASE
    WHEN jsonb_path_exists(template_config, '$.variables[*] ? (@.name == "service")') THEN
        '[{"kind": "deployments", "name": "Deployments", "services": ["$service"]}, {"kind": "alerts", "name": "Alerts"}]'::jsonb
    ELSE '[{"kind": "alerts", "name": "Alerts"}]'::jsonb
END)
WHERE is_default;
