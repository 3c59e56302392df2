"""Regions, organizations, workspaces, tenants, users and roles: their rules, transactions and audit entries."""
