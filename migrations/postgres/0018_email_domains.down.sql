DROP TABLE email_domains;
