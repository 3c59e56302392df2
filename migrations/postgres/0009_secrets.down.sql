DELETE FROM permissions WHERE resource = 'identity-provider';
ALTER TABLE user_roles DROP COLUMN identity_provider_id;
DROP TABLE oidc_used_states, user_identities, identity_provider_roles, identity_providers, mfa_secrets, signing_keys,
    encryption_keys;
