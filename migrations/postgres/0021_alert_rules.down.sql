DROP TABLE alert_transitions, alert_instances, alert_rules;
