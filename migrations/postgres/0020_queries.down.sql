DELETE FROM permissions WHERE resource = 'query';
